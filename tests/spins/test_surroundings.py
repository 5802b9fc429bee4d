"""Blocks as random variables: states, parts of a draw, and what a part sees."""

from itertools import combinations, product

import numpy as np
import pytest

from kadanoff.spins.blocking import RULES
from kadanoff.spins.surroundings import AROUND, block_shape, coarse_spins, is_odd, parts, rows, states, symmetries

SIZES = [(2, 1), (3, 1), (4, 1), (9, 1), (2, 2), (3, 2)]


def covered(part, sides):
    """Places of a part's blocks on a lattice of blocks."""
    steps = [2 if side > 1 else 1 for side in sides]
    return {
        (y, x)
        for first_y, first_x in part.sublattices
        for y in range(first_y, sides[0], steps[0])
        for x in range(first_x, sides[1], steps[1])
    }


@pytest.mark.parametrize(("block", "dimension"), SIZES)
def test_every_block_is_drawn_once_and_blocks_of_a_part_do_not_touch(block, dimension):
    sides = (6 if dimension == 2 else 1, 6)
    drawn = [covered(part, sides) for part in parts(block, dimension)]
    assert set().union(*drawn) == set(product(range(sides[0]), range(sides[1])))
    assert sum(map(len, drawn)) == sides[0] * sides[1]
    for places in drawn:
        for (y1, x1), (y2, x2) in combinations(places, 2):
            steps = [min(abs(a - b), side - abs(a - b)) for a, b, side in zip((y1, x1), (y2, x2), sides, strict=True)]
            assert sum(steps) > 1


@pytest.mark.parametrize(("block", "dimension"), SIZES)
def test_fine_spins_that_a_part_sees_were_drawn_before(block, dimension):
    height, width = block_shape(block, dimension)
    sides, before = (6 if dimension == 2 else 1, 6), set()
    for part in parts(block, dimension):
        for (y, x), (dy, dx) in product(covered(part, sides), part.fine):
            seen = (y + dy // height) % sides[0], (x + dx // width) % sides[1]
            assert seen in before
        before |= covered(part, sides)


@pytest.mark.parametrize(("block", "dimension"), SIZES)
def test_the_last_part_sees_all_spins_that_touch_a_block_and_no_others(block, dimension):
    height, width = block_shape(block, dimension)
    inside = set(product(range(height), range(width)))
    steps = [(0, 1), (0, -1)] + ([(1, 0), (-1, 0)] if dimension == 2 else [])
    touching = {(y + dy, x + dx) for y, x in inside for dy, dx in steps} - inside
    last = parts(block, dimension)[-1]
    assert set(last.fine) == touching
    assert len(last.fine) == len(touching)
    assert last.coarse == ((0, 0),)


@pytest.mark.parametrize(("block", "dimension"), SIZES)
def test_every_part_sees_its_own_coarse_spin_first_and_the_same_from_all_sides(block, dimension):
    for part in parts(block, dimension):
        assert part.coarse[0] == (0, 0)
        assert len(set(part.coarse)) == len(part.coarse)
        assert {(-y, -x) for y, x in part.coarse} == set(part.coarse)
        assert part.inputs == len(part.coarse) + len(part.fine)


def picture(places):
    """Rows of the 5 x 5 places around the middle, those in the list as #."""
    return ["".join(".#"[(y, x) in places] for x in range(-2, 3)) for y in range(-2, 3)]


def test_coarse_spins_that_a_part_sees():
    first, second, _ = parts(2, 2)
    assert picture(first.coarse) == ["..#..", ".###.", "#####", ".###.", "..#.."]
    assert picture(second.coarse) == [".....", ".###.", ".###.", ".###.", "....."]
    for part in (first, second):
        assert sorted(part.coarse[1:5]) == [(-1, 0), (0, -1), (0, 1), (1, 0)]  # the nearest first
    assert picture(parts(2, 1)[0].coarse) == [".....", ".....", "#####", ".....", "....."]


def test_places_around_a_spin():
    assert picture(AROUND) == [".###.", "#####", "##.##", "#####", ".###."]
    assert AROUND[:4] == ((-1, -2), (0, -2), (1, -2), (-2, -1))  # column by column
    assert len(AROUND) == 20


@pytest.mark.parametrize(("block", "dimension"), SIZES)
def test_states_are_all_different_and_numbered_by_their_bits(block, dimension):
    found = states(block, dimension)
    sites = block**dimension
    assert found.shape == (2**sites, sites)
    assert ((found > 0) @ (1 << np.arange(sites)) == np.arange(2**sites)).all()
    assert (found == -found[::-1]).all()  # the flip of all spins reverses the order
    assert (rows(sites) == found).all()


@pytest.mark.parametrize("block", [2, 3])
def test_symmetries_turn_and_flip_what_is_drawn_together_with_what_is_seen(block):
    rng = np.random.default_rng(block)
    coarse, fine = rng.random((5, 5)), rng.random((3 * block, 3 * block))  # about the block in the middle
    squares = states(block, 2).reshape(-1, block, block)
    for part in parts(block, 2):

        def seen(coarse, fine, part=part):
            return [coarse[2 + y, 2 + x] for y, x in part.coarse] + [fine[block + y, block + x] for y, x in part.fine]

        found = symmetries(part, block)
        assert len(found) == 8
        for symmetry, (flip, turns) in zip(found, product((False, True), range(4)), strict=True):

            def moved(arrays, flip=flip, turns=turns):
                turned = np.rot90(arrays, turns, (-2, -1))
                return np.swapaxes(turned, -2, -1) if flip else turned

            assert (squares[symmetry.states] == moved(squares)).all()
            assert np.array(seen(coarse, fine))[symmetry.inputs].tolist() == seen(moved(coarse), moved(fine))


@pytest.mark.parametrize("rule", ["majority", "threshold", "decimation"])
@pytest.mark.parametrize(("block", "dimension"), SIZES)
def test_coarse_spins_are_those_of_the_rule(rule, block, dimension):
    lattices = states(block, dimension).reshape(-1, *(block,) * dimension)
    expected = RULES[rule](lattices, block, dimension).reshape(-1)
    found = coarse_spins(rule, block, dimension)
    assert (found == expected).all()
    assert is_odd(rule, block, dimension) == bool((RULES[rule](-lattices, block, dimension).ravel() == -expected).all())
    assert is_odd(rule, block, dimension) == (rule != "threshold" or block % 2 == 1)
