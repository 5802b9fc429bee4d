"""What an exact solution returns: two thermal averages, or the whole distribution of the energy."""

from typing import NamedTuple

from numpy.typing import NDArray

from kadanoff.errors import KadanoffError


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
    """1/T.

    Raises
    ------
    KadanoffError
        If the temperature is not positive.
    """
    if not temperature > 0:
        raise KadanoffError(f"temperature is {temperature}; it must be above 0 (in units of |J|/k_B).")
    return 1 / temperature
