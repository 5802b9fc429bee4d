"""Stage `coarsen`: train one network to do what a block rule does; models/coarsen/VARIANT.safetensors."""

from pathlib import Path

from pydantic import Field

from kadanoff.lab.params import Section, Training, section, validated


class Variant(Section):
    """What is trained on what; other keys of an entry override `coarsen.training`."""

    network: str
    dataset: str
    block: int = Field(gt=1)


def read_variant(root: Path, name: str) -> tuple[Variant, Training]:
    """The entry `name` of coarsen.variants, and its training parameters.

    Raises
    ------
    KadanoffError
        If the entry is missing or a key breaks a rule.
    """
    where = f"coarsen.variants.{name}"
    raw = section(root, "coarsen", "variants", name)
    own = {key: value for key, value in raw.items() if key not in Training.model_fields}
    override = {key: value for key, value in raw.items() if key in Training.model_fields}
    shared = section(root, "coarsen", "training")
    return validated(Variant, own, where), validated(Training, shared | override, where)
