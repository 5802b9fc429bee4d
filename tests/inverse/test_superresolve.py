"""Fine lattices drawn from coarse ones, against exact distributions and as someone would try to break them."""

import copy

import numpy as np
import pytest
import torch
from montecarlo.oracle import energies_agree
from tori import SMALLEST_P, chi_squared_p, every_state, numbers, weights

import kadanoff
from kadanoff.inverse import superresolve as module
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.superresolve import (
    count,
    draw_blocks,
    draw_parts,
    log_prob,
    random_blocks,
    superresolve,
    sweep_blocks,
    tables,
)
from kadanoff.inverse.tables import Table, forbid, known
from kadanoff.networks.registry import build
from kadanoff.spins.blocking import RULES
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, enumerate_states
from kadanoff.spins.observables import energy
from kadanoff.spins.statistics import independent_mean
from kadanoff.spins.surroundings import coarse_spins, parts, rows

KEY = np.uint64(99)
RULE_NAMES = ("majority", "threshold", "decimation")
SIZES = [(2, 1), (3, 1), (2, 2), (3, 2)]
NEIGHBOUR = 1.06  # times T: the temperature that must be rejected


def network(name, rule="majority", block=2, dimension=2, temperatures=(T_C,), **sizes):
    torch.manual_seed(0)
    sizes = sizes or ({"width": 8} if name == "blocks" else {"width": 4, "layers": 3})
    return build(name, rule=rule, block=block, dimension=dimension, temperatures=temperatures, **sizes).eval()


def coarse_lattices(count, side, dimension, seed=0):
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (count, *(side,) * dimension))


def samples(shape, temperature, count):
    """Independent exact samples of a small lattice."""
    probabilities = weights(every_state(shape), temperature)
    chosen = np.random.default_rng(5).choice(len(probabilities), count, p=probabilities / probabilities.sum())
    return every_state(shape)[chosen], probabilities / probabilities.sum()


@pytest.mark.parametrize(("rule", "shape"), [("threshold", (4, 4)), ("decimation", (8,))])
def test_block_gibbs_sweeps_leave_boltzmanns_distribution_as_it_is(rule, shape):
    fine, exact = samples(shape, T_C, 50_000)
    coarse = RULES[rule](fine, 2, len(shape))

    def p_after(temperature):
        swept = sweep_blocks(coarse, fine, known(rule, 2, len(shape), temperature), (KEY, 0), 3)
        assert (RULES[rule](swept, 2, len(shape)) == coarse).all()
        return chi_squared_p(np.bincount(numbers(swept), minlength=len(exact)), exact)

    assert p_after(T_C) > SMALLEST_P
    assert p_after(T_C * NEIGHBOUR) < SMALLEST_P


@pytest.mark.parametrize(("rule", "shape"), [("threshold", (4, 4)), ("decimation", (8,))])
def test_block_gibbs_sweeps_find_the_distribution_given_the_coarse_lattice(rule, shape):
    dimension = len(shape)
    given = np.ones((30_000, *(side // 2 for side in shape)), np.int8)
    given[:, 0] = -1  # one row of the coarse torus, or one of its spins
    fine, weight = every_state(shape), weights(every_state(shape), 2.0)
    exact = np.where((RULES[rule](fine, 2, dimension) == given[:1]).reshape(len(fine), -1).all(1), weight, 0)
    coarse = coarse_spins(rule, 2, dimension)
    start = random_blocks(given, np.stack([coarse == -1, coarse == 1]), 2, (KEY, 0))

    def p_after(sweeps, temperature):
        swept = sweep_blocks(given, start, known(rule, 2, dimension, temperature), (KEY, 0), sweeps)
        return chi_squared_p(np.bincount(numbers(swept), minlength=len(exact)), exact)

    assert p_after(20, 2.0) > SMALLEST_P
    assert p_after(20, 2.0 * NEIGHBOUR) < SMALLEST_P
    assert p_after(0, 2.0) < SMALLEST_P


def chain_tables(temperature):
    """The exact P(block | coarse chain): the second spin of a block sees its own first one and that of the next."""
    found = []
    for part in parts(2, 1)[:1]:
        seen = rows(part.inputs)
        beside = seen[:, part.coarse.index((0, 0))] + seen[:, part.coarse.index((0, 1))]
        second = np.array([-1, -1, 1, 1])  # of the states --, +-, -+, ++: site k is bit k
        found.append(
            Table(part, forbid(np.outer(beside, second) / temperature, part, coarse_spins("decimation", 2, 1)))
        )
    return [*found, known("decimation", 2, 1, temperature)]


def test_a_chain_at_the_decimated_temperature_becomes_one_at_the_original_temperature():
    temperature = 1.1
    decimated = 1 / np.arctanh(np.tanh(1 / temperature) ** 2)  # paper, eq. (5)
    lattice = Lattice.of(16, dimension=1)
    exact = enumerate_states(lattice).energy_distribution(temperature)

    def agree(input_temperature):
        coarse, _ = samples((8,), input_temperature, 40_000)
        fine = draw_blocks(coarse, chain_tables(temperature), 2, (KEY, 0))
        assert (fine[:, ::2] == coarse).all()
        return energies_agree(energy(fine, lattice) * 16, exact)

    assert agree(decimated)
    assert not agree(decimated * 1.02)
    assert not agree(temperature)


def broken(fine, block):
    """Standard errors of c10 between blocks less inside, and along x less along y."""
    return [independent_mean(values).sigmas(0.0) for values in asymmetries(fine, block)]


def test_the_sweep_binds_blocks_to_each_other():
    """Even odds for what is drawn first, the exact conditional for the rest. Threshold: 4 standard errors."""
    fine = kadanoff.simulate(32, [2.6], 500, seed=6).spins[0]
    last = known("majority", 2, 2, 2.6)
    even = known("majority", 2, 2, 1e6).probabilities
    crude = [Table(part, even[np.arange(2**part.inputs) & 1]) for part in parts(2, 2)[:2]]
    coarse = RULES["majority"](fine, 2)
    once, swept = (draw(coarse, [*crude, last], 2, (KEY, 0)) for draw in (draw_parts, draw_blocks))
    off = [asymmetries(lattices, 2)[0].mean() for lattices in (once, swept)]
    assert abs(broken(once, 2)[0]) > 20
    assert abs(off[1]) < abs(off[0]) / 3
    np.testing.assert_array_equal(swept, sweep_blocks(coarse, once, last, (KEY, 0), 1))


@pytest.mark.parametrize(("rule", "block", "kept"), [("majority", 2, 2), ("decimation", 3, 2), ("threshold", 2, 8)])
def test_networks_have_the_symmetries_of_their_rule(rule, block, kept):
    own = network("blocks", rule, block).networks[0]
    plain = copy.deepcopy(own)
    for table, part, other in zip(tables(own), own.parts, plain.parts, strict=True):
        assert len(part.orbit.moved) == kept
        for moved, places in zip(part.orbit.moved.numpy(), part.orbit.states.numpy(), strict=True):
            np.testing.assert_allclose(table.probabilities[moved][:, places], table.probabilities, atol=1e-6)
        other.orbit = None
    assert np.abs(tables(own)[-1].probabilities - tables(plain)[-1].probabilities).max() > 1e-3


def test_a_draw_does_not_tell_x_from_y():
    """Threshold: 4 standard errors; by the same network without symmetries more than 20."""
    own, coarse = network("blocks").networks[0], coarse_lattices(1000, 16, 2)
    assert abs(broken(draw_blocks(coarse, tables(own), 2, (KEY, 0)), 2)[1]) < 4
    for part in own.parts:
        part.orbit = None
    assert abs(broken(draw_blocks(coarse, tables(own), 2, (KEY, 0)), 2)[1]) > 20


@pytest.mark.parametrize("rule", RULE_NAMES)
@pytest.mark.parametrize(("block", "dimension"), SIZES)
def test_the_rule_is_never_broken(rule, block, dimension):
    coarse = coarse_lattices(40, 6, dimension)
    fine = superresolve(network("blocks", rule, block, dimension, width=4), coarse, T_C, seed=1, rule=rule)
    assert fine.shape == (40, *(6 * block,) * dimension)
    assert set(np.unique(fine)) == {-1, 1}
    assert (RULES[rule](fine, block, dimension) == coarse).all()
    for temperature in (0.05, T_C):
        swept = sweep_blocks(coarse, fine, known(rule, block, dimension, temperature), (KEY, 0), 2)
        assert (RULES[rule](swept, block, dimension) == coarse).all()


@pytest.mark.parametrize("shape", [(4, 8), (8, 4)])
def test_rectangles_are_enlarged_swept_and_counted(shape):
    coarse = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (5, *shape))
    fine = superresolve(network("blocks"), coarse, T_C, seed=1)
    last = known("majority", 2, 2, T_C)
    swept = sweep_blocks(coarse, fine, last, (KEY, 0), 2)
    assert (swept != fine).any()
    assert all((RULES["majority"](lattices, 2, 2) == coarse).all() for lattices in (fine, swept))
    assert count(coarse, fine, last.part).sum() == coarse.size


@pytest.mark.parametrize("name", ["pixels", "blocks"])
@pytest.mark.parametrize("dimension", [1, 2])
def test_results_do_not_depend_on_calls_or_batches(name, dimension, monkeypatch):
    model, coarse = network(name, dimension=dimension), coarse_lattices(11, 8, dimension)
    whole = superresolve(model, coarse, T_C, seed=3)
    cut = [superresolve(model, coarse[:4], T_C, seed=3), superresolve(model, coarse[4:], T_C, seed=3, first=4)]
    assert (np.concatenate(cut) == whole).all()
    assert (superresolve(model, coarse, T_C, seed=3, first=1) != whole).any()
    assert (superresolve(model, coarse, T_C, seed=4) != whole).any()
    monkeypatch.setattr(module, "BATCH", 1)
    assert (superresolve(model, coarse, T_C, seed=3) == whole).all()


@pytest.mark.parametrize("name", ["pixels", "blocks"])
@pytest.mark.parametrize("rule", RULE_NAMES)
@pytest.mark.parametrize("shape", [(4, 4), (8,)])
def test_probabilities_of_all_fine_lattices_sum_to_one(name, rule, shape):
    dimension, fine = len(shape), every_state(shape)
    own = network(name, rule, dimension=dimension).networks[0]
    source = tables(own) if name == "blocks" else own
    for given in every_state(tuple(side // 2 for side in shape))[::5]:
        coarse = np.repeat(given[None], len(fine), 0)
        found = np.exp(log_prob(source, fine, coarse))
        assert found.sum() == pytest.approx(1, abs=1e-12)
        made = (RULES[rule](fine, 2, dimension) == coarse).reshape(len(fine), -1).all(1)
        if name == "blocks":
            assert ((found > 0) == made).all()


@pytest.mark.parametrize("name", ["pixels", "blocks"])
@pytest.mark.parametrize("shape", [(2, 2), (4,)])
def test_lattices_are_drawn_as_often_as_their_probability_says(name, shape):
    coarse, every = np.ones((50_000, *shape), np.int8), every_state(tuple(2 * side for side in shape))
    coarse[:, 0] = -1

    model = network(name, dimension=len(shape))
    fine, log_p = superresolve(model, coarse, T_C, seed=1, return_log_prob=True)

    def logs(lattices):
        own = model.networks[0]
        return log_prob(tables(own) if name == "blocks" else own, lattices, np.repeat(coarse[:1], len(lattices), 0))

    def p_now():
        return chi_squared_p(np.bincount(numbers(fine), minlength=len(every)), np.exp(logs(every)))

    assert np.array_equal(log_p, logs(fine))
    assert p_now() > SMALLEST_P
    with torch.no_grad():
        for values in model.parameters():
            values.mul_(1.5)
    assert p_now() < SMALLEST_P


def test_probabilities_are_those_of_the_thresholds():
    chances = np.tile([0.7, 0.3 - 1e-9 - 1e-12, 1e-9, 1e-12], (8, 1))
    found = np.exp(Table(parts(2, 1)[1], chances).logarithms[0]) * 2**32
    assert found.sum() == pytest.approx(2**32, abs=1e-3)
    # the last two are 4.3 and 0.004 in these units; the largest random number counts as the one below it
    assert found[2:] == pytest.approx([4, 2])


def test_probabilities_of_lattices_that_do_not_fit():
    scheme, coarse = tables(network("blocks").networks[0]), coarse_lattices(3, 4, 2)
    for shape in [(2, 8, 8), (3, 8, 12), (3, 9, 8), (3, 8)]:
        with pytest.raises(kadanoff.KadanoffError, match="same multiple"):
            log_prob(scheme, np.ones(shape, np.int8), coarse)


@pytest.mark.parametrize("rule", RULE_NAMES)
@pytest.mark.parametrize("dimension", [1, 2])
def test_tables_of_odd_rules_are_symmetric_under_the_flip_of_all_spins(rule, dimension):
    found = tables(network("blocks", rule, 2, dimension).networks[0])
    same = [np.array_equal(table.probabilities, table.probabilities[::-1, ::-1]) for table in found]
    assert all(same) if rule != "threshold" else not any(same)


def test_tables_are_what_the_network_gives_on_lattices():
    model, coarse = network("blocks").networks[0], coarse_lattices(3, 6, 2)
    with torch.inference_mode():
        found = model(torch.from_numpy(coarse).float().unsqueeze(1)).numpy()
    table = tables(model)[0]
    for chain, y, x in np.ndindex(coarse.shape):
        seen = [coarse[chain, (y + dy) % 6, (x + dx) % 6] > 0 for dy, dx in table.part.coarse]
        row = sum(1 << bit for bit, up in enumerate(seen) if up)
        assert found[chain, :, y, x] == pytest.approx(table.probabilities[row], abs=1e-6)
