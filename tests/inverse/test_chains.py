"""Chains of doublings: the same whatever the slices and threads, and the conditional with the known Hamiltonian."""

import numpy as np
import pytest

import kadanoff
from kadanoff.inverse.chains import doubling_by_blocks, doubling_by_pixels, grow, measure
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.tables import Table, known
from kadanoff.montecarlo import metropolis
from kadanoff.networks.registry import build
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C
from kadanoff.spins.observables import two_point
from kadanoff.spins.surroundings import parts


@pytest.fixture(scope="module")
def seeds():
    return kadanoff.simulate(8, [T_C], 200, seed=3).spins[0]


@pytest.fixture(scope="module")
def scheme():
    """Even odds for the first two parts, the exact conditional for the last: a crude draw, but one that depends."""
    even = [
        Table(part, known("majority", 2, 2, 1e6).probabilities[np.arange(2**part.inputs) & 1]) for part in parts(2, 2)
    ]
    return [*even[:2], known("majority", 2, 2, T_C)]


def test_measurements_are_those_of_the_observables():
    spins = 2 * np.random.default_rng(1).integers(0, 2, (20, 16, 16), np.int8) - 1
    energy, magnetization, half, quarter, *symmetry = measure(spins)
    correlation = two_point(spins)
    assert np.allclose(half, correlation[:, 8])
    assert np.allclose(quarter, correlation[:, 4])
    assert np.allclose(energy, -2 * correlation[:, 1])
    assert np.allclose(magnetization, spins.mean((1, 2)))
    np.testing.assert_array_equal(symmetry, asymmetries(spins, 2))


@pytest.mark.parametrize("kind", ["blocks", "refined", "pixels"])
def test_a_chain_does_not_depend_on_slices_and_threads(seeds, scheme, kind):
    model = build("pixels", rule="majority", block=2, dimension=2, temperatures=[2.0], width=4, layers=2)
    double = doubling_by_blocks(scheme, 5, float(T_C), 3 if kind == "refined" else 0)
    double = doubling_by_pixels(model.networks[0], 5) if kind == "pixels" else double
    whole, alone = grow(seeds, 2, double, 2), grow(seeds[:70], 2, double, 1)
    assert whole.sizes == (8, 16, 32)
    for name in ("energy", "magnetization", "half", "quarter", "between", "anisotropy"):
        assert (getattr(whole, name)[:, :70] == getattr(alone, name)).all()


def test_refinement_leaves_the_critical_ensemble_alone_and_heals_another(scheme):
    """Exact energies after sweeps from equilibrium; from random blocks far above, then nearer. Threshold: 4 sigma."""
    fine = kadanoff.simulate(16, [T_C], 1024, seed=8).spins[0]
    exact = kadanoff.spins.exact.kaufman(16, 16, T_C).energy
    healed = [
        grow(kadanoff.simulate(8, [T_C], 256, seed=9).spins[0], 1, doubling_by_blocks(scheme, 1, float(T_C), n)).energy[
            1
        ]
        for n in (0, 8)
    ]
    for temperature, kept in ((float(T_C), True), (2.5, False)):
        swept = fine.copy()
        metropolis.advance(swept, Lattice.of(16), temperature, 0.0, np.uint64(3), 0, 0, 20)
        found = measure(swept)[0]
        assert (abs(found.mean() - exact) < 4 * found.std() / np.sqrt(len(found))) == kept
    assert healed[0].mean() > exact + 0.05  # the negative control: not every start has the right energy
    assert abs(healed[1].mean() - exact) < abs(healed[0].mean() - exact) / 2
