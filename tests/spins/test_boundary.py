"""The sign of each bond, for every boundary."""

import pytest

from kadanoff.spins.boundary import Lattice


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
    assert lattice.walled == (boundary in ("antiperiodic", "skewed") and coupling > 0)


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
