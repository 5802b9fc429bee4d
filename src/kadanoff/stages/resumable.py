"""The checkpoints that the stages would go on from with the present parameters and code."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import fingerprint
from kadanoff.lab.params import Dataset, TrainingParams, entry, read_params
from kadanoff.stages import classify, classify_models, exponents, pretrain, superres_variants
from kadanoff.stages.coarsen import read_variant
from kadanoff.stages.coarsen_curve import Curve

Parameters = dict[str, Any]


def resumable(root: Path) -> dict[str, str | None]:
    """Names of their folders in .checkpoints, by STAGE-VARIANT; None where the parameters break a rule.

    Every stage that asks for a `working_folder` is here, with the parameters that it gives.
    """
    content = read_params(root)
    found: dict[str, str | None] = {}
    for name in content.get("datasets") or {}:
        found |= _folder("simulate", name, lambda name: entry(root, Dataset, "datasets", name).model_dump())
    for name in (content.get("coarsen") or {}).get("variants") or {}:
        found |= _folder("coarsen", name, lambda name: _merged(*read_variant(root, name)))
    for study in ("superres", "upsample"):
        for name in (content.get(study) or {}).get("variants") or {}:
            found |= _folder(study, name, partial(_superres, root, study))
    for name in (content.get("classify") or {}).get("models") or {}:
        found |= _folder("pretrain", name, lambda name: pretrain.parameters_of(*pretrain.read(root, name)))
        found |= _folder("classify", name, partial(_classify, root))
    found |= _folder("coarsen_curve", "all", lambda _: _curve(root))
    return found | _folder("exponents", "all", lambda _: _exponents(root))


def _folder(stage: str, variant: str, parameters: Callable[[str], Parameters]) -> dict[str, str | None]:
    title = f"{stage}-{variant}"
    try:
        return {title: f"{title}-{fingerprint(parameters(variant))}"}
    except KadanoffError:
        return {title: None}


def _exponents(root: Path) -> Parameters:
    recipes = {name: superres_variants.read_variant(root, name) for name in exponents.NETWORKS}
    return exponents.given(entry(root, exponents.Params, "exponents"), recipes)


def _classify(root: Path, name: str) -> Parameters:
    return classify.parameters_of(root, *classify_models.read_model(root, name), classify.read_params(root))


def _superres(root: Path, study: str, name: str) -> Parameters:
    return _merged(*superres_variants.read_variant(root, name, study))


def _merged(*sections: Any) -> Parameters:
    return {key: value for section in sections for key, value in section.model_dump().items()}


def _curve(root: Path) -> Parameters:
    return _merged(entry(root, Curve, "coarsen_curve"), entry(root, TrainingParams, "coarsen", "training"))
