"""Stage `coarsen_compare`: every coarse-graining network and fixed rule, side by side and beside the report."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import load_model, read_recipe
from kadanoff.learning.coarse import Coarsener, at_criticality, coarse_task
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.predict import predict
from kadanoff.project.params import entry, section
from kadanoff.project.records import recorded
from kadanoff.spins.blocking import RULES
from kadanoff.studies.coarsen import figures
from kadanoff.studies.coarsen.coarsen import read_variant, weights_path
from kadanoff.studies.coarsen.tables import tables
from kadanoff.validation import Name, Section

VALUES = ["mse", "mae", "magnetization_rmse", "kept_energy", "kept_half_lattice_correlation"]
KEPT = ["mse", "kept_energy", "kept_half_lattice_correlation"]


class Compare(Section):
    """The section `coarsen_compare`."""

    dataset: Name
    critical: list[Name] = Field(min_length=1)


def coarsen_compare(root: Path) -> None:
    """Compare all coarse-graining networks with each other, with fixed rules and with the 2025 report."""
    compare = entry(root, Compare, "coarsen_compare")
    seed = entry(root, TrainingParams, "coarsen", "training").seed
    networks = [_network(root, name) for name in section(root, "coarsen", "variants")]
    coarseners = networks + _fixed_rules(compare.dataset, sorted({item.rule for item in networks}))
    names = sorted({item.dataset for item in coarseners} | {compare.dataset, *compare.critical})
    paths = [root / "data" / "coarsen" / f"{name}.zarr" for name in names]
    data = {name: open_dataset(path) for name, path in zip(names, paths, strict=True)}
    with recorded("coarsen_compare", parameters=compare.model_dump(), inputs=paths) as record:
        held_out = held_out_errors(coarseners, data, seed)
        pairs = [item for item in coarseners if item.block == 2]
        critical = critical_errors(pairs, {name: data[name] for name in compare.critical})
        record.metrics(_nested(held_out, "part", "errors"))
        record.metrics(
            {"critical": _nested(critical.assign(kept=critical[KEPT].to_dict("records")), "dataset", "kept")}
        )
        record.summary(
            "Mean squared error per site on the task of the 2025 report, signs of 2 x 2 block sums: {cnn_mse} with its "
            "CNN, {mlp_mse} with its perceptron. On block averages an exact network of 4 weights has {exact_mse}.",
            "magnetization",
            ["cnn_mse"],
            cnn_mse="test/cnn/mse",
            mlp_mse="test/mlp/mse",
            exact_mse="test/exact/mse",
        )
        record.comparison(_by_network(held_out, critical), ["network", "rule", "block", "weights"], VALUES)
        record.text("tables.md", tables(held_out, critical))
        by_name = {item.name: item for item in pairs}
        figures.draw_magnetization(record, data[compare.dataset], by_name)
        figures.draw_criticality(record, critical)
        if "cnn" in by_name:
            largest = max((data[name] for name in compare.critical), key=lambda each: each.spins.shape[-1])
            figures.draw_flow(record, largest, by_name["cnn"])


def _network(root: Path, name: str) -> Coarsener:
    (variant, training), weights = read_variant(root, name), weights_path(root, name)
    network = load_model(weights)
    if read_recipe(weights).training != variant.model_dump() | training.model_dump():
        raise KadanoffError(f"{weights} was trained with other parameters; run `dvc repro coarsen@{name}` first.")
    parameters = sum(each.numel() for each in network.parameters())
    return Coarsener(name, variant.rule, variant.block, variant.dataset, partial(predict, network), parameters)


def _fixed_rules(dataset: str, targets: list[str]) -> list[Coarsener]:
    """The fixed rules in place of each rule that is learned: baselines without learning."""
    return [
        Coarsener(f"{name} for {target}", target, 2, dataset, partial(rule, block=2))
        for target in targets
        for name, rule in RULES.items()
        if name != target
    ]


def held_out_errors(coarseners: Iterable[Coarsener], data: dict[str, Ensemble], seed: int) -> pd.DataFrame:
    """Network x part of the split: rule, block, parameters and `errors` on configurations that trained no network."""
    rows = []
    for item in coarseners:
        task = coarse_task(data[item.dataset], item.rule, item.block, seed)
        known = {"network": item.name, "rule": item.rule, "block": item.block, "parameters": item.parameters}
        rows += [known | {"part": part, "errors": item.errors(task, part)} for part in ("validation", "test")]
    return pd.DataFrame(rows, dtype=object)


def critical_errors(coarseners: Iterable[Coarsener], data: dict[str, Ensemble]) -> pd.DataFrame:
    """Network x dataset: error at T_c and what is kept of correlations; no row where a network takes another size."""
    rows = []
    for dataset, ensemble in data.items():
        for item in coarseners:
            if (found := at_criticality(item, ensemble)) is not None:
                mse, ratio = found
                known = {"network": item.name, "parameters": item.parameters, "dataset": dataset}
                values = dict(zip(KEPT, (mse, ratio[1], ratio[-1]), strict=True))
                rows.append(known | {"side": ensemble.spins.shape[-1], "ratio": ratio} | values)
    return pd.DataFrame(rows, dtype=object)


def _by_network(held_out: pd.DataFrame, critical: pd.DataFrame) -> pd.DataFrame:
    """A row a network: test errors, and what it keeps of correlations on the largest lattices at T_c."""
    test = held_out[held_out.part == "test"].rename(columns={"parameters": "weights"}).reset_index(drop=True)
    errors = pd.DataFrame(list(test.errors), dtype=object)[VALUES[:3]]
    largest = critical[critical.side == critical.side.max()].set_index("network")[KEPT[1:]]
    return test.join(errors).join(largest, on="network")


def _nested(frame: pd.DataFrame, outer: str, values: str) -> dict[str, dict[str, Any]]:
    """{outer: {network: values}}, as records name metrics."""
    return {key: dict(zip(rows.network, rows[values], strict=True)) for key, rows in frame.groupby(outer, sort=False)}
