"""What is measured on large critical lattices, one at a time: local order, blocks, G(r) and S(k) along the axes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.superresolve import Spins
from kadanoff.spins.exact import critical_row
from kadanoff.spins.observables import binder, block_sums
from kadanoff.spins.statistics import independent_mean, jackknife

Values = NDArray[np.float64]
FARTHEST = 500  # of the fit of G(r)
ARRAYS = ("nearest", "diagonal", "magnetization", "sums", "correlation", "structure", "between", "anisotropy")


@dataclass(frozen=True)
class Survey:
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

    def first(self, count: int) -> "Survey":
        """The first lattices only."""
        return replace(self, **{name: getattr(self, name)[:count] for name in ARRAYS})

    def order(self) -> Estimate:
        """<|m|> L^(1/8)."""
        return independent_mean(np.abs(self.magnetization) * self.side**0.125)

    def square(self) -> Estimate:
        """<m^2> L^(1/4)."""
        return independent_mean(self.magnetization**2 * self.side**0.25)

    def binder(self) -> Estimate:
        """U4 = 1 - <m^4> / (3 <m^2>^2), of the ensemble."""
        return binder(self.magnetization)


def survey(spins: Spins, block: int = 3) -> Survey:
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
    return Survey(side, *(np.asarray(value, np.float64)[None] for value in numbers), *asymmetries(spins[None], block))


def together(surveys: Sequence[Survey]) -> Survey:
    """Surveys of lattices of one size as one."""
    return Survey(surveys[0].side, *(np.concatenate([getattr(item, name) for item in surveys]) for name in ARRAYS))


def paired_ratio(small: Survey, large: Survey, distances: Sequence[int]) -> list[Estimate]:
    """<G_3L(3 r)> / <G_L(r)> for r in `distances`, lattices paired: row j of `large` grew from row j of `small`.

    At the critical point it is 3^(-1/4) up to corrections in 1/r^2.
    """
    factor = large.side // small.side
    found = []
    for distance in distances:
        pairs = np.stack([small.correlation[:, distance], large.correlation[:, factor * distance]], 1)
        found.append(_of_means(lambda mean: mean[1] / mean[0], pairs))
    return found


def fit_distances(side: int) -> list[int]:
    """Distances 1, 2, 4, ... of the fit of G(r), and the last: 500, as in CNN-RG-Fast, or L/8 if that is less."""
    last = min(FARTHEST, side // 8)
    return [*(1 << power for power in range(last.bit_length()) if 1 << power < last), last]


def slope_weights(distances: Sequence[int]) -> Values:
    """What the least-squares slope over ln r multiplies the values at these distances by: (distances,)."""
    x = np.log(np.asarray(distances, float))
    return (x - x.mean()) / ((x - x.mean()) ** 2).sum()


def exact_decay(side: int) -> float:
    """What the fit of `decay` gives for the exact G(r) of a torus: not quite 1/4.

    G(1) and G(2) lie half a percent above A r^(-1/4), and the torus raises G at large r.
    """
    distances = fit_distances(side)
    return -float(slope_weights(distances) @ np.log([critical_row(distance, side) for distance in distances]))


def decay(found: Survey, distances: Sequence[int]) -> Estimate:
    """The exponent x of G(r) ~ r^-x: minus the least-squares slope of ln G over ln r at these distances."""
    weights = slope_weights(distances)
    with np.errstate(invalid="ignore", divide="ignore"):  # not a number if some G is below zero
        return _of_means(lambda mean: -float(weights @ np.log(mean)), found.correlation[:, list(distances)])


def _of_means(function: Callable[[Values], float], rows: Values) -> Estimate:
    return jackknife(lambda part: function(part.mean(0)), rows)
