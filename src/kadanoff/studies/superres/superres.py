"""Stage `superres`: networks that undo a block rule, one a temperature; models/superres/VARIANT.safetensors."""

from pathlib import Path

from kadanoff.studies.superresolution import train_variant


def superres(root: Path, name: str) -> None:
    """Train networks that undo a block rule, one a temperature, into models/superres/VARIANT.safetensors.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, the data are missing or do not suit, or the network cannot undo the rule.
    """
    train_variant(root, "superres", "superres", name)
