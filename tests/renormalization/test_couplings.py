"""Couplings against their definition, term by term."""

import numpy as np
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.renormalization.couplings import EVEN, ODD, images, sums

SPINS = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (2, 9, 14))


def product_sum(spins, sites):
    shifted = [np.roll(spins, (-y, -x), (1, 2)).astype(int) for y, x in sites]
    return np.prod(shifted, axis=0).sum((1, 2))


@pytest.mark.parametrize("width", [3, 14, 64, 65, 127])
@pytest.mark.parametrize("interaction", EVEN + ODD)
def test_sums_follow_the_definition(interaction, width):
    spins = np.tile(SPINS, (1, 1, 10))[:, :, 5 : 5 + width]
    expected = sum(product_sum(spins, sites) for sites in images(interaction))
    assert (sums(spins, [interaction])[:, 0] == expected).all()


def test_symmetries_change_nothing():
    original = sums(SPINS, EVEN + ODD)
    for moved in (SPINS[:, ::-1], np.rot90(SPINS, axes=(1, 2)), np.roll(SPINS, (2, 5), (1, 2))):
        assert (sums(moved, EVEN + ODD) == original).all()
    assert (sums(-SPINS, EVEN) == original[:, : len(EVEN)]).all()
    assert (sums(-SPINS, ODD) == -original[:, len(EVEN) :]).all()


@pytest.mark.parametrize(
    ("interaction", "count"), [("00", 1), ("00 01", 2), ("00 01 10", 4), ("00 12", 4), ("00 01 11 12", 4)]
)
def test_images_are_counted_once(interaction, count):
    assert len(images(interaction)) == count


@pytest.mark.parametrize("interaction", ["", "0", "00 00", "00,01", "00 a1", "000 01"])
def test_what_is_no_interaction_is_refused(interaction):
    with pytest.raises(KadanoffError, match="write different sites"):
        sums(SPINS, [interaction])


def test_a_small_lattice_is_refused():
    with pytest.raises(KadanoffError, match="the interactions need 3 x 3"):
        sums(SPINS[:, :2, :2], EVEN)


def test_nothing_to_sum_is_refused():
    with pytest.raises(KadanoffError, match="there are no interactions"):
        sums(SPINS, [])
    with pytest.raises(KadanoffError, match=r"give lattices \(n, y, x\)"):
        sums(SPINS[0], ["00"])
