"""Gibbs sweeps under the renormalized Hamiltonian: the conditional is right, the sweeps keep its ensemble."""

import numpy as np
import pytest

import kadanoff
from kadanoff.inverse.renormalized import PART, RenormalizedGibbs, conditional_log_odds
from kadanoff.inverse.training import coarsened
from kadanoff.montecarlo.rng import stream_key
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C
from kadanoff.spins.observables import energy
from kadanoff.spins.statistics import independent_mean
from kadanoff.spins.surroundings import AROUND, symmetries

STREAM = stream_key(5, "test"), 0
WEIGHTS = 1 << np.arange(len(AROUND))


def seen(spins):
    """Row of the table of every spin of one lattice, the slow gibbs."""
    return sum((np.roll(spins, (-y, -x), (0, 1)) > 0).astype(int) << bit for bit, (y, x) in enumerate(AROUND))


def coupled(coupling):
    """The conditional of a nearest-neighbour lattice: ln P(up) / P(down) = 2 K (sum of the neighbours)."""
    rows = np.arange(1 << len(AROUND))
    near = [bit for bit, (y, x) in enumerate(AROUND) if y * y + x * x == 1]
    field = sum(2 * (rows >> bit & 1) - 1 for bit in near)
    return (2 * coupling * field).astype(np.float32)


def parity():
    """A spin becomes the parity of all that it sees, for sure, so that nothing that is other is forgotten."""
    return np.where(np.bitwise_count(np.arange(1 << len(AROUND))) % 2, 60, -60).astype(np.float32)


@pytest.fixture(scope="module")
def critical():
    return kadanoff.simulate(96, [float(T_C)], 200, sampler="swendsen_wang", seed=8).spins[0]


@pytest.fixture(scope="module")
def log_odds(critical):
    return conditional_log_odds(critical, "majority", 3)


def test_every_spin_sees_the_spins_around_it():
    spins = 2 * np.random.default_rng(1).integers(0, 2, (1, 32, 48), np.int8) - 1
    found = RenormalizedGibbs(parity(), 1).sweep(spins, STREAM)[0]
    # the first of the 16 sublattices sees the lattice as it was, the last as it is then
    np.testing.assert_array_equal(found[::4, ::4] > 0, np.bitwise_count(seen(spins[0]))[::4, ::4] % 2 == 1)
    np.testing.assert_array_equal(found[3::4, 3::4] > 0, np.bitwise_count(seen(found))[3::4, 3::4] % 2 == 1)


@pytest.mark.parametrize("factor", [1.0, 0.95])
def test_gibbs_sweeps_keep_the_ensemble_of_their_conditional(critical, factor):
    swept = RenormalizedGibbs(coupled(factor / T_C), 20).sweep(critical, STREAM)
    lattice = Lattice.of(96)
    off = independent_mean(energy(swept, lattice) - energy(critical, lattice)).sigmas(0.0)
    assert abs(off) < 3 if factor == 1.0 else abs(off) > 6


def test_the_counted_conditional_is_that_of_a_known_hamiltonian(critical):
    # decimation by a block of 1 leaves the lattice, so its conditional is known
    found, exact = conditional_log_odds(critical, "decimation", 1), coupled(1 / T_C)
    rows, counts = np.unique(np.concatenate([seen(spins).ravel() for spins in critical]), return_counts=True)
    often = rows[counts > 1000]
    chance = 1 / (1 + np.exp(-exact[often]))
    assert len(often) > 10
    assert np.abs(1 / (1 + np.exp(-found[often])) - chance).max() < 0.012
    assert np.abs(1 / (1 + np.exp(-coupled(1.1 / T_C)[often])) - chance).max() > 0.012


def test_it_has_the_symmetries_of_the_square_and_the_flip(log_odds):
    found, rows = log_odds, np.random.default_rng(0).integers(0, 1 << len(AROUND), 5000)
    bits = rows[:, None] >> np.arange(len(AROUND)) & 1
    for places, _ in symmetries(PART, 1):
        np.testing.assert_allclose(found[rows], found[bits[:, places] @ WEIGHTS], atol=1e-6)
    np.testing.assert_allclose(found, -found[::-1], atol=1e-6)


def test_blocked_lattices_stay_as_they_are_and_others_become_like_them(critical, log_odds):
    gibbs = RenormalizedGibbs(log_odds)
    blocked = energy(coarsened(critical, "majority", 3), Lattice.of(32))
    assert abs(gibbs.energy_drift(critical, "majority", 3, 0).sigmas(0.0)) < 3
    plain = kadanoff.simulate(32, [float(T_C)], 1000, seed=9).spins[0]
    before, after = (independent_mean(energy(s, Lattice.of(32))) for s in (plain, gibbs.sweep(plain, STREAM)))
    assert before.sigmas(independent_mean(blocked)) > 3
    assert abs(after.sigmas(independent_mean(blocked))) < 3


@pytest.mark.parametrize("first", [40, 244])
def test_a_band_is_that_of_the_whole(critical, log_odds, first):
    gibbs = RenormalizedGibbs(log_odds, 4)
    spins = np.tile(critical[:1], (1, 3, 1))[:, :256]
    rows = np.arange(first - gibbs.halo, first + 16 + gibbs.halo) % 256
    found = gibbs.sweep(spins[:, rows], STREAM, (int(rows[0]), 256))[:, gibbs.halo : -gibbs.halo]
    whole = gibbs.sweep(spins, STREAM)
    np.testing.assert_array_equal(found, whole[:, np.arange(first, first + 16) % 256])
    short = gibbs.sweep(spins[:, rows], STREAM, (int(rows[0]), 256))[:, : gibbs.halo // 5]
    assert (short != whole[:, rows[: gibbs.halo // 5]]).any()  # rows near the end are spoilt


@pytest.mark.parametrize("sweeps", [1, 5])
def test_the_halo_is_as_far_as_sweeps_can_carry(sweeps):
    """Seen at the upper end; at the lower one two rows are spared."""
    gibbs = RenormalizedGibbs(parity(), sweeps)
    spins = 2 * np.random.default_rng(2).integers(0, 2, (1, 96, 64), np.int8) - 1
    found = gibbs.sweep(spins[:, 8:88], STREAM, (8, 96))[0]
    (spoilt,) = np.nonzero((found != gibbs.sweep(spins, STREAM)[0, 8:88]).any(1))
    assert spoilt.tolist() == [*range(gibbs.halo), *range(80 - gibbs.halo + 2, 80)]


def test_what_was_seldom_seen_is_guessed_from_the_nearest_spins():
    """All spins up: a surrounding that never was is taken as its nearest 12 spins, or 4, or as even."""
    found = conditional_log_odds(np.ones((1, 8, 8), np.int8), "decimation", 1)
    distance = np.array([y * y + x * x for y, x in AROUND])
    seen = 8 * 64  # in all positions
    guess = {0: 0.5}
    for reach, nearer in ((1, 0), (4, 1), (5, 4)):
        guess[reach] = (seen + 4 * guess[nearer]) / (seen + 4)
    for reach, up in guess.items():
        row = (distance <= reach) @ WEIGHTS if reach else WEIGHTS[distance == 1][0]  # these are up, all others down
        assert found[row] == pytest.approx(np.log(up / (1 - up)), abs=1e-6)
        assert found[WEIGHTS.sum() - row] == pytest.approx(-found[row])
