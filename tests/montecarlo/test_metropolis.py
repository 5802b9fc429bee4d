"""Metropolis against enumeration, transfer matrix and Kaufman, and bit by bit against a plain version of itself."""

import hashlib
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from oracle import SIGMAS, energies_agree, sigmas

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.checkerboard import layout
from kadanoff.montecarlo.metropolis import _advance, advance
from kadanoff.montecarlo.rng import heat_bath_threshold, philox, stream_key, threshold
from kadanoff.spins.boundary import BOUNDARIES, Lattice
from kadanoff.spins.exact import (
    T_C,
    enumerate_states,
    kaufman_energy_distribution,
    transfer_energy_distribution,
)
from kadanoff.spins.observables import energy

KEY = stream_key(3, "metropolis")
CHAINS, SWEEPS = 4096, 400


def lattices(*shapes):
    """Every boundary and sign of the coupling; a height of 1 makes a chain, which has no skewed boundary."""
    return [
        Lattice(*shape, boundary, coupling, dimension=min(shape[0], 2))
        for shape, boundary, coupling in itertools.product(shapes, BOUNDARIES, (1, -1))
        if shape[0] > 1 or boundary != "skewed"
    ]


def hot(lattice, chains, seed=1):
    return 2 * np.random.default_rng(seed).integers(0, 2, (chains, *lattice.shape), np.int8) - 1


def sample(lattice, temperature, field=0.0, chains=CHAINS, sweeps=SWEEPS, lanes=None):
    spins = hot(lattice, chains)
    _advance(spins, lattice, temperature, field, KEY, 0, 0, sweeps, lanes or layout(lattice))
    return spins


def total_energies(spins, lattice, field=0.0):
    shaped = spins if lattice.dimension == 2 else spins[:, 0]
    return np.rint(energy(shaped, lattice) * lattice.sites) - field * spins.sum((1, 2))


def agrees(lattice, spins, temperature, field=0.0):
    exact = enumerate_states(lattice)
    m = spins.mean((1, 2))
    m1, m2, m4 = (exact.magnetization(temperature, field, power=n) for n in (1, 2, 4))
    near = sigmas(m, m1, m2) < SIGMAS and sigmas(m**2, m2, m4) < SIGMAS
    return near and energies_agree(total_energies(spins, lattice, field), exact.energy_distribution(temperature, field))


@pytest.mark.parametrize("temperature", [1.5, T_C, 5.0])
@pytest.mark.parametrize("lattice", lattices((4, 4)), ids=str)
def test_4_by_4(lattice, temperature):
    assert agrees(lattice, sample(lattice, temperature), temperature)


@pytest.mark.parametrize("lattice", lattices((3, 3), (3, 4), (4, 3), (5, 3), (2, 5), (5, 2), (2, 2)), ids=str)
def test_odd_and_narrow(lattice):
    assert agrees(lattice, sample(lattice, 2.0), 2.0)


@pytest.mark.parametrize("lattice", lattices((1, 2), (1, 3), (1, 8), (1, 9)), ids=str)
def test_chain(lattice):
    assert agrees(lattice, sample(lattice, 1.2), 1.2)


@pytest.mark.parametrize("field", [0.3, -7.3])
@pytest.mark.parametrize("lattice", lattices((4, 4), (3, 5), (1, 7)), ids=str)
def test_field(lattice, field):
    assert agrees(lattice, sample(lattice, 2.5, field), 2.5, field)


@pytest.mark.parametrize("lattice", lattices((4, 4)), ids=str)
def test_the_oracle_rejects_a_neighbour(lattice):
    spins = sample(lattice, T_C)
    assert not agrees(lattice, spins, 1.1 * T_C)
    assert not agrees(lattice, spins, T_C / 1.1)
    assert not agrees(lattice, spins, T_C, 0.3)


@pytest.mark.parametrize(("size", "boundary"), [(8, "periodic"), (15, "periodic"), (16, "antiperiodic")])
def test_kaufman(size, boundary):
    lattice = Lattice(size, size, boundary)
    found = total_energies(sample(lattice, 2.5, chains=2048, sweeps=600), lattice)
    assert energies_agree(found, kaufman_energy_distribution(size, size, 2.5, boundary))
    assert not energies_agree(found, kaufman_energy_distribution(size, size, 2.56, boundary))


@pytest.mark.parametrize("lattice", [*lattices((128, 3)), Lattice(128, 4), Lattice(128, 4, "free")], ids=str)
def test_both_layouts(lattice):
    exact, neighbour = (transfer_energy_distribution(lattice, temperature) for temperature in (2.5, 2.6))
    for lanes in ("strips", "replicas"):
        found = total_energies(sample(lattice, 2.5, chains=512, lanes=lanes), lattice)
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


# --- the same bytes ---------------------------------------------------------------------------------------

SHAPES = [(16, 16), (9, 7), (128, 6)]


@pytest.mark.parametrize("shape", SHAPES)
def test_calls_may_split_sweeps(shape):
    lattice = Lattice(*shape, "skewed")
    once, twice = hot(lattice, 70), hot(lattice, 70)
    advance(once, lattice, T_C, 0.1, KEY, 64, 5, 9)
    advance(twice, lattice, T_C, 0.1, KEY, 64, 5, 2)
    advance(twice, lattice, T_C, 0.1, KEY, 64, 7, 7)
    assert once.tobytes() == twice.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_calls_may_split_chains_over_threads(shape):
    lattice = Lattice(*shape)
    once, split = hot(lattice, 200), hot(lattice, 200)
    advance(once, lattice, T_C, 0.0, KEY, 0, 0, 20)
    with ThreadPoolExecutor(4) as pool:
        for first in range(0, 200, 64):
            pool.submit(advance, split[first : first + 64], lattice, T_C, 0.0, KEY, first, 0, 20)
    assert once.tobytes() == split.tobytes()


def test_chains_and_keys_differ():
    lattice = Lattice(16, 16)
    spins = np.ones((128, 16, 16), np.int8)
    advance(spins, lattice, T_C, 0.0, KEY, 0, 0, 20)
    assert len({chain.tobytes() for chain in spins}) == 128
    other = np.ones((128, 16, 16), np.int8)
    advance(other, lattice, T_C, 0.0, stream_key(4, "metropolis"), 0, 0, 20)
    assert not (spins == other).all((1, 2)).any()


@pytest.mark.parametrize(
    ("shape", "boundary", "field", "digest"),
    [
        ((16, 16), "periodic", 0.0, "5ee6197656ba712203b1fbad1ddb07fe"),
        ((9, 7), "periodic", 0.2, "e0b747af0b3a7fd88b056be54e5d63bd"),
        ((128, 10), "skewed", 0.0, "e35d409956ee61c64dc29aa02a7f7d57"),
    ],
)
def test_golden_bytes(shape, boundary, field, digest):
    lattice = Lattice(*shape, boundary)
    spins = np.ones((70, *shape), np.int8)
    advance(spins, lattice, 2.269, field, stream_key(0, "golden"), 0, 0, 50)
    assert hashlib.md5(spins.tobytes()).hexdigest() == digest


# --- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(temperature):
    lattice = Lattice(4, 4)
    with pytest.raises(KadanoffError, match="temperature"):
        advance(hot(lattice, 2), lattice, temperature, 0.0, KEY, 0, 0, 1)


def test_arrays_must_fit():
    lattice = Lattice(4, 6)
    for spins in (hot(Lattice(6, 4), 2), hot(lattice, 2).astype(np.int64), hot(lattice, 4)[::2]):
        with pytest.raises(ValueError, match="int8"):
            advance(spins, lattice, 2.0, 0.0, KEY, 0, 0, 1)
    with pytest.raises(ValueError, match="multiples of 64"):
        advance(hot(lattice, 2), lattice, 2.0, 0.0, KEY, 3, 0, 1)
