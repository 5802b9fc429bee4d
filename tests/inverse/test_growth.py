"""Enlargement band by band: the rule is obeyed, and bands do not matter."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kadanoff.errors import KadanoffError
from kadanoff.inverse import bands
from kadanoff.inverse.growth import Enlargement, around, draw_rows, enlarge, refine, refined, sides_to
from kadanoff.inverse.renormalized import RenormalizedGibbs
from kadanoff.inverse.superresolve import draw_blocks, tables
from kadanoff.montecarlo import devices
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks
from kadanoff.spins.blocking import RULES


@pytest.fixture(scope="module")
def scheme():
    torch.manual_seed(1)
    return tables(Blocks("majority", 3, 2, 8, gibbs=True))


@pytest.fixture
def coarse():
    return 2 * np.random.default_rng(2).integers(0, 2, (128, 128), np.int8) - 1


def test_what_is_drawn_obeys_the_rule_and_is_that_of_the_whole_lattice(scheme, coarse):
    way = Enlargement(scheme, 3, sweeps=0, seed=4)
    whole = enlarge(way, coarse, 1)
    np.testing.assert_array_equal(RULES["majority"](whole[None], 3, 2)[0], coarse)
    key = stream_key(4, "enlarge", 1), 0
    np.testing.assert_array_equal(whole, draw_blocks(coarse[None], scheme, 3, key)[0])


@pytest.mark.parametrize(("first", "rows"), [(7, 64), (380, 10), (-3, 6)])
def test_rows_that_are_drawn_are_those_of_the_whole(scheme, coarse, first, rows):
    way = Enlargement(scheme, 3, sweeps=0, seed=4)
    found = draw_rows(way, around(coarse), 1, len(coarse), range(first, first + rows))
    np.testing.assert_array_equal(found, enlarge(way, coarse, 1)[np.arange(first, first + rows) % 384])


def test_a_reach_that_is_too_short_would_be_seen(scheme, coarse, monkeypatch):
    way = Enlargement(scheme, 3, sweeps=0, seed=4)
    whole = enlarge(way, coarse, 1)
    monkeypatch.setattr("kadanoff.inverse.growth.REACH", 4)
    found = draw_rows(way, around(coarse), 1, len(coarse), range(60, 180))
    assert (found != whole[60:180]).any()


def test_another_seed_number_of_sweeps_or_level_gives_another_lattice(scheme, coarse):
    first, *others = (
        enlarge(Enlargement(scheme, 3, sweeps, seed), coarse, level)
        for sweeps, seed, level in ((4, 4, 1), (4, 5, 1), (3, 4, 1), (4, 4, 2))
    )
    assert all((first != other).mean() > 0.01 for other in others)


def test_a_band_may_cross_the_edge(scheme, coarse):
    way = Enlargement(scheme, 3, sweeps=2, seed=4)
    words = refined(way, around(coarse), 1, len(coarse), range(374, 394))
    found = np.empty((20, 384), np.int8)
    bands.scatter(words, 0, 374 & 1, found)
    np.testing.assert_array_equal(found, enlarge(way, coarse, 1)[np.arange(374, 394) % 384])


@pytest.fixture(scope="module")
def gibbs():
    return RenormalizedGibbs(np.random.default_rng(3).normal(0, 1, 1 << 20).astype(np.float32), 3)


@pytest.mark.parametrize("rows", [30, 96])
def test_a_swept_lattice_is_enlarged_alike_whatever_the_bands(scheme, coarse, gibbs, rows):
    way = Enlargement(scheme, 3, 2, 4, gibbs)
    whole = enlarge(way, coarse, 1)
    np.testing.assert_array_equal(enlarge(way, coarse, 1, rows), whole)
    swept = gibbs.sweep(coarse[None], (stream_key(4, "dress", 1), 0))[0]
    np.testing.assert_array_equal(enlarge(Enlargement(scheme, 3, 2, 4), swept, 1), whole)
    assert (swept != coarse).mean() > 0.1


def test_drawing_and_then_refining_is_one_enlargement(scheme, coarse, gibbs):
    raw, way = (Enlargement(scheme, 3, sweeps, 4, gibbs) for sweeps in (0, 5))
    np.testing.assert_array_equal(refine(way, enlarge(raw, coarse, 1), 1), enlarge(way, coarse, 1))


def test_sides_are_those_of_the_seed_times_powers_of_the_factor():
    assert sides_to(128, 1152, 3, "size") == [128, 384, 1152]
    for size in (128, 1000, 100):
        with pytest.raises(KadanoffError, match=rf"size is {size}; .*take one of 384, 1152, 3456, .*, \.\.\."):
            sides_to(128, size, 3, "size")
    with pytest.raises(KadanoffError, match=r"the seed is 64 x 64; .* a multiple of 128"):
        sides_to(64, 192, 3, "size")


def test_a_gpu_sweeps_the_bands_that_fill_it(scheme, coarse, monkeypatch):
    gpu_bands, taken = pytest.importorskip("kadanoff.inverse.gpu_bands", exc_type=ImportError), []

    def advance(words, *arguments):
        taken.append(words.size)
        bands.advance(words, *arguments)

    way, drawn = (Enlargement(scheme, 3, sweeps, seed=4) for sweeps in (2, 0))
    expected = enlarge(way, coarse, 1)
    monkeypatch.setattr(devices, "lacking", lambda: None)
    monkeypatch.setattr(gpu_bands, "gpu_advance", lambda: advance)
    enlarge(way, coarse, 1)
    assert not taken  # it is small
    monkeypatch.setattr(devices, "FILLS", 50 * 384)
    np.testing.assert_array_equal(enlarge(way, coarse, 1, rows=100), expected)
    assert len(taken) == 4
    enlarge(drawn, coarse, 1)
    assert len(taken) == 4
    enlarge(replace(way, device="cpu"), coarse, 1)
    monkeypatch.setattr(devices, "lacking", lambda: "there is none")
    enlarge(way, coarse, 1)
    assert len(taken) == 4
