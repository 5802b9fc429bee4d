"""Stage `mcrg`: exponents of block rules by the Monte Carlo renormalization group, and the critical coupling.

Exponents are those of Swendsen's stability matrix, by step, by number of interactions and by size: every step is seen
on two sizes. All rules with blocks of one side block the same configurations. The critical coupling is that of Wilson's
two-lattice matching, which knows nothing of its exact value; pairs of lattices beside it tell how the flow parts there.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from kadanoff.estimate import Estimate
from kadanoff.project.params import entry
from kadanoff.project.records import Recorder, recorded
from kadanoff.project.records.dvclock import file_md5
from kadanoff.project.tables import nested
from kadanoff.renormalization.flow import Flow, Setup, joined
from kadanoff.renormalization.matching import critical_coupling, separation
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import working_folder
from kadanoff.spins.exact import T_C
from kadanoff.studies.mcrg.analysis import COLUMNS, KEYS, analysed, summarized, tables_text
from kadanoff.studies.mcrg.figures import draw_interactions, draw_steps
from kadanoff.studies.mcrg.params import Params, follow_entries, rule_of

Follow = Callable[..., dict[str, Flow]]
COUPLING = 1 / float(T_C)


def mcrg(root: Path) -> None:
    """Measure exponents of block rules by blocking critical lattices, and find the critical coupling by matching.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, blocks do not divide a lattice, or interactions do not fit on the last one or
        depend on each other there.
    """
    params, models = entry(root, Params, "mcrg"), root / "models" / "block_rule"
    large = params.pair(params.matching, 1 / params.matching.start)
    block = params.rules[params.matching.rule].block
    for lattices in params.lattices:
        params.setup(lattices).check(lattices.block)
    large.check(block)
    params.pair(params.separation, float(T_C)).check(params.rules[params.separation.rule].block)
    for rule in params.rules.values():
        rule_of(rule, models)  # refuses now what it would refuse later
    trained = params.trained(models)
    with (
        working_folder("mcrg", "all", params.model_dump(), [file_md5(path) for path in trained]) as folder,
        recorded("mcrg", parameters=params.model_dump(), inputs=trained) as record,
    ):
        follow = partial(follow_entries, models)
        found = analysed(measured(params, follow, folder), params.even, params.odd)
        match = partial(matched, params, follow, folder)
        couplings = critical_coupling(match, large, block, params.matching.start)
        results(record, params, found, couplings, separated(params, follow, folder))


def measured(params: Params, follow: Follow, folder: Path) -> dict[tuple[str, int], Flow]:
    """The flows of all lattices, by rule and size; groups of chains share the cores, the largest lattices first."""
    by_size = sorted(params.lattices, key=lambda lattices: lattices.size)
    tasks = [
        (params.by_block(lattices.block), params.setup(lattices), *group)
        for lattices in reversed(by_size)
        for group in params.setup(lattices).groups(params.chains)
    ]
    parts: dict[tuple[str, int], list[Flow]] = {}
    for (_, setup, *_), found in zip(tasks, in_processes("mcrg", follow, tasks, folder), strict=True):
        for name, flow in found.items():
            parts.setdefault((name, setup.size), []).append(flow)
    keys = ((name, lattices.size) for name in params.rules for lattices in by_size)
    return {key: joined(parts[key]) for key in keys if key in parts}


def matched(params: Params, follow: Follow, folder: Path, setups: Sequence[Setup]) -> list[Flow]:
    """The flows of the lattices that are matched; their seed numbers the round of Newton's."""
    return _neighbours(params, follow, folder, f"mcrg matching {setups[0].seed}", params.matching.rule, setups)


def separated(params: Params, follow: Follow, folder: Path) -> list[Estimate]:
    """The exponent of the flow's separation at steps 1, 2, ..."""
    of = params.separation
    block, setups = params.rules[of.rule].block, []
    for sign in (-1, 1):
        large = params.pair(of, float(T_C) * (1 + sign * of.away))
        small = params.pair(of, float(T_C) * (1 + sign * of.away * block))
        setups += [large, replace(small, size=of.size // block, steps=of.steps - 1)]
    flows = _neighbours(params, follow, folder, "mcrg separation", of.rule, setups)
    cold, cold_small, hot, hot_small = flows
    return [separation((cold, hot), (cold_small, hot_small), step) for step in range(1, of.steps + 1)]


def _neighbours(
    params: Params, follow: Follow, folder: Path, what: str, rule: str, setups: Sequence[Setup]
) -> list[Flow]:
    """The flows of lattices under one rule."""
    groups = [({rule: params.rules[rule]}, setup, *group) for setup in setups for group in setup.groups(params.chains)]
    parts = [flow[rule] for flow in in_processes(what, follow, groups, folder)]
    return [joined([part for part in parts if part.setup == setup]) for setup in setups]


def results(
    record: Recorder, params: Params, found: pd.DataFrame, couplings: list[Estimate], parting: list[Estimate]
) -> None:
    """Metrics, tables and figures; the headline numbers are of the first rule's largest lattice and last step."""
    full, first = summarized(found), next(iter(params.rules))
    named = full.assign(L="L=" + full.L.astype(str), step="step=" + full.step.astype(str))
    record.metrics(nested(named, KEYS))
    for name, values in (("coupling", couplings), ("separation", parting)):
        record.metrics({name: {f"step={step}": value for step, value in enumerate(values, 1)}})
    best = named[full.rule == first].iloc[-1]
    record.summary(
        f"Blocks of the rule {first} give y_T = {{y_T}} (exact 1) and y_H = {{y_H}} (exact 1.875), {best.L} and "
        f"{best.step}; matched lattices of at most {params.matching.size} x {params.matching.size} give K_c = {{K_c}} "
        f"(exact {COUPLING:.7f}).",
        "steps",
        **{name: f"{first}/{best.L}/{best.step}/{name}" for name in COLUMNS},
        K_c=f"coupling/step={len(couplings)}",
    )
    record.comparison(full, KEYS, COLUMNS)
    of = params.separation
    by_step = {
        f"Critical coupling, {params.matching.rule}": (couplings, COUPLING),
        f"Separation of the flow from T_c +- {of.away:.0%}, {of.rule}": (parting, 1.0),
    }
    record.text("tables.md", tables_text(found, by_step))
    draw_steps(record, full)
    draw_interactions(record, found[found.rule == first])
