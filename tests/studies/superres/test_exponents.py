"""Exponents out of chains: synthetic levels with known exponents, and what a user can get wrong."""

from dataclasses import fields, replace

import numpy as np
import pytest

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.calibration import Calibration
from kadanoff.inverse.chains import EXACT, Levels, exact_gamma
from kadanoff.spins.exact import T_C, kaufman
from kadanoff.studies.superres.exponents import Params, _check, _kept, measured
from kadanoff.studies.superres.exponents_tables import FINITE, Repetition, summarize, tables_text

SIZES = (16, 32, 64, 128)
PARAMS = Params(
    dataset="a", smaller="b", finite_size=["a", "b"], truth=["c"], repetitions=4, seeds=100, pixel_seeds=10, levels=3,
    refinement=[8], seed=0,
)  # fmt: skip


def levels(generator, seeds=4000, eta=0.25, excess=0.0, between=0.0):
    """Levels whose averages follow exact power laws, with noise that the levels of a seed share."""
    common = generator.choice([-1, 1], seeds) * (1 + 0.3 * generator.standard_normal(seeds))
    sides = np.array(SIZES)[:, None]
    order = common * sides ** (-eta / 2) * (1 + 0.01 * generator.standard_normal((len(SIZES), seeds)))
    energy = np.array([[kaufman(side, side, T_C).energy + excess] for side in SIZES])
    noise = 0.1 * generator.standard_normal((len(SIZES), seeds))
    broken = np.resize([0.01, -0.01], order.shape)  # on average by none
    return Levels(SIZES, energy + noise, order, 0.9 * order**2, order**2, between + broken, broken)


def repetition(generator, **options):
    known = Estimate(1.0, 0.001)
    return Repetition(Calibration(known, known, known), {"blocks": levels(generator, **options)}, {})


def ensembles(generator):
    found = levels(generator)
    return [
        Levels((side,), *(getattr(found, field.name)[n : n + 1] for field in fields(found)[1:]))
        for n, side in enumerate(SIZES)
    ]


@pytest.fixture
def generator():
    return np.random.default_rng(5)


def summary_of(generator, *found):
    """Of these repetitions, and of Monte Carlo with the exact exponents."""
    return summarize(found, ensembles(generator), ensembles(generator))


def test_known_exponents_come_out_and_others_do_not(generator):
    """Threshold: 4 standard errors, of which one is at most 0.001; eta = 0.26 must be rejected."""
    for eta, right in ((0.25, True), (0.26, False)):
        found = [repetition(generator, eta=eta) for _ in range(4)]
        summary = summary_of(generator, *found)
        deviations = {name: abs(summary.whole("blocks", name).sigmas(exact)) for name, exact in EXACT.items()}
        assert summary.whole("blocks", "gamma").error < 0.001
        assert all((deviation < 4) is right for deviation in deviations.values()), deviations


def cells(text, title):
    """The rows of the table whose title begins so, by their first cell."""
    part = text[text.index(f"## {title}") :].split("\n\n")[1]
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.split("\n") if line]
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


@pytest.mark.parametrize(("between", "met"), [(0.0, "yes"), (-0.003, "no")])
def test_blocks_that_are_too_weakly_bound_are_seen(generator, between, met):
    summary = summary_of(generator, *(repetition(generator, between=between) for _ in range(2)))
    found = cells(tables_text(summary), "Targets")
    assert [*found["error at most"].values()][-2:] == ["0.0002"] * 2
    assert [*found["blocks, one pass"].values()][-2:] == [met, "yes"]
    assert "1.7544(100)" in tables_text(summary)  # published
    assert summary.metrics()["blocks"]["L=128"]["between_minus_inside"].mean == pytest.approx(between)


def test_the_fit_of_small_exact_tori_stands_beside_monte_carlo(generator):
    """1.7596, from transfer matrices at 4 and 8; without corrections it would be 7/4."""
    assert exact_gamma([4, 8, 12, 16]) == pytest.approx(1.75959, abs=2e-5)
    assert exact_gamma([256, 512, 1024]) == pytest.approx(1.75, abs=1e-4)
    summary = summary_of(generator, repetition(generator))
    assert summary.metrics()[FINITE]["gamma_exact_of_the_fit"] == exact_gamma(SIZES)
    row = cells(tables_text(summary), "Exponents")["exact, finite-size scaling"]
    assert row["gamma/nu"] == f"{exact_gamma(SIZES):.4f}"


def test_chains_of_the_same_seeds_are_compared_in_pairs(generator):
    """Chains that are 0.003 apart in gamma/nu, of which one has a quarter of the seeds."""
    found = []
    for _ in range(2):
        blocks = levels(generator)
        order = blocks.magnetization * np.array(SIZES)[:, None] ** 0.0015
        other = replace(blocks, magnetization=order, half=0.9 * order**2, quarter=order**2)
        fewer = {key: getattr(other, key)[:, :1000] for key in ("energy", "magnetization", "half", "quarter")}
        known = Estimate(1.0, 0.001)
        chains = {"blocks": blocks, "pixels": replace(other, **fewer)}
        found.append(Repetition(Calibration(known, known, known), chains, {}))
    summary = summary_of(generator, *found)
    assert list(summary.less_blocks) == ["pixels"]
    less = summary.less_blocks["pixels"]["gamma"]
    assert less.mean == pytest.approx(0.003, abs=1e-9)
    assert less.error < 0.01 * summary.whole("pixels", "gamma").error
    text = tables_text(summary)
    assert cells(text, "Exponents")["blocks, one pass"]["lattices"] == "8000"
    assert cells(text, "Exponents")["pixels (the published network)"]["lattices"] == "2000"
    shown = cells(text, "Less those of blocks")["pixels (the published network)"]["gamma/nu"]
    assert float(shown.split("(")[0]) == pytest.approx(0.003)


def test_a_chain_whose_squares_grow_too_fast_misses_what_its_seeds_do_not_show(generator):
    """G and <m^2> are 1.5% high after every doubling; the seeds, and so U4, are right."""
    good = repetition(generator, seeds=40000)
    factors = np.sqrt(1.015) ** np.arange(len(SIZES))[:, None]
    chain = good.chains["blocks"]
    bad = replace(good, chains={"blocks": replace(chain, magnetization=chain.magnetization * factors)})
    verdicts = []
    for item in (good, bad):
        summary = summary_of(generator, item)
        assert summary.at("blocks", "binder")[128].mean == pytest.approx(chain_binder(chain), abs=1e-3)
        verdicts.append(cells(tables_text(summary), "Targets")["blocks, one pass"])
    title = "each &lt;m²&gt; over the one before within 1%"
    assert [row[title] for row in verdicts] == ["yes", "no"]
    few = summary_of(generator, repetition(generator, seeds=40))
    assert cells(tables_text(few), "Targets")["blocks, one pass"]["gamma/nu within 0.1%"] == "open"


def chain_binder(chain):
    return 1 - np.mean(chain.magnetization[0] ** 4) / (3 * np.mean(chain.magnetization[0] ** 2) ** 2)


def test_slopes_stand_under_their_sizes(generator):
    """The truth has a size between those of the chains, and lacks their largest."""
    sizes = ensembles(generator)[:3]
    truth = [sizes[0], replace(sizes[1], sizes=(24,)), *sizes[1:]]
    text = tables_text(summarize([repetition(generator)], ensembles(generator), truth))
    found = cells(text, "gamma/nu between successive sizes")
    filled = {name: {title for title, cell in row.items() if cell != "–"} for name, row in found.items()}
    assert {"16 to 32", "32 to 64", "64 to 128"} <= filled["blocks, one pass"]
    assert "16 to 24" not in filled["blocks, one pass"]
    assert {"16 to 24", "24 to 32", "32 to 64"} <= filled["Monte Carlo"]
    assert "64 to 128" not in filled["Monte Carlo"]


def test_an_interrupted_chain_is_kept(tmp_path, generator):
    first, path = levels(generator), tmp_path / "0-blocks.npz"
    for found in (_kept(path, lambda: first), _kept(path, lambda: pytest.fail("grown again"))):
        assert found.sizes == first.sizes
        assert (found.energy == first.energy).all()


def test_monte_carlo_goes_through_memory_in_parts():
    ensemble = kadanoff.simulate(8, [T_C], 50, seed=1)
    whole, parts = measured(ensemble), measured(ensemble, step=16)
    assert (whole.energy == parts.energy).all()
    assert np.allclose(whole.energy[0], ensemble.energy[0])


@pytest.mark.parametrize(
    ("fine", "small", "message"),
    [
        ((400, 16, 16), (399, 8, 8), "b has 399 configurations for 4 repetitions, of which each needs at least 100"),
        ((400, 32, 32), (400, 16, 16), "sides 32 and 16; the first is at most 16, the second half of it"),
        ((400, 16, 16), (400, 4, 4), "sides 16 and 4"),
        ((399, 16, 16), (400, 8, 8), "a has 399 configurations for 4 repetitions, of which each needs at least 100"),
    ],
)
def test_lattices_that_are_too_large_or_too_few_are_refused(fine, small, message):
    with pytest.raises(KadanoffError, match=message):
        _check(PARAMS, fine, small)
