"""Stage `coarsen_compare`: every coarse-graining network and fixed rule, side by side and beside the report."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import load_model, read_recipe
from kadanoff.learning.coarse import Coarsener, at_criticality, errors
from kadanoff.learning.data import coarse_task
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.predict import predict
from kadanoff.project.params import entry, section
from kadanoff.project.records import Recorder, recorded
from kadanoff.spins.blocking import RULES
from kadanoff.spins.exact import T_C
from kadanoff.studies.coarsen.coarsen import read_variant
from kadanoff.studies.coarsen.figures import (
    draw_criticality,
    draw_flow,
    draw_magnetization,
    draw_physics,
    draw_predictions,
)
from kadanoff.studies.coarsen.tables import tables
from kadanoff.validation import Name, Section


class Compare(Section):
    """The section `coarsen_compare`."""

    dataset: Name
    critical: list[Name] = Field(min_length=1)


def coarsen_compare(root: Path) -> None:
    """Compare all coarse-graining networks with each other, with fixed rules and with the 2025 report."""
    compare = entry(root, Compare, "coarsen_compare")
    seed = entry(root, TrainingParams, "coarsen", "training").seed
    coarseners = _networks(root)
    coarseners |= _rules(compare.dataset, sorted({item.rule for item in coarseners.values()}))
    names = sorted({item.dataset for item in coarseners.values()} | {compare.dataset, *compare.critical})
    paths = {name: root / "data" / f"{name}.zarr" for name in names}
    data = {name: open_dataset(path) for name, path in paths.items()}
    with recorded("coarsen_compare", parameters=compare.model_dump(), inputs=list(paths.values())) as record:
        parts = {
            part: {name: _errors(item, data[item.dataset], seed, part) for name, item in coarseners.items()}
            for part in ("validation", "test")
        }
        pairs = {name: item for name, item in coarseners.items() if item.block == 2}
        critical = {
            size: {name: at_criticality(item, data[size]) for name, item in pairs.items()} for size in compare.critical
        }
        record.metrics({**parts, "critical": _numbers(critical)})
        sides = {name: data[name].spins.shape[-1] for name in compare.critical}
        record.text("tables.md", tables(parts, coarseners, critical, sides))
        networks = [name for name, item in pairs.items() if item.parameters]
        _gallery(record, data[compare.dataset], {name: pairs[name] for name in networks})
        draw_magnetization(record, data[compare.dataset], pairs)
        if "cnn" in pairs:
            draw_flow(record, data[max(sides, key=lambda name: sides[name])], pairs["cnn"])
        draw_physics(record, data[compare.dataset], seed, pairs)
        draw_criticality(record, critical, sides, networks)


def _networks(root: Path) -> dict[str, Coarsener]:
    found = {}
    for name in section(root, "coarsen", "variants"):
        variant, training = read_variant(root, name)
        weights = root / "models" / "coarsen" / f"{name}.safetensors"
        network = load_model(weights)
        if read_recipe(weights).training != variant.model_dump() | training.model_dump():
            raise KadanoffError(f"{weights} was trained with other parameters; run `dvc repro coarsen@{name}` first.")
        parameters = sum(weights.numel() for weights in network.parameters())
        apply = partial(predict, network)
        found[name] = Coarsener(apply, variant.rule, variant.block, variant.dataset, parameters)
    return found


def _rules(dataset: str, targets: list[str]) -> dict[str, Coarsener]:
    """The fixed rules in place of each rule that is learned: baselines without learning."""
    return {
        f"{name} for {target}": Coarsener(partial(rule, block=2), target, 2, dataset)
        for target in targets
        for name, rule in RULES.items()
        if name != target
    }


def _errors(coarsener: Coarsener, ensemble: Ensemble, seed: int, part: str) -> dict[str, Any]:
    """Errors on the `validation` or the `test` configurations, which the networks were not trained on."""
    task = coarse_task(ensemble, coarsener.rule, coarsener.block, seed)
    rows = getattr(task.split, part)
    return errors(coarsener.apply(task.spins[rows]), task.target[rows])


def _gallery(record: Recorder, ensemble: Ensemble, networks: dict[str, Coarsener]) -> None:
    """Configurations in order, near T_c and in disorder, and what the report's networks make of them."""
    shown = {name: item for name, item in networks.items() if item.rule == "threshold"}
    wanted = [0, int(np.abs(ensemble.temperatures - T_C).argmin()), len(ensemble.temperatures) - 1]
    spins = np.concatenate([ensemble.read(index, slice(0, 1)) for index in wanted])
    draw_predictions(
        record, spins, RULES["threshold"](spins, 2), {name: item.apply(spins) for name, item in shown.items()}
    )


def _numbers(critical: dict[str, Any]) -> dict[str, Any]:
    """Metrics by dataset and coarsener: mse, and the kept share of the energy and of G(L/2)."""
    return {
        dataset: {
            name: {"mse": point[0], "kept_energy": point[1][1], "kept_half_lattice_correlation": point[1][-1]}
            for name, point in found.items()
            if point is not None
        }
        for dataset, found in critical.items()
    }
