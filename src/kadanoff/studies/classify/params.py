"""The section `classify` of params.yaml."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from kadanoff.errors import KadanoffError
from kadanoff.learning.parameters import TunedParams
from kadanoff.learning.pretrained import NONE
from kadanoff.phases.microstates import Datasets
from kadanoff.phases.models import FineTuning, Model, System
from kadanoff.phases.regions import LABELLED, REGIONS
from kadanoff.project.params import section
from kadanoff.validation import Name, Section, Seed, validated


class Curve(Section):
    """Where the learning curve is measured, and with how many labelled images; the last point is Table 1's 600."""

    protocol: Name
    system: Name
    images: list[int] = Field(min_length=1, max_length=1000)


class Params(Section):
    """The section `classify`, but for `models` and `training`; `at_once` trials share a GPU."""

    systems: dict[Name, System]
    protocols: list[Name] = Field(min_length=1)
    trials: int = Field(gt=0, le=1000)
    at_once: int = Field(gt=0, le=1000)
    tests: int = Field(gt=0, le=1000)
    sizes: dict[Name, list[Name]]
    curve: Curve
    seed: Annotated[Seed, Field(lt=1 << 32)]  # which scikit-learn takes

    def data(self, root: Path) -> Datasets:
        """The datasets of a project."""
        return Datasets(root / "data" / "classify", self.tests, self.seed)


def read_params(root: Path) -> Params:
    """What all models share; KadanoffError if a key breaks a rule."""
    raw = {key: value for key, value in section(root, "classify").items() if key not in ("models", "training")}
    given = validated(Params, raw, "classify")
    if max(given.curve.images) >= LABELLED or min(given.curve.images) < len(REGIONS):
        raise KadanoffError(
            f"classify.curve.images is {given.curve.images}; each is at least {len(REGIONS)} and below {LABELLED}, the "
            "last point in any case."
        )
    for name in (given.curve.system, *given.sizes):
        if name not in given.systems:
            raise KadanoffError(
                f"classify.curve.system and classify.sizes have {name!r}; take those of classify.systems: "
                f"{', '.join(given.systems)}."
            )
    return given


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
