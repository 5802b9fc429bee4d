"""The sections `classify.models` and `classify.systems` of params.yaml."""

from pathlib import Path

from kadanoff.learning.parameters import TunedParams
from kadanoff.learning.pretrained import NONE
from kadanoff.phases.models import FineTuning, Model
from kadanoff.phases.systems import System
from kadanoff.project.params import section
from kadanoff.validation import validated


def read_model(root: Path, name: str) -> tuple[Model, FineTuning]:
    """The entry `name` of classify.models and its fine-tuning, whose keys override `classify.training`.

    Raises
    ------
    KadanoffError
        If the entry is missing or a key breaks a rule.
    """
    where, raw = f"classify.models.{name}", section(root, "classify", "models", name)
    override = {key: value for key, value in raw.items() if key in TunedParams.model_fields}
    own = {key: value for key, value in raw.items() if key not in override}
    training = section(root, "classify", "training") | override
    model = validated(Model, own, where)
    tuned = validated(FineTuning, training, where if override else "classify.training")
    if NONE in (model.weights, *model.compare):  # now, not when its trial begins
        validated(TunedParams, training | model.scratch, f"{where}.scratch")
    return model, tuned


def read_systems(root: Path) -> dict[str, System]:
    """All entries of classify.systems; KadanoffError if one breaks a rule."""
    raw = section(root, "classify", "systems")
    return {name: validated(System, values, f"classify.systems.{name}") for name, values in raw.items()}
