"""Every sampler against enumeration and Kaufman; and its bytes: the same in any parts, and as they always were."""

import hashlib

import numpy as np
import pytest
from oracle import SIGMAS, agrees, energies_agree, hot, lattices, sigmas, total_energies

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.samplers import SAMPLERS
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, exact_energy_distribution, kaufman

KEY = stream_key(5, "samplers")
KEYS = {name: stream_key(seed, name) for name, seed in (("metropolis", 3), ("swendsen_wang", 5), ("hybrid", 6))}
CHAINS = 2000
SWEEPS = {
    "metropolis": 400,
    "swendsen_wang": 100,
    "hybrid": 25,
}  # the slowest is 4 x 4 skewed at T = 1.5


def sample(sampler, lattice, temperature, chains=CHAINS):
    spins = hot(lattice, chains)
    SAMPLERS[sampler](spins, lattice, temperature, 0.0, KEYS[sampler], 0, 0, SWEEPS[sampler])
    return spins


@pytest.mark.parametrize("temperature", [1.5, T_C])
@pytest.mark.parametrize("lattice", lattices((4, 4)), ids=str)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_4_by_4(sampler, lattice, temperature):
    spins = sample(sampler, lattice, temperature)
    assert agrees(spins, lattice, temperature)
    assert not agrees(spins, lattice, 1.15 * temperature)
    assert not agrees(spins, lattice, temperature / 1.15)


@pytest.mark.parametrize("lattice", lattices((3, 3), (3, 4), (5, 2), (2, 5), (1, 2), (1, 9)), ids=str)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_chains_and_odd_and_rectangular_lattices_and_doubled_bonds(sampler, lattice):
    temperature = 2.0 if lattice.dimension == 2 else 1.2
    assert agrees(sample(sampler, lattice, temperature), lattice, temperature)


TORI = 1024
FROM_ORDER = {"metropolis": 1000, "swendsen_wang": 100, "hybrid": 50}  # 20 autocorrelation times at T_c and L = 20


@pytest.mark.parametrize("size", [8, 20])
@pytest.mark.parametrize(("boundary", "coupling"), [("periodic", 1), ("antiperiodic", -1)])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_tori_have_kaufmans_energy_and_specific_heat_and_the_exact_distribution(sampler, boundary, coupling, size):
    lattice = Lattice(size, size, boundary, coupling)
    ordered = 1 - 2 * (np.indices(lattice.shape).sum(0) % 2) if coupling == -1 else np.ones(lattice.shape)
    for temperature in (T_C, 3.0):
        spins = np.repeat(ordered[None].astype(np.int8), TORI, axis=0)
        key = stream_key(9, sampler, temperature, *lattice.shape, lattice.boundary, lattice.coupling)
        SAMPLERS[sampler](spins, lattice, temperature, 0.0, key, 0, 0, FROM_ORDER[sampler])
        values = total_energies(spins, lattice)
        assert energies_agree(values, exact_energy_distribution(lattice, temperature))
        # and by the other way to the same numbers, the derivatives of ln Z
        mean, heat = kaufman(size, size, temperature, boundary, coupling)
        square = heat * temperature**2 / lattice.sites + mean**2
        assert sigmas(values / lattice.sites, mean, square) < SIGMAS
        assert not energies_agree(values, exact_energy_distribution(lattice, 1.04 * temperature))


SPLIT = [Lattice(4, 4, "skewed"), Lattice(9, 7), Lattice(6, 100, "skewed"), Lattice(128, 6, "antiperiodic")]


@pytest.mark.parametrize("lattice", SPLIT, ids=str)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_calls_may_split_chains_and_sweeps(sampler, lattice):
    advance = SAMPLERS[sampler]
    whole = hot(lattice, 70)  # a group of 64 lanes, and a part of the next
    parts = whole.copy()
    advance(whole, lattice, T_C, 0.0, KEY, 128, 5, 9)
    advance(parts[64:], lattice, T_C, 0.0, KEY, 192, 5, 9)
    for first_sweep, sweeps in ((5, 2), (7, 0), (7, 7)):
        advance(parts[:64], lattice, T_C, 0.0, KEY, 128, first_sweep, sweeps)
    assert np.array_equal(whole, parts)
    assert len({chain.tobytes() for chain in whole}) > 1


@pytest.mark.parametrize("changed", [{"key": KEY + np.uint64(1)}, {"first_chain": 64}, {"first_sweep": 1}])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_place_gives_other_bits(sampler, changed):
    lattice, place = Lattice(8, 8), {"key": KEY, "first_chain": 0, "first_sweep": 0}
    results = []
    for where in (place, place | changed):
        spins = np.ones((1, 8, 8), np.int8)
        SAMPLERS[sampler](spins, lattice, 3.0, 0.0, **where, sweeps=1)
        results.append(spins)
    assert not np.array_equal(*results)


GOLDEN, YEAR, TWISTED = stream_key(0, "golden"), np.uint64(2024), Lattice(5, 67, "antiperiodic")
TALL = Lattice(128, 10, "skewed")


@pytest.mark.parametrize(
    ("sampler", "lattice", "chains", "arguments", "digest"),
    [
        ("metropolis", Lattice(16, 16), 70, (2.269, 0.0, GOLDEN, 0, 0, 50), "5ee6197656ba712203b1fbad1ddb07fe"),
        ("metropolis", Lattice(9, 7), 70, (2.269, 0.2, GOLDEN, 0, 0, 50), "e0b747af0b3a7fd88b056be54e5d63bd"),
        ("metropolis", TALL, 70, (2.269, 0.0, GOLDEN, 0, 0, 50), "e35d409956ee61c64dc29aa02a7f7d57"),
        ("swendsen_wang", TWISTED, 3, (2.0, 0.0, YEAR, 1, 2, 30), "7c9173f40adeb61ed001598a05987b4b"),
        ("hybrid", TWISTED, 3, (2.0, 0.0, YEAR, 64, 2, 10), "e47bfcba64728219e5e7fa0586be6e4d"),
    ],
    ids=str,
)  # fmt: skip
def test_golden_bytes(sampler, lattice, chains, arguments, digest):
    spins = np.ones((chains, *lattice.shape), np.int8)
    SAMPLERS[sampler](spins, lattice, *arguments)
    assert hashlib.md5(spins.tobytes(), usedforsecurity=False).hexdigest() == digest


@pytest.mark.parametrize("sampler", ["swendsen_wang", "hybrid"])
def test_clusters_refuse_a_field(sampler):
    spins = np.ones((1, 4, 4), np.int8)
    with pytest.raises(KadanoffError, match=r"field is 0\.1.*sampler: metropolis"):
        SAMPLERS[sampler](spins, Lattice(4, 4), 2.0, 0.1, KEY, 0, 0, 1)
    assert np.all(spins == 1)
