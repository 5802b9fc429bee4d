"""The sign of each bond, for every boundary."""

import numpy as np
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.spins.boundary import BOUNDARIES, Lattice


@pytest.mark.parametrize(
    ("boundary", "right_edge", "bottom_edge", "top_ghost"),
    [("periodic", 1, 1, 0), ("antiperiodic", -1, -1, 0), ("skewed", 1, 0, 1), ("free", 0, 0, 0)],
)
@pytest.mark.parametrize("coupling", [1, -1])
def test_bonds_of_every_boundary(boundary, right_edge, bottom_edge, top_ghost, coupling):
    lattice = Lattice(3, 4, boundary, coupling)
    assert (lattice.right[:, :-1] == coupling).all()
    assert (lattice.down[:-1] == coupling).all()
    assert (lattice.right[:, -1] == coupling * right_edge).all()
    assert (lattice.down[-1] == coupling * bottom_edge).all()
    assert (lattice.ghost[0] == coupling * top_ghost).all()
    assert (lattice.ghost[1] == 0).all()
    assert (lattice.ghost[-1] == -coupling * top_ghost).all()


def test_table_covers_every_boundary():
    assert set(BOUNDARIES) == {"periodic", "antiperiodic", "skewed", "free"}


def test_chain_has_no_vertical_bonds():
    lattice = Lattice.of(5, "antiperiodic", dimension=1)
    assert lattice.shape == (1, 5)
    assert lattice.right.tolist() == [[1, 1, 1, 1, -1]]
    assert not lattice.down.any()
    assert not lattice.ghost.any()


def test_size_is_one_number_or_two():
    assert {Lattice.of(4), Lattice(4, 4)} == {Lattice(4, 4)}
    assert Lattice.of((3, 5), "free") == Lattice(3, 5, "free")
    assert Lattice.of((3, 5)).sites == 15
    assert Lattice.of((3, 5)).array_shape == (3, 5)
    assert Lattice.of(5, dimension=1).array_shape == (5,)


def test_two_wide_torus_counts_both_bonds_of_a_pair():
    assert Lattice(2, 2).right.sum() + Lattice(2, 2).down.sum() == 8
    assert Lattice(2, 2, "antiperiodic").right.sum() == 0


def test_bonds_are_small_integers():
    lattice = Lattice(3, 3, "skewed", -1)
    assert lattice.right.dtype == lattice.down.dtype == lattice.ghost.dtype == np.int8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((4, 4, "cyclic"), "'cyclic'.*periodic, antiperiodic, skewed, free"),
        ((4, 4, "periodic", 2), "coupling is 2.*temperatures"),
        ((4, 4, "periodic", 1, 3), "dimension is 3"),
        ((2, 4, "periodic", 1, 1), "one row, not 2"),
        ((1, 4, "skewed", 1, 1), "dimension: 2"),
        ((1, 4), "1 x 4.*at least 2"),
        ((4, 1), "4 x 1.*at least 2"),
    ],
)
def test_refuses_what_is_no_lattice(arguments, words):
    with pytest.raises(KadanoffError, match=words):
        Lattice(*arguments)
