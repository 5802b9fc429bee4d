"""The results of `superres_compare` at one temperature, and its tables."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.quality import Measured, Quality, binned, compare, energy_histogram, expected_distance
from kadanoff.inverse.superresolve import Spins
from kadanoff.project.tables import Cell, table
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, EnergyDistribution, exact_energy_distribution
from kadanoff.studies.targets import vanishes, verdict

TRUTH = "Monte Carlo"
AGAIN = "Monte Carlo, the training half"
PIXELS, BLOCKS = "independent pixels, exact optimum", "independent blocks, exact optimum"
SAMPLED, ROUNDED, ONCE, SWEPT = ": sampled", ": rounded", ": one pass", ": one pass, and a sweep of its own"
"""What follows the name of a network."""
SYMMETRY = 5e-4
"""The error with which a broken symmetry is to be seen: 0.0015, half of what a draw without any sweep once had."""


@dataclass(frozen=True)
class Outcome:
    """One temperature.

    Attributes
    ----------
    exact
        P(E) of the fine torus.
    count, sites
        Test configurations, and spins of each.
    qualities
        Of every draw, by its name, against the Monte Carlo test set; this set itself is `TRUTH`.
    energies
        Histograms over the levels of `exact`.
    sums
        Share of the blocks with 0, 1, ... spins up, and its error: (2, sites of a block + 1).
    pictures
        The first configuration, its coarse lattice ("coarse"), and what every draw makes of this one.
    """

    temperature: float
    exact: EnergyDistribution
    count: int
    sites: int
    qualities: dict[str, Quality]
    energies: dict[str, NDArray[np.int64]]
    sums: dict[str, NDArray[np.float64]]
    pictures: dict[str, Spins]


def outcome(
    temperature: float, sides: Sequence[int], truth: Measured, draws: dict[str, Measured], pictures: dict[str, Spins]
) -> Outcome:
    """Compare what was measured on every set of draws with the Monte Carlo set."""
    exact = exact_energy_distribution(Lattice(sides[0], sides[1]), temperature)
    sets = {TRUTH: truth, **draws}
    return Outcome(
        temperature,
        exact,
        len(truth),
        truth.sites,
        {name: compare(item, truth.first(len(item)), exact) for name, item in sets.items()},
        {name: energy_histogram(item, exact) for name, item in sets.items()},
        {name: _shares(item) for name, item in sets.items()},
        pictures,
    )


def _shares(found: Measured) -> NDArray[np.float64]:
    shares = found.sums / found.sums.sum(1, keepdims=True)
    return np.stack([shares.mean(0), shares.std(0, ddof=1) / np.sqrt(len(shares))])


def metrics(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Numbers by temperature and draw."""
    return {
        f"at_{item.temperature:.4g}": {
            _key(name): {key: value for key, value in vars(quality).items() if value is not None}
            for name, quality in item.qualities.items()
        }
        | {"noise": {"energies": _noise(item, True), "energies_exact": _noise(item, False)}}
        for item in outcomes
    }


def _key(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name)


def _noise(item: Outcome, two: bool, bins: bool = True) -> float:
    """Total variation that two sets have, or one and the exact distribution, by the number of configurations."""
    probabilities = binned(item.exact.probabilities, item.exact) if bins else item.exact.probabilities
    return expected_distance(probabilities, item.count, item.count if two else None)


def tables_text(outcomes: Sequence[Outcome]) -> str:
    """All tables as Markdown: one a temperature, and the targets at T_c."""
    found = ["# One draw of the fine lattice: trained networks, and the best that each kind can do\n", NOTES]
    found += [_table(item) for item in outcomes]
    found += [_targets(item) for item in outcomes if abs(item.temperature - T_C) < 1e-6]
    return "\n".join(found)


NOTES = """Every draw starts from the same coarse lattices, those of the Monte Carlo test set, and differences are taken
configuration by configuration. TV is the total variation 1/2 sum |P - Q|, of energies in 20 bins as in figure 10 of
Efthymiou et al. 2019, or level by level. It is never negative, so that noise alone makes it positive: the first row has
what two independent sets of this size, or one and the exact distribution, differ by on average (by jackknife its errors
are up to twice too large there). A set that shares its coarse lattices with the test set has less: see the last row of
sweeps, which is as good as Monte Carlo. Exact optima are those of the likelihoods that training maximizes; "exact
conditional" are draws of blocks, each given its neighbours, with the Hamiltonian, its sweeps from blocks drawn evenly.
Tied blocks have a sum of 0, the 2-2 blocks; broken ones do not have the coarse spin that they were drawn for. By the
symmetries of the torus s_i s_j of neighbours is the same between blocks as inside of them, and along x as along y. A
target is met, or missed, if that is so by one error, and met only by errors of at most a third of what it allows;
otherwise it is `open`.
"""
COLUMNS: dict[str, Callable[[Quality], Cell]] = {
    "energy − MC": lambda quality: quality.energy,
    "var(E) / MC": lambda quality: quality.variance,
    "TV of P(E), MC": lambda quality: quality.energies,
    "tied blocks / MC": lambda quality: quality.ties,
    "broken blocks": lambda quality: quality.broken,
    "energy − exact": lambda quality: quality.exact_energy,
    "TV of P(E), exact": lambda quality: quality.energies_exact,
    "TV by levels, MC": lambda quality: quality.levels,
    "TV of block sums": lambda quality: quality.sums,
    "<\\|m\\|> − MC": lambda quality: quality.order,
    "c10 between − inside": lambda quality: quality.between,
    "c10 x − y": lambda quality: quality.anisotropy,
}
OWN = ("energy − exact", "TV of P(E), exact", "broken blocks", "c10 between − inside", "c10 x − y")
"""What the Monte Carlo set can be asked about itself."""


def _table(item: Outcome) -> str:
    noise = {"TV of P(E), MC": (True, True), "TV of P(E), exact": (False, True), "TV by levels, MC": (True, False)}
    rows: list[list[Cell]] = [
        ["noise alone", *(_noise(item, *noise[key]) if key in noise else None for key in COLUMNS)],
        *(
            [name, *(read(quality) if name != TRUTH or key in OWN else None for key, read in COLUMNS.items())]
            for name, quality in item.qualities.items()
        ),
    ]
    return table(f"T = {item.temperature:.5g}: {item.count} configurations, energies per site", ["", *COLUMNS], rows)


TARGETS: tuple[tuple[str, str, float, float | None], ...] = (
    (SWEPT, "energy − MC", 0.0, 0.005),
    (SWEPT, "tied blocks / MC", 1.0, 0.01),
    (SWEPT, "broken blocks", 0.0, 0.0),
    (SWEPT, "TV of P(E), MC", 0.0, 0.02),
    (SWEPT, "c10 between − inside", 0.0, None),
    (SWEPT, "c10 x − y", 0.0, None),
    (PIXELS, "energy − MC", 0.069, 0.001),
    (PIXELS, "tied blocks / MC", 0.65, 0.01),
    (PIXELS, "broken blocks", 0.017, 0.001),
)
"""End of the name of a draw, number, target, and how near it has to be; None: 0 by a symmetry."""


def _targets(item: Outcome) -> str:
    """Targets that were set beforehand, and numbers known beforehand of independent pixels."""
    rows: list[list[Cell]] = []
    for name, quality in item.qualities.items():
        for kind, number, target, within in TARGETS:
            if name.endswith(kind):
                found = COLUMNS[number](quality)
                estimate = found if isinstance(found, Estimate) else None
                if within is not None:
                    rows.append([name, number, target, within, estimate, verdict(estimate, target, within)])
                elif estimate is not None:
                    allowed = f"3 errors of {SYMMETRY} or less"
                    rows.append([name, number, 0, allowed, estimate, vanishes(estimate, SYMMETRY)])
    halves = "two Monte Carlo sets, the training half being half as large"
    rows.append([halves, "TV of P(E), MC", None, None, item.qualities[AGAIN].energies, None])
    title = f"Targets at T_c that were set beforehand, and numbers known beforehand (T = {item.temperature:.5g})"
    return table(title, ["", "number", "target", "within", "found", "met"], rows)
