"""Small lattices of any boundary, in a field too, all states counted; and narrow ones, by the transfer matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.compiled import compiled
from kadanoff.spins.exact.thermal import EnergyDistribution, Thermal, inverse_temperature

MOST_SITES = 25
MOST_NUMBERS = 2**25


@dataclass(frozen=True)
class Enumeration:
    """Number of states of a lattice by energy and magnetization.

    Its methods take the temperature and the field B, and return exact Boltzmann averages. Energies include the ghost
    spins and the field.

    Parameters
    ----------
    sites
        Number of spins N.
    energies
        Total energies at B = 0, rising. Shape (levels,).
    magnetizations
        Sums of the spins: -N, -N+2, ..., N. Shape (N + 1,).
    degeneracies
        Number of states. Shape (levels, N + 1).
    """

    sites: int
    energies: NDArray[np.int64]
    magnetizations: NDArray[np.int64]
    degeneracies: NDArray[np.int64]

    def total_energies(self, field: float = 0.0) -> NDArray[np.float64]:
        """E - B M of every class of states. Shape (levels, N + 1)."""
        return self.energies[:, None] - field * self.magnetizations.astype(float)

    def probabilities(self, temperature: float, field: float = 0.0) -> NDArray[np.float64]:
        """Probability of every class of states. Shape (levels, N + 1)."""
        occupied, energies = self.degeneracies > 0, self.total_energies(field)
        above_ground = np.where(occupied, energies - energies[occupied].min(), 0)
        weights = self.degeneracies * np.exp(-inverse_temperature(temperature) * above_ground)
        return weights / weights.sum()

    def energy_distribution(self, temperature: float, field: float = 0.0) -> EnergyDistribution:
        """P(E) over total energies, the field's share included."""
        # With a field, sums that are equal on paper differ in the last bits: 9 decimals make them one level.
        occupied = self.degeneracies > 0
        levels, index = np.unique(self.total_energies(field)[occupied].round(9), return_inverse=True)
        probabilities = self.probabilities(temperature, field)[occupied]
        return EnergyDistribution(levels, np.bincount(index, probabilities))

    def thermal(self, temperature: float, field: float = 0.0) -> Thermal:
        """Mean energy and specific heat per site."""
        return self.energy_distribution(temperature, field).thermal(self.sites, temperature)

    def magnetization(self, temperature: float, field: float = 0.0, power: int = 1) -> float:
        """<m^power> of the magnetization per site m."""
        moments = (self.magnetizations / self.sites) ** power
        return float(self.probabilities(temperature, field).sum(0) @ moments)

    def absolute_magnetization(self, temperature: float, field: float = 0.0) -> float:
        """<|m|> of the magnetization per site m."""
        return float(self.probabilities(temperature, field).sum(0) @ np.abs(self.magnetizations / self.sites))


def enumerate_states(lattice: Lattice) -> Enumeration:
    """Count all 2^N states of a lattice of up to 25 spins (0.3 s; 16 spins: 1 ms); KadanoffError if there are more."""
    if lattice.sites > MOST_SITES:
        raise KadanoffError(
            f"{lattice.height} x {lattice.width} has {lattice.sites} spins; enumeration takes at most "
            f"{MOST_SITES}. Use `transfer_energy_distribution` or `kaufman`."
        )
    offset = int(sum(np.abs(bonds).sum() for bonds in (lattice.right, lattice.down, lattice.ghost)))
    counts = np.zeros((2 * offset + 1, lattice.sites + 1), np.int64)
    _count(lattice.right, lattice.down, lattice.ghost, offset, counts)
    occupied = counts.any(1)
    energies, magnetizations = np.arange(-offset, offset + 1), 2 * np.arange(lattice.sites + 1) - lattice.sites
    return Enumeration(lattice.sites, energies[occupied], magnetizations, counts[occupied])


@compiled
def _count(right, down, ghost, offset, counts):
    """Walk a Gray code from the all-down state, one flip a step, and count each (energy, up spins)."""
    height, width = right.shape
    spins = np.full((height, width), -1, np.int64)
    energy = 0
    for y in range(height):
        for x in range(width):
            energy += ghost[y, x] - right[y, x] - down[y, x]
    up = 0
    counts[energy + offset, up] += 1
    for step in range(1, 1 << (height * width)):
        site = 0
        while not (step >> site) & 1:
            site += 1
        y, x = site // width, site % width
        local = ghost[y, x] + right[y, x - 1] * spins[y, x - 1] + down[y - 1, x] * spins[y - 1, x]
        local += right[y, x] * spins[y, (x + 1) % width] + down[y, x] * spins[(y + 1) % height, x]
        energy += 2 * spins[y, x] * local
        spins[y, x] = -spins[y, x]
        up += spins[y, x]
        counts[energy + offset, up] += 1


def transfer_energy_distribution(lattice: Lattice, temperature: float) -> EnergyDistribution:
    """P(E) over total energies, ghost rows included, spin by spin and row by row.

    Kramers and Wannier, Phys. Rev. 60, 252 (1941), with a polynomial in place of each number: it counts the
    unsatisfied bonds so far, each of which weighs exp(-2/T). All terms are positive, so nothing cancels. It
    takes 2^width (bonds + 1) numbers for `free` and `skewed`, and 2^width times more for the tori, which
    `kaufman` solves at any size. 16 x 8 takes 0.02 s, 40 x 10 takes 0.5 s. KadanoffError if the temperature is not
    positive, or the state would take more than 2^25 numbers.
    """
    weight = float(np.exp(-2 * inverse_temperature(temperature)))
    bonds = int(sum(np.abs(group).sum() for group in (lattice.right, lattice.down, lattice.ghost)))
    first_rows = 2**lattice.width if lattice.down[-1].any() else 1
    if first_rows * 2**lattice.width * (bonds + 1) > MOST_NUMBERS:
        raise KadanoffError(
            f"{lattice.height} x {lattice.width} {lattice.boundary} is too large for the transfer matrix; "
            "make it narrower, or take `exact_energy_distribution` of a torus or cylinder."
        )
    rows = 1 - 2 * (np.arange(2**lattice.width)[:, None] >> np.arange(lattice.width)[::-1] & 1)
    state = np.zeros((first_rows, len(rows), bonds + 1))
    state[..., 0] = np.eye(len(rows)) if first_rows > 1 else 1
    for y in range(lattice.height):
        if y:
            for x in range(lattice.width):
                state = _next_spin(state, x, lattice.down[y - 1, x], weight)
        for products in (lattice.ghost[y] * rows, lattice.right[y] * rows * np.roll(rows, -1, 1)):
            for product in products.T:
                _penalize(state, product, weight)
        state /= state.sum()
    if first_rows > 1:
        for bond, spins in zip(lattice.down[-1], rows.T, strict=True):
            _penalize(state, bond * np.multiply.outer(spins, spins), weight)
    probabilities = state.sum((0, 1))
    return EnergyDistribution(2.0 * np.arange(bonds + 1) - bonds, probabilities / probabilities.sum())


def _penalize(state: NDArray, product: NDArray, weight: float) -> None:
    """Add a bond, in place, whose J s s' is `product` for each row of spins; 0 is no bond."""
    broken = np.broadcast_to(product < 0, state.shape[:2])
    state[broken] = _raise(state[broken], weight)


def _next_spin(state: NDArray, x: int, bond: int, weight: float) -> NDArray:
    """Sum over spin `x` of the old row and put in its place the spin below it."""
    old = state.reshape(len(state), 2**x, 2, -1, state.shape[-1])
    parallel, opposite = (old, _raise(old, weight)) if bond > 0 else (_raise(old, weight), old)
    return (parallel + opposite[:, :, ::-1]).reshape(state.shape)


def _raise(state: NDArray, weight: float) -> NDArray:
    """One more unsatisfied bond."""
    raised = np.zeros_like(state)
    raised[..., 1:] = weight * state[..., :-1]
    return raised
