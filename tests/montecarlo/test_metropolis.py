"""Metropolis in a field and in both layouts against exact results, and bit by bit against a plain version of itself."""

import itertools

import numpy as np
import pytest
from oracle import agrees, energies_agree, hot, lattices, total_energies

from kadanoff.montecarlo import metropolis
from kadanoff.montecarlo.checkerboard import layout
from kadanoff.montecarlo.metropolis import advance
from kadanoff.montecarlo.rng import heat_bath_threshold, philox, stream_key, threshold
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import transfer_energy_distribution

KEY = stream_key(3, "metropolis")


@pytest.mark.parametrize("field", [0.3, -7.3])
@pytest.mark.parametrize("lattice", lattices((4, 4), (3, 5), (1, 7)), ids=str)
def test_field(lattice, field):
    spins = hot(lattice, 4096)
    advance(spins, lattice, 2.5, field, KEY, 0, 0, 400)
    assert agrees(spins, lattice, 2.5, field)
    assert not agrees(spins, lattice, 2.5, -field)


KINDS = [("periodic", -1), ("antiperiodic",), ("skewed",), ("free",)]


@pytest.mark.parametrize("lattice", [Lattice(128, 3, *kind) for kind in KINDS], ids=str)
def test_both_layouts(lattice, monkeypatch):
    exact, neighbour = (transfer_energy_distribution(lattice, temperature) for temperature in (2.5, 2.6))
    for lanes in ("strips", "replicas"):
        monkeypatch.setattr(metropolis, "layout", lambda _, lanes=lanes: lanes)
        spins = hot(lattice, 512)
        advance(spins, lattice, 2.5, 0.0, KEY, 0, 0, 400)
        found = total_energies(spins, lattice)
        assert energies_agree(found, exact)
        assert not energies_agree(found, neighbour)


# --- the definition ---------------------------------------------------------------------------------------


def random_numbers(lattice, lanes, chain, sweep):
    """r of every site, uint64[y, x], assembled from the planes of its word."""
    strip = lattice.height // (64 if lanes == "strips" else 1)
    columns = -(-((lattice.width + 1) // 2) // 8) * 8
    y, x = np.indices(lattice.shape, np.uint64)
    site = ((y + x) % 2 * strip + y % strip) * columns + x // 2
    group, lane = (chain, y // strip) if lanes == "strips" else (chain // 64, np.uint64(chain % 64))
    r = np.zeros(lattice.shape, np.uint64)
    for pair in range(16):
        counters = (np.full_like(site, word) for word in (sweep, pair, group))
        for word in philox.py_func(KEY, site, *counters):
            r = r * 2 + (word >> lane) % 2
    return r


def colours(lattice):
    """The sites in the order of their updates; an odd row or column that closes a ring comes later."""
    height = lattice.height - (lattice.height % 2 if lattice.down[-1].any() else 0)
    width = lattice.width - (lattice.width % 2 if lattice.right[:, -1].any() else 0)
    sites = itertools.product(range(lattice.height), range(lattice.width))
    return sorted(sites, key=lambda site: (site[0] >= height, site[1] >= width, sum(site) % 2))


def plain_sweep(spins, lattice, temperature, field, r):
    """Metropolis, one site at a time."""
    right, down = lattice.right.astype(int), lattice.down.astype(int)
    for y, x in colours(lattice):
        below, after = (y + 1) % lattice.height, (x + 1) % lattice.width
        local = right[y, x] * spins[y, after] + right[y, x - 1] * spins[y, x - 1] + lattice.ghost[y, x]
        local += down[y, x] * spins[below, x] + down[y - 1, x] * spins[y - 1, x]
        cost = 2 * local * spins[y, x] + 2 * field * spins[y, x]
        heat_bath = field != 0 or min(lattice.shape) <= 4
        accepted = heat_bath_threshold(cost, temperature) if heat_bath else threshold(cost, temperature)
        if r[y, x] < accepted:
            spins[y, x] *= -1


@pytest.mark.parametrize("field", [0.0, 0.4])
@pytest.mark.parametrize("lattice", lattices((5, 7), (4, 18), (1, 9), (128, 3), (256, 4)), ids=str)
def test_bit_by_bit(lattice, field):
    lanes = layout(lattice)
    spins, first_sweep, last_chain = hot(lattice, 3), 7, 64 + 2
    expected = spins[2].astype(int)
    for sweep in range(first_sweep, first_sweep + 2):
        plain_sweep(expected, lattice, 2.0, field, random_numbers(lattice, lanes, last_chain, sweep))
    advance(spins, lattice, 2.0, field, KEY, 64, first_sweep, 2)
    np.testing.assert_array_equal(spins[2], expected)


def test_arrays_must_fit():
    lattice = Lattice(4, 6)
    for spins in (hot(Lattice(6, 4), 2), hot(lattice, 2).astype(np.int64), hot(lattice, 4)[::2]):
        with pytest.raises(ValueError, match="int8"):
            advance(spins, lattice, 2.0, 0.0, KEY, 0, 0, 1)
    with pytest.raises(ValueError, match="multiples of 64"):
        advance(hot(lattice, 2), lattice, 2.0, 0.0, KEY, 3, 0, 1)
