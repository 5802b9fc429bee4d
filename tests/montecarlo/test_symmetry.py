"""Chains end with a random symmetry where a start or the order of updates prefers one of several equal states."""

import itertools
from collections import Counter

import numpy as np
import pytest

import kadanoff
from kadanoff.montecarlo import equilibration, runner
from kadanoff.montecarlo.equilibration import mean_square_over_translations
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.symmetry import symmetrize
from kadanoff.spins.boundary import BOUNDARIES, Lattice
from kadanoff.spins.observables import energy, magnetization

KEY = stream_key(1, "symmetry")
LATTICES = [
    Lattice(*shape, boundary, coupling)
    for boundary, coupling, shape in itertools.product(BOUNDARIES, (1, -1), [(4, 6), (3, 5)])
]


def random_spins(chains, lattice):
    return 2 * np.random.default_rng(2).integers(0, 2, (chains, *lattice.shape), np.int8) - 1


def total(spins, lattice, field):
    return energy(spins, lattice) - field * magnetization(spins)


@pytest.mark.parametrize("field", [0.0, 0.7])
@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_the_energy_of_no_state_changes(lattice, field):
    spins = random_spins(200, lattice)
    mapped = spins.copy()
    symmetrize(mapped, lattice, field, KEY)
    assert total(mapped, lattice, field) == pytest.approx(total(spins, lattice, field))
    assert np.mean([np.array_equal(*pair) for pair in zip(spins, mapped, strict=True)]) < 0.5
    if lattice.boundary != "periodic":
        symmetrize(mapped, Lattice(*lattice.shape), field, KEY)  # the negative control
        assert total(mapped, lattice, field) != pytest.approx(total(spins, lattice, field))


@pytest.mark.parametrize(
    ("lattice", "field", "images"),
    [
        (Lattice(4, 6), 0.0, 4 * 6 * 2 * 2 * 2),
        (Lattice(4, 6), 0.7, 4 * 6 * 2 * 2),
        # a translation by a whole side reverses all spins
        (Lattice(4, 6, "antiperiodic"), 0.0, 4 * 6 * 2 * 2 * 2),
        (Lattice(4, 6, "antiperiodic"), 0.7, 2 * 2),
        (Lattice(4, 6, "skewed"), 0.0, 6 * 2 * 2),
        (Lattice(4, 6, "skewed"), 0.7, 6 * 2),
        (Lattice(4, 6, "free"), 0.0, 2 * 2 * 2),
    ],
    ids=str,
)
def test_every_image_comes_equally_often(lattice, field, images):
    state = random_spins(1, lattice)
    mapped = np.repeat(state, 200 * images, axis=0)
    symmetrize(mapped, lattice, field, KEY)
    counts = np.array(list(Counter(chain.tobytes() for chain in mapped).values()))
    assert len(counts) == images
    chi_squared = ((counts - 200) ** 2 / 200).sum()
    assert abs(chi_squared - (images - 1)) < 4 * np.sqrt(2 * (images - 1))


def test_calls_may_split_the_chains():
    lattice = Lattice(4, 6)
    whole = random_spins(9, lattice)
    parts = whole.copy()
    symmetrize(whole, lattice, 0.0, KEY, 5, 3)
    symmetrize(parts[:4], lattice, 0.0, KEY, 5, 3)
    symmetrize(parts[4:], lattice, 0.0, KEY, 9, 3)
    assert np.array_equal(whole, parts)
    symmetrize(parts, lattice, 0.0, KEY, 5, 4)
    assert not np.array_equal(whole, parts)


def staggered(ensemble):
    height, width = ensemble.spins.shape[2:]
    return (ensemble.spins[0] * (1 - 2 * (np.indices((height, width)).sum(0) % 2))).mean((1, 2))


@pytest.mark.parametrize("arguments", [{}, {"size": (12, 16), "boundary": "skewed"}])
def test_an_antiferromagnet_in_a_field_has_no_preferred_sublattice(arguments, monkeypatch):
    given = {"size": 16, "temperatures": 1.0, "samples": 512, "coupling": -1, "field": 2.0, "sweeps": 1600} | arguments
    found = staggered(kadanoff.simulate(**given))
    assert np.abs(found).mean() > 0.8
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(len(found))
    monkeypatch.setattr(runner, "ends_with_symmetry", lambda *_: False)  # the negative control
    found = staggered(kadanoff.simulate(**given, allow_unequilibrated=True))
    assert abs(found.mean()) > 4 * found.std() / np.sqrt(len(found))


def test_where_no_symmetry_relates_the_sublattices_their_order_is_watched():
    with pytest.raises(kadanoff.KadanoffError, match="did not come to equilibrium"):
        kadanoff.simulate(9, 0.7, 64, "free", -1, field=2.0, sweeps=50)


@pytest.mark.parametrize("shape", [(4, 6), (3, 5)])
def test_the_mean_over_translations_is_that(shape):
    spins = random_spins(3, Lattice(*shape))
    once = np.concatenate([spins, -spins], axis=1)
    plane = np.concatenate([once, -once], axis=2)
    squares = [
        plane[:, y : y + shape[0], x : x + shape[1]].mean((1, 2)) ** 2 for y, x in itertools.product(*map(range, shape))
    ]
    assert mean_square_over_translations(spins) == pytest.approx(np.mean(squares, axis=0))


def test_the_walls_of_an_antiperiodic_torus_lie_anywhere(monkeypatch):
    given = {"size": 12, "temperatures": 0.3, "samples": 4000, "boundary": "antiperiodic", "sampler": "metropolis"}
    given |= {"sweeps": 30, "allow_unequilibrated": True}

    def share_of_the_seam():
        """Broken bonds at the two edges, where they lie in a twelfth of all rows and columns."""
        spins = kadanoff.simulate(**given).spins[0].astype(int)
        broken = np.concatenate([spins[:, 0] * spins[:, -1], spins[:, :, 0] * spins[:, :, -1]], axis=1) > 0
        return broken.mean(1)

    found = share_of_the_seam()
    inside = kadanoff.simulate(**given).energy[0]
    expected = 1 / 2 + (inside.mean() * 144) / (4 * 144)  # the share of broken bonds
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(4000)
    monkeypatch.setattr(runner, "ends_with_symmetry", lambda *_: False)
    monkeypatch.setattr(runner, "first_configurations", lambda *_: np.ones((_[4], 12, 12), np.int8))
    found = share_of_the_seam()
    assert abs(found.mean() - expected) > 4 * found.std() / np.sqrt(4000)
    assert equilibration.ends_with_symmetry(Lattice(12, 12, "antiperiodic"), 0.0)
