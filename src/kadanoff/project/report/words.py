"""How the report says things: numbers, times, and what a figure shows."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kadanoff.estimate import Estimate
from kadanoff.project.tables import cell

LONGEST_TEXT = 400  # characters of one value
FIGURES = {
    "attention": "Where the transformer of {run} looks: attention over local energy and walls, correlations, controls",
    "block_sums": "How often blocks of {run} have each number of up spins, by Monte Carlo, controls and networks",
    "cascade": "One lattice of {run} over five scales, each picture the square in the one before",
    "collapse": "Curves of Monte Carlo and of decimated lattices in {run}, and the temperatures that join them",
    "configurations": "One configuration of {run} at each temperature",
    "confusions": "How often {run} takes lattices of each region for those of another",
    "correlations": "Two-point functions of {run} at every size, and what is left after the exact one",
    "criticality": "What {run} finds at and near T_c, over lattice size and distance",
    "energies": "Distribution of the energy in {run}: exact, Monte Carlo, controls and networks",
    "figure1_lattices": "One critical seed of {run}, doubled again and again by the paper's network and by blocks",
    "figure2_extrapolated_chain": "Magnetization and energy of chains twice as long as those trained on, in {run}",
    "figure3_two_point": "Two-point function of chains doubled again and again in {run}, beside the exact one",
    "figure4_extrapolated_square": "Observables of lattices twice as large as those trained on, in {run}",
    "figure5_histograms_extrapolated": "Distributions of magnetization and energy on lattices twice as large, in {run}",
    "figure6_scaling": "Two-point functions and susceptibility of {run} over lattice size, beside exact power laws",
    "figure7_block_sums": "Block sums of {run} at three temperatures: Monte Carlo, rounded and sampled",
    "figure8_test_chain": "Magnetization and energy of test chains, decimated and refined, in {run}",
    "figure9_test_square": "Observables of test lattices, decimated and refined, in {run}",
    "figure10_histograms_test": "Distributions of magnetization and energy of test lattices in {run}",
    "flow": "Configurations below, at and above T_c, coarse-grained again and again",
    "history": "Training and validation loss of {run} over epochs",
    "learning_curve": "Score or error of {run} over the number of training configurations",
    "learning_curves": "Macro-F1 in {run} over the number of labelled images, from each network's first weights",
    "levels": "Slope of the susceptibility, energy and Binder ratio in {run} at every size, beside exact values",
    "limits": "Exact distributions of the energy in each region in {run}, and the region that is best to say there",
    "losses": "Losses of {run} over epochs, and over temperature",
    "magnetization": "Magnetization per site in {run} over temperature",
    "observables": "Energy and magnetization per site of {run} over temperature, beside exact curves",
    "physics": "Magnetization, errors and spatial correlation in {run}, predictions beside targets",
    "pictures": "A coarse lattice of {run}, the one it came from, and what networks draw",
    "predictions": "Spins, targets, predictions and their errors in {run}, for a few configurations",
    "reading": "The temperature that {run} reads off lattices that it never saw, beside the true one",
    "relaxation": "How energy, magnetization and correlation of {run} come to equilibrium from each start",
    "rollout": "Configurations of {run} below, at and above T_c: energies, domain walls, and where attention goes",
    "scores": "Macro-F1 of networks, baselines and the paper in {run}, beside the Bayes limit of each system",
    "structure": "Structure factors of {run} at every size, by Monte Carlo, as drawn and refined",
    "times": "Sweeps and seconds to equilibrium in {run} over lattice size, for each start",
    "transfer": "Macro-F1 in {run} of networks trained on one system and tested on the others",
}


def number(value: float, error: float | None = None) -> str:
    """A number as the tables print it: 0.1234(56) with its standard error, else four digits; integers whole."""
    if error is None:
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else cell(value)
    size = abs(value) or 1.0
    if error == 0 or (1e-200 < size < 1e15 and 1e-15 < error / size < 1e15):
        return cell(Estimate(value, error))
    return f"{value:.4g} ± {error:.2g}"  # no brackets can hold these


def numbers(metrics: Mapping[str, float]) -> dict[str, str]:
    """Metrics by name as text; a metric and its `_error` are one, `/mean` and `/error` too."""
    errors = {
        name: partner
        for name in metrics
        for partner in (f"{name}_error", f"{name.removesuffix('/mean')}/error" if name.endswith("/mean") else "")
        if partner in metrics
    }
    found = {
        name.removesuffix("/mean") if name in errors else name: number(
            value, metrics[errors[name]] if name in errors else None
        )
        for name, value in metrics.items()
        if name not in errors.values()
    }
    return dict(sorted(found.items(), key=lambda item: natural(item[0])))


def natural(name: str) -> list[tuple[float, str]]:
    """Sort key that puts T=2 before T=10."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(float(part), "") if index % 2 else (0.0, part) for index, part in enumerate(parts)]


def duration(seconds: float) -> str:
    """12.3 s, 4 min 05 s, 2 h 07 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, late = divmod(minutes, 60)
    return f"{hours} h {late:02d} min" if hours else f"{minutes} min {rest:02d} s"


def text(value: Any) -> str:
    """A parameter as one line."""
    line = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}…"


def figure(name: str, run: str, history: Sequence[tuple[int, Mapping[str, float]]]) -> str:
    """What the figure `name` of a run shows, in a sentence."""
    known = FIGURES.get(name)
    sentence = known.format(run=run) if known else f"{name.replace('_', ' ').capitalize()}: a figure of {run}"
    course = _course(history) if name == "history" else ""
    return f"{sentence}{course}."


def _course(history: Sequence[tuple[int, Mapping[str, float]]]) -> str:
    """How the losses went."""
    if len(history) < 2:
        return ""
    (_, first), (epoch, last) = history[0], history[-1]
    parts = [
        f"{name.replace('_', ' ')} from {number(first[name])} to {number(last[name])}"
        for name in first
        if name.endswith("_loss") and name in last
    ]
    return f": {', '.join(parts)} at epoch {epoch}" if parts else ""
