"""The entries of STAGE.variants in params.yaml: what is trained, and how."""

from pathlib import Path
from typing import TypeVar

from kadanoff.learning.parameters import TrainingParams
from kadanoff.project.params import section
from kadanoff.validation import Section, validated

VariantType = TypeVar("VariantType", bound=Section)


def read_variant(root: Path, stage: str, name: str, model: type[VariantType]) -> tuple[VariantType, TrainingParams]:
    """The entry `name` of STAGE.variants: its keys are those of `model`, or override STAGE.training.

    Raises
    ------
    KadanoffError
        If the entry is missing or a key breaks a rule.
    """
    where, raw = f"{stage}.variants.{name}", section(root, stage, "variants", name)
    override = {key: value for key, value in raw.items() if key in TrainingParams.model_fields}
    own = {key: value for key, value in raw.items() if key not in override}
    training = section(root, stage, "training") | override
    return validated(model, own, where), validated(TrainingParams, training, where if override else f"{stage}.training")
