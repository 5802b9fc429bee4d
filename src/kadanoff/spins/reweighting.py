"""Thermal averages of configurations of one temperature, there and at temperatures nearby."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.spins.observables import magnetization, periodic_energy, specific_heat, susceptibility
from kadanoff.spins.statistics import independent_mean, jackknife

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ThermalSample:
    """Energy and magnetization per site of independent configurations, float64 (n,), at one temperature in |J|/k_B.

    `uncertainty` is the standard error of the temperature.
    """

    temperature: float
    sites: int
    energy: Values
    magnetization: Values
    uncertainty: float = 0.0

    @classmethod
    def of(cls, temperature: float, spins: NDArray[np.int8], uncertainty: float = 0.0) -> "ThermalSample":
        """Measure int8 tori (n, y, x) or rings (n, x)."""
        values = periodic_energy(spins), magnetization(spins, spins.ndim - 1)
        return cls(float(temperature), spins[0].size, *values, float(uncertainty))

    @property
    def order(self) -> Estimate:
        """<|m|>."""
        return independent_mean(np.abs(self.magnetization))

    @property
    def mean_energy(self) -> Estimate:
        """<e>."""
        return independent_mean(self.energy)

    @property
    def susceptibility(self) -> Estimate:
        """Response of |m| to a field."""
        return susceptibility(np.abs(self.magnetization), self.sites, self.temperature)

    @property
    def heat(self) -> Estimate:
        """Specific heat per site."""
        return specific_heat(self.energy, self.sites, self.temperature)

    def minus(self, estimate: Estimate, curve: Callable[[float], float]) -> Estimate:
        """An average of these less a function of the temperature, whose error is in that of the result."""
        low, high = (curve(self.temperature + sign * self.uncertainty) for sign in (-1, 1))
        return estimate - Estimate(curve(self.temperature), abs(high - low) / 2)


def reweighted(sample: ThermalSample, temperature: float, blocks: int | None = None) -> dict[str, Estimate]:
    """`order` and `susceptibility` at another temperature nearby, with errors by a jackknife of so many blocks.

    Every configuration weighs exp(-E (1/T' - 1/T)): Ferrenberg and Swendsen, Phys. Rev. Lett. 61, 2635 (1988).
    """
    exponents = -sample.sites * sample.energy * (1 / temperature - 1 / sample.temperature)
    samples = np.stack([np.abs(sample.magnetization), np.exp(exponents - exponents.max())], axis=1)

    def average(rows: NDArray, power: int = 1) -> float:
        return float(np.average(rows[:, 0] ** power, weights=rows[:, 1]))

    def variance(rows: NDArray) -> float:
        return sample.sites / temperature * (average(rows, 2) - average(rows) ** 2)

    return {"order": jackknife(average, samples, blocks), "susceptibility": jackknife(variance, samples, blocks)}


def minus_reweighted(sample: ThermalSample, observable: str, reference: ThermalSample) -> Estimate:
    """`order` or `susceptibility` less that of an independent sample, reweighted to the temperature of this one."""
    known = reweighted(reference, sample.temperature)[observable]

    def curve(temperature: float) -> float:
        return reweighted(reference, temperature, blocks=2)[observable].mean

    return sample.minus(getattr(sample, observable), curve) - Estimate(0.0, known.error)


def interval_shares(values: Values, step: float, edges: Values) -> list[Estimate]:
    """Share of each bin, of values that are multiples of `step` and stand for the interval around them.

    A value is spread evenly up to the middle between it and the next, so that no bin holds more of them than another
    by chance.
    """
    below = np.clip((edges - values[:, None]) / step + 0.5, 0, 1)
    return [independent_mean(column) for column in np.diff(below, axis=1).T]
