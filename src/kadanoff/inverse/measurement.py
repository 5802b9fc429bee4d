"""Measurements of large critical lattices: local order, magnetization, blocks, G(r) and S(k) along the axes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.superresolve import Spins
from kadanoff.spins.exact import critical_diagonal, critical_energy, critical_row
from kadanoff.spins.observables import binder, block_sums
from kadanoff.spins.statistics import independent_mean, jackknife

Values = NDArray[np.float64]
FARTHEST = 500  # of the fit of G(r)
ARRAYS = ("nearest", "diagonal", "magnetization", "sums", "correlation", "structure", "between", "anisotropy")


@dataclass(frozen=True)
class Measurements:
    """Square tori of side `side` at T_c; arrays have one row a lattice.

    Attributes
    ----------
    nearest, diagonal
        c10 and c11, the mean of s_i s_j over neighbours along the axes, and along both diagonals: (n,).
    magnetization
        A site, (n,).
    sums
        Share of the blocks (3 x 3) with 0, 1, ... spins up: (n, 10).
    correlation
        G(r) along both axes, r = 0 to side // 2: (n, side // 2 + 1).
    structure
        S(k) = |sum_j s_j exp(i k x_j)|^2 / side^2 along both axes, k = 2 pi m / side, m = 0 to side // 2.
    between, anisotropy
        c10 between blocks less inside of them, and along x less along y (`kadanoff.inverse.quality.asymmetries`): (n,).
    """

    side: int
    nearest: Values
    diagonal: Values
    magnetization: Values
    sums: Values
    correlation: Values
    structure: Values
    between: Values
    anisotropy: Values

    def __len__(self) -> int:
        return len(self.nearest)

    def first(self, count: int) -> "Measurements":
        """The first lattices only."""
        return replace(self, **{name: getattr(self, name)[:count] for name in ARRAYS})


def measure_lattice(spins: Spins, block: int = 3) -> Measurements:
    """Measure one lattice, int8 (y, x)."""
    side = len(spins)
    transform = scipy.fft.rfft2(spins.astype(np.float32))
    power = (transform.real**2 + transform.imag**2) / side**2
    weights = np.full(power.shape[1], 2.0, np.float32)  # of a column and its mirror image
    weights[[0, -1] if side % 2 == 0 else [0]] = 1.0
    along_x = np.fft.irfft(power.sum(0, dtype=np.float64), side) / side
    along_y = np.fft.ifft((power * weights).sum(1, dtype=np.float64)).real / side
    reach = side // 2 + 1
    correlation = (along_x + along_y)[:reach] / 2
    structure = (power[0].astype(np.float64) + power[:reach, 0]) / 2
    diagonal = sum(float((spins * np.roll(spins, (1, step), (0, 1))).mean(dtype=np.float64)) for step in (1, -1)) / 2
    whole = side // block * block  # seeds may have sites left over
    ups = (block_sums(spins[None, :whole, :whole], block, 2) + block**2) // 2
    sums = np.bincount(ups.ravel().astype(np.int64), minlength=block**2 + 1) / ups.size
    numbers = correlation[1], diagonal, spins.mean(dtype=np.float64), sums, correlation, structure
    return Measurements(
        side, *(np.asarray(value, np.float64)[None] for value in numbers), *asymmetries(spins[None], block)
    )


def joined(parts: Sequence[Measurements]) -> Measurements:
    """Measurements of lattices of one size as one."""
    return Measurements(parts[0].side, *(np.concatenate([getattr(item, name) for item in parts]) for name in ARRAYS))


def fit_distances(side: int) -> list[int]:
    """Distances 1, 2, 4, ... of the fit of G(r), and the last: 500, as in CNN-RG-Fast, or L/8 if that is less."""
    last = min(FARTHEST, side // 8)
    return [*(1 << power for power in range(last.bit_length()) if 1 << power < last), last]


def exact_decay(side: int) -> float:
    """What `decay` gives for the exact G(r) of a torus: not quite 1/4.

    G(1) and G(2) lie half a percent above A r^(-1/4), and the torus raises G at large r.
    """
    return decay(side, np.array([critical_row(distance, side) for distance in fit_distances(side)]))


def decay(side: int, correlation: Values) -> float:
    """The exponent x of G(r) ~ r^-x: minus the least-squares slope of ln G over ln r at `fit_distances`."""
    x = np.log(fit_distances(side))
    with np.errstate(invalid="ignore", divide="ignore"):  # not a number if some G is below zero
        return -float((x - x.mean()) @ np.log(correlation) / ((x - x.mean()) ** 2).sum())


def linear(found: Measurements) -> dict[str, Values]:
    """Quantities that are means over lattices, by name: (n,) each, in the units of `estimates`."""
    return {
        "c10_excess": found.nearest + critical_energy(found.side) / 2,
        "c11": found.diagonal,
        "order": np.abs(found.magnetization) * found.side**0.125,
        "square": found.magnetization**2 * found.side**0.25,
        "between_minus_inside": found.between,
        "x_minus_y": found.anisotropy,
    }


def estimates(found: Measurements) -> dict[str, Estimate]:
    """Quantities of lattices at T_c, by name.

    c10 less that of the exact torus, c11, <|m|> L^(1/8), <m^2> L^(1/4), the Binder ratio U4, the exponent of G(r), and
    the two differences of c10 that symmetries make 0.
    """
    values = {name: independent_mean(samples) for name, samples in linear(found).items()}
    near = found.correlation[:, fit_distances(found.side)]
    exponent = jackknife(lambda rows: decay(found.side, rows.mean(0)), near)
    return values | {
        "c11_excess": values["c11"] - critical_diagonal(found.side),
        "binder": binder(found.magnetization),
        "exponent": exponent,
    }


def differences(one: Measurements, other: Measurements) -> dict[str, Estimate]:
    """The `estimates` of lattices less those of others from the same seeds, with the error of the difference."""
    values, others = linear(one), linear(other)
    near = (item.correlation[:, fit_distances(one.side)] for item in (one, other))
    return {name: independent_mean(values[name] - others[name]) for name in values} | {
        "binder": _difference(_binder, one.magnetization, other.magnetization),
        "exponent": _difference(lambda rows: decay(one.side, rows.mean(0)), *near),
    }


def _difference(function: Callable[[Values], float], one: Values, other: Values) -> Estimate:
    return jackknife(lambda both: function(both[:, 0]) - function(both[:, 1]), np.stack([one, other], 1))


def _binder(magnetization: Values) -> float:
    squares = magnetization**2
    return 1 - float((squares**2).mean() / (3 * squares.mean() ** 2))
