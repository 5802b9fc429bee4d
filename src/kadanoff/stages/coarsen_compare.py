"""Stage `coarsen_compare`: every coarse-graining network and fixed rule, side by side and beside the report."""

from functools import partial
from pathlib import Path
from typing import Any

from kadanoff.lab.params import Section, entry, section
from kadanoff.lab.records import recorded
from kadanoff.lab.store import Ensemble, open_dataset
from kadanoff.learning.apply import predict
from kadanoff.learning.checkpoints import load_model
from kadanoff.learning.coarse import Coarsener, at_criticality, errors
from kadanoff.learning.data import coarse_task
from kadanoff.spins.blocking import RULES
from kadanoff.stages.coarsen import read_variant
from kadanoff.stages.coarsen_report import draw_criticality, draw_gallery, draw_magnetization, draw_physics, tables


class Compare(Section):
    """The section `coarsen_compare`."""

    dataset: str
    critical: list[str]


def coarsen_compare(root: Path) -> None:
    """Write the record reports/coarsen_compare."""
    compare = entry(root, Compare, "coarsen_compare")
    seed = section(root, "coarsen", "training")["seed"]
    coarseners = _networks(root) | _rules(compare.dataset)
    names = sorted({item.dataset for item in coarseners.values()} | {compare.dataset, *compare.critical})
    paths = {name: root / "data" / f"{name}.zarr" for name in names}
    data = {name: open_dataset(path) for name, path in paths.items()}
    with recorded("coarsen_compare", parameters=compare.model_dump(), inputs=list(paths.values())) as record:
        tested = {name: _test(item, data[item.dataset], seed) for name, item in coarseners.items()}
        pairs = {name: item for name, item in coarseners.items() if item.block == 2}
        critical = {
            size: {name: at_criticality(item, data[size]) for name, item in pairs.items()} for size in compare.critical
        }
        record.metrics({"test": tested, "critical": _numbers(critical)})
        sides = {name: data[name].spins.shape[-1] for name in compare.critical}
        record.text("tables.md", tables(tested, coarseners, critical, sides))
        draw_gallery(record, data[compare.dataset], pairs)
        draw_magnetization(record, data[compare.dataset], pairs)
        draw_physics(record, coarse_task(data[compare.dataset], 2, seed), pairs)
        draw_criticality(record, critical, sides)


def _networks(root: Path) -> dict[str, Coarsener]:
    found = {}
    for name in section(root, "coarsen", "variants"):
        variant, _ = read_variant(root, name)
        network = load_model(root / "models" / "coarsen" / f"{name}.safetensors")
        parameters = sum(weights.numel() for weights in network.parameters())
        found[name] = Coarsener(partial(predict, network), variant.block, variant.dataset, parameters)
    return found


def _rules(dataset: str) -> dict[str, Coarsener]:
    return {f"rule: {name}": Coarsener(partial(rule, block=2), 2, dataset) for name, rule in RULES.items()}


def _test(coarsener: Coarsener, ensemble: Ensemble, seed: int) -> dict[str, Any]:
    """Errors on the test configurations."""
    task = coarse_task(ensemble, coarsener.block, seed)
    spins, target = task.spins[task.split.test], task.target[task.split.test]
    return errors(coarsener.apply(spins).astype("float64"), target.astype("float64"))


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
