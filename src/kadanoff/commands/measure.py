"""`kadanoff measure`: one large critical lattice against what is known of T_c, in one pass, as tables and figures."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import numpy as np

from kadanoff.data.arrays import read_spins
from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.estimate import Estimate
from kadanoff.inverse.critical import place_of
from kadanoff.inverse.measurement import exact_decay, fit_distances
from kadanoff.inverse.streaming import Rows, Streamed, stream
from kadanoff.project.figures import figure, points
from kadanoff.project.tables import Cell, table
from kadanoff.runtime.output import alone_on_new, place_new
from kadanoff.spins.exact import AMPLITUDE, STRUCTURE, T_C, critical_energy, critical_row
from kadanoff.spins.statistics import independent_mean

ROWS = 256  # of a band at least
TILE = 16384  # columns that are decoded at a time
NOTE = """Errors say how far one lattice is from the mean over many at T_c. They come from stripes of it alone: known to
a quarter, up to 20% too small at r near L/4, and alike at neighbouring r, which go up and down together. From lattice
to lattice c10 differs by {fluctuation:.2g}, m and G(L/8) by tens of percent. c10, c11, m, block sums and S(k) are sums
over all sites; G is taken from {lines} of the {side} rows and as many columns. The exponent is that of a fit of G(r)
to a power of r at r = 1, 2, 4, ..., {farthest}; that of the exact G(r) is not quite 1/4, since G is half a percent
higher at r = 1 and 2, and on a torus at large r.
"""
BRIEF = """Errors say how far one lattice is from the mean over many. They come from stripes of it alone, known to a
quarter; from lattice to lattice c10 differs by {fluctuation:.2g}."""
WRONG = "Delete the dataset, then grow it again, or fetch it with `dvc checkout` or `dvc pull`."


def measure(source: Path, out: Path | None = None, sample: int = 0, workers: int | None = None) -> str:
    """Measure one lattice of a dataset, streaming; a table, and with `out` a folder of tables and figures.

    Raises
    ------
    KadanoffError
        If `out` exists, or the dataset is missing, damaged, has no such sample, or its lattices are no periodic squares
        at T_c, 64 or more a side.
    """
    ensemble = open_dataset(source)
    read = _reader(source, ensemble, place_of(source, ensemble, sample))
    side, height = ensemble.spins.shape[-1], ensemble.spins.chunks[2]
    with alone_on_new(out, "writing") if out else nullcontext() as work:  # refuses before the pass
        found = stream(read, side, height * max(1, ROWS // height), workers)
        if out and work:
            _write(found, work / out.name)
            place_new(work / out.name, out)
    return f"{summary(found)}\n{BRIEF.format(fluctuation=fluctuation(side))}"


def fluctuation(side: int) -> float:
    """Standard deviation of c10 from lattice to lattice at T_c: T sqrt(C) / (2 side).

    C = 0.494538 ln side + 0.187903 is the specific heat of a square torus (Ferdinand and Fisher, Phys. Rev. 185, 832
    (1969)), which it is within 2% from a side of 64 on.
    """
    return float(T_C) * math.sqrt(0.494538 * math.log(side) + 0.187903) / (2 * side)


def summary(found: Streamed) -> str:
    """The numbers of a lattice that have an exact value, or a common one, as a table in Markdown."""
    numbers: dict[str, Cell] = {
        "L": str(found.side),
        "c10 - exact": found.nearest + critical_energy(found.side) / 2,
        "c11": found.diagonal,
        "m L^(1/8)": found.magnetization * found.side**0.125,
        "exponent of G": found.decay(),
        "of the exact torus": round(exact_decay(found.side), 4),
    }
    return table("One lattice", list(numbers), [list(numbers.values())])


def tables_text(found: Streamed) -> str:
    """All tables in Markdown."""
    side = found.side
    note = NOTE.format(fluctuation=fluctuation(side), lines=found.lines, side=side, farthest=fit_distances(side)[-1])
    distances = [1 << power for power in range((side // 4).bit_length())]
    decay = table("G(r)", ["r", "G", "off the exact torus, %"], [[r, found.at(r), _off(found, r)] for r in distances])
    ups = table("Blocks of 3 x 3", ["spins up", "share"], list(enumerate(found.sums.tolist())))
    return "\n".join([note, summary(found), decay, ups])


def _off(found: Streamed, distance: int) -> Estimate:
    """How far G(r) is from that of the torus, in percent."""
    return 100 / critical_row(distance, found.side) * found.at(distance) - 100


def _reader(source: Path, ensemble: Ensemble, place: tuple[int, int]) -> Callable[[int, int], Rows]:
    array, (temperature, sample) = ensemble.spins, place
    side, chunk = array.shape[-1], array.chunks[-1]
    tile = chunk * max(1, TILE // chunk)  # all columns at once would be in memory twice

    def read(first: int, end: int) -> Rows:
        rows = np.empty((end - first, side), np.int8)
        for left in range(0, side, tile):
            window = temperature, sample, slice(first, end), slice(left, left + tile)
            rows[:, left : left + tile] = read_spins(array, window, f"{source}: rows {first} to {end - 1}", WRONG)
        return rows

    return read


def _write(found: Streamed, folder: Path) -> None:
    folder.mkdir()
    (folder / "tables.md").write_text(tables_text(found), encoding="utf-8")
    _draw_correlations(found, folder / "correlations.png")
    _draw_structure(found, folder / "structure.png")


def _draw_correlations(found: Streamed, path: Path) -> None:
    r = np.unique(np.geomspace(1, found.side // 4, 40).round().astype(int))
    exact = np.array([critical_row(distance, found.side) for distance in r.tolist()])
    with figure(2, 1, figsize=(6, 6), sharex=True, height_ratios=(3, 2)) as (drawn, (above, below)):
        points(above, r, [found.at(distance) * distance**0.25 for distance in r.tolist()], label="this lattice")
        above.plot(r, exact * r**0.25, color="0.5", lw=1, label="exact torus")
        above.axhline(AMPLITUDE, color="0.6", lw=1, ls="--", label=r"0.70338, $1 \ll r \ll L$")
        above.set(xscale="log", title=f"$L$ = {found.side}", ylabel=r"$G(r)\, r^{1/4}$")
        above.legend(loc="upper left")
        points(below, r, [_off(found, distance) for distance in r.tolist()])
        below.axhline(0, color="0.5", lw=1)
        below.set_yscale("symlog", linthresh=1, linscale=1)  # tenths of a percent at small r, tens at large
        below.set_yticks([-10, -1, 0, 1, 10], ["-10", "-1", "0", "1", "10"])
        below.set(xlabel="distance $r$", ylabel="deviation from exact (%)")
        drawn.savefig(path, metadata={"Software": None})


def _draw_structure(found: Streamed, path: Path) -> None:
    """S(k) k^(7/4) in bins of 4 wave numbers or more.

    Waves are taken as independent. The longest are not quite: at L = 512 the first error is 40% too small.
    """
    k = 2 * np.pi * np.arange(found.structure.shape[1]) / found.side
    edges = [1]
    for edge in np.geomspace(1, len(k), 25).round().astype(int).tolist():
        if edge >= edges[-1] + 4:
            edges.append(edge)
    bins = [slice(first, last) for first, last in pairwise(edges)]
    values = [independent_mean((found.structure[:, part] * k[part] ** 1.75).ravel()) for part in bins]
    with figure(figsize=(6, 4)) as (drawn, axis):
        points(axis, [np.exp(np.log(k[part]).mean()) for part in bins], values, label="this lattice, both axes")
        axis.axhline(STRUCTURE, color="0.6", lw=1, ls="--", label=rf"{STRUCTURE:.3f}, $1/L \ll k \ll 1$")
        axis.set(xscale="log", title=f"$L$ = {found.side}", xlabel="wave number $k$", ylabel=r"$S(k)\, k^{7/4}$")
        axis.set_ylim(0, 1.2 * max(value.mean + value.error for value in values))
        axis.legend(loc="upper center", ncols=2)
        drawn.savefig(path, metadata={"Software": None})
