"""What an exact solution returns: two thermal averages, or the whole distribution of the energy."""

from math import inf
from typing import NamedTuple

from numpy.typing import NDArray

from kadanoff.errors import KadanoffError, plain, shown

COLDEST = 1e-4


class Thermal(NamedTuple):
    """Mean energy and specific heat, both per site, in units of J and k_B."""

    energy: float
    specific_heat: float


class EnergyDistribution(NamedTuple):
    """P(E): `levels` are total energies in units of J, rising; `probabilities` sum to 1."""

    levels: NDArray
    probabilities: NDArray

    def thermal(self, sites: int, temperature: float) -> Thermal:
        """Mean energy and specific heat per site: <E>/N and var(E)/(N T^2)."""
        mean = self.probabilities @ self.levels
        variance = self.probabilities @ (self.levels - mean) ** 2
        return Thermal(float(mean / sites), float(variance / (sites * temperature**2)))


def inverse_temperature(temperature: float) -> float:
    """1/T; KadanoffError if the temperature is not positive, finite and above `COLDEST`."""
    number = plain(temperature)
    if type(number) not in (int, float) or not COLDEST <= number < inf:
        raise KadanoffError(
            f"temperature is {shown(temperature)}; it must be above 0 (in units of |J|/k_B), at least {COLDEST:g} for "
            "the digits that exact results need, and finite."
        )
    return 1 / number
