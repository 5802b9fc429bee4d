"""Exact marginals at fixed coarse lattice, and the draws made of them."""

import numpy as np
import pytest
from tori import SMALLEST_P, chi_squared_p, every_state, weights

from kadanoff.inverse import controls
from kadanoff.inverse.controls import encode, equilibrate, independent_blocks, pixel_probabilities
from kadanoff.inverse.superresolve import draw_parts, random_blocks, sweep_blocks
from kadanoff.inverse.tables import known
from kadanoff.montecarlo.rng import stream_key
from kadanoff.spins.blocking import RULES
from kadanoff.spins.surroundings import coarse_spins

KEY = np.uint64(7)
TEMPERATURE = 2.0


def started(coarse, rule, block, key=KEY, first=0):
    own = coarse_spins(rule, block, coarse.ndim - 1)
    return random_blocks(coarse, np.stack([own == -1, own == 1]), block, (key, first))


def lattices(count, *sides):
    return np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (count, *sides))


def exact_blocks(rule, given):
    """P(state) of every block of a 4 x 4 torus given its coarse lattice, by enumeration: (y, x, 16)."""
    fine = every_state((4, 4))
    weight = np.where((RULES[rule](fine, 2) == given).all((1, 2)), weights(fine, TEMPERATURE), 0)
    inside = encode(fine, (2, 2), 2).reshape(len(fine), 4)
    found = np.stack([np.bincount(inside[:, block], weight, 16) for block in range(4)])
    return (found / weight.sum()).reshape(2, 2, 16)


@pytest.mark.parametrize(
    ("rule", "block", "sides"),
    [("majority", 2, (2, 2)), ("threshold", 2, (4, 10)), ("majority", 3, (4, 6)), ("decimation", 2, (18,))],
)
def test_the_fast_sweeps_are_those_of_the_sampler(rule, block, sides):
    coarse = lattices(5, *sides)
    table, start = known(rule, block, len(sides), TEMPERATURE), started(coarse, rule, block)
    found, probabilities = equilibrate(coarse, start, table, (KEY, 0), 7)
    assert (found == sweep_blocks(coarse, start, table, (KEY, 0), 7)).all()
    assert probabilities.sum(-1) == pytest.approx(1)
    own = coarse_spins(rule, block, len(sides))
    assert (probabilities[coarse.reshape(probabilities.shape[:3]) == 1][:, own == -1] == 0).all()
    assert (probabilities[coarse.reshape(probabilities.shape[:3]) == -1][:, own == 1] == 0).all()
    cut = equilibrate(coarse[2:], start[2:], table, (KEY, 2), 7)
    assert (cut[0] == found[2:]).all()
    assert (cut[1] == probabilities[2:]).all()


def test_marginals_of_blocks_and_pixels_are_those_of_an_enumeration():
    rule, given = "threshold", np.array([[1, -1], [1, 1]], np.int8)
    coarse = np.tile(given, (400, 1, 1))

    def deviation(temperature):
        table = known(rule, 2, 2, temperature)
        found = equilibrate(coarse, started(coarse, rule, 2), table, (KEY, 0), 100)[1]
        error = found.std(0, ddof=1) / np.sqrt(len(found))
        return np.abs((found.mean(0) - exact_blocks(rule, given))[error > 0] / error[error > 0]).max()

    assert deviation(TEMPERATURE) < 4.5  # 64 numbers
    assert deviation(TEMPERATURE * 1.06) > 10
    fine = every_state((4, 4))
    weight = np.where((RULES[rule](fine, 2) == given).all((1, 2)), weights(fine, TEMPERATURE), 0)
    up = weight @ (fine > 0).reshape(len(fine), -1) / weight.sum()
    assert pixel_probabilities(exact_blocks(rule, given)[None], 2, 2).ravel() == pytest.approx(up, abs=1e-12)


def test_independent_blocks_have_their_marginals_and_know_nothing_of_each_other():
    given = np.array([[1, -1], [1, 1]], np.int8)
    exact = exact_blocks("majority", given)
    drawn = independent_blocks(np.tile(exact, (50_000, 1, 1, 1)), 2, 2, (KEY, 0))
    inside = encode(drawn, (2, 2), 2).reshape(-1, 4)
    for block, probabilities in enumerate(exact.reshape(4, 16)):
        assert chi_squared_p(np.bincount(inside[:, block], minlength=16), probabilities) > SMALLEST_P
    pair = np.bincount(inside[:, 0] * 16 + inside[:, 1], minlength=256)
    assert chi_squared_p(pair, np.outer(exact[0, 0], exact[0, 1]).ravel()) > SMALLEST_P
    assert (RULES["majority"](drawn, 2) == given).all()


def test_the_second_colour_is_drawn_given_the_first_which_stays():
    coarse, table = lattices(50, 8, 8), known("majority", 2, 2, 0.05)
    independent = started(coarse, "majority", 2)
    found = draw_parts(coarse, [table], 2, (KEY, 0), independent)
    before, after = (encode(fine, (8, 8), 2) for fine in (independent, found))
    second = np.indices((8, 8)).sum(0) % 2 == 1
    assert (before[:, ~second] == after[:, ~second]).all()
    assert (before[:, second] != after[:, second]).mean() > 0.5
    assert (RULES["majority"](found, 2) == coarse).all()


def test_all_controls_are_drawn_for_every_lattice_and_do_not_depend_on_the_calls():
    coarse = lattices(6, 4, 4)
    keys = [stream_key(0, number) for number in range(controls.STREAMS)]
    whole = dict(controls.draws(coarse, "majority", 2, 2.0, keys, 0, 20))
    part = dict(controls.draws(coarse[2:], "majority", 2, 2.0, keys, 2, 20))
    assert list(whole) == list(part)
    assert len(whole) == 7
    for name, fine in whole.items():
        assert (fine[2:] == part[name]).all()
        assert ((RULES["majority"](fine, 2) == coarse).all()) == ("pixels" not in name)
