"""Sweeps of one large torus: bit by bit against a plain version, band by band against the whole, and Kaufman."""

import numpy as np
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.inverse import bands
from kadanoff.montecarlo.rng import philox, stream_key, threshold
from kadanoff.spins.exact import kaufman

KEY = stream_key(5, "bands")
SIGMAS = 4.0


def hot(height, width, seed=1):
    return 2 * np.random.default_rng(seed).integers(0, 2, (height, width), np.int8) - 1


def swept(spins, temperature, sweeps, rows=None, key=KEY):
    """The torus after sweeps 0 to sweeps - 1, `rows` rows at a time."""
    height, width = spins.shape
    halo, found = bands.halo(sweeps), np.empty_like(spins)
    for first in range(0, height, rows or height):
        count = min(rows or height, height - first)
        around = spins[np.arange(first - halo, first + count + halo) % height]
        words = bands.words_of(len(around), width)
        bands.gather(around, words, 0, (first - halo) & 1)
        bands.advance(words, width, (first - halo) % height, height, key,
                      bands.thresholds(temperature), sweeps)  # fmt: skip
        bands.scatter(words, halo, (first - halo) & 1, found[first : first + count])
    return found


def plainly(spins, temperature, sweeps):
    """The same, site by site."""
    spins = spins.copy()
    height, width = spins.shape
    lane_width = width // 64
    costs = {4: threshold(4, temperature), 8: threshold(8, temperature)}
    for step in range(2 * sweeps):
        for y in range(height):
            for x in range((y + step) % 2, width, 2):
                neighbours = spins[y - 1, x] + spins[(y + 1) % height, x] + spins[y, x - 1] + spins[y, (x + 1) % width]
                cost = 2 * int(spins[y, x]) * int(neighbours)
                lane, column = divmod(x, lane_width)
                random = 0
                for pair in range(16):
                    for word in philox(KEY, np.uint64(column // 2), np.uint64(step), np.uint64(pair), np.uint64(y)):
                        random = 2 * random + (int(word) >> lane & 1)
                if cost <= 0 or random < costs[cost]:
                    spins[y, x] = -spins[y, x]
    return spins


def energy(spins):
    return -float((spins * np.roll(spins, 1, 0) + spins * np.roll(spins, 1, 1)).mean(dtype=float))


@pytest.mark.parametrize("temperature", [1.5, 4.0])
def test_it_is_the_plain_algorithm_bit_by_bit(temperature):
    spins = hot(6, 128)
    np.testing.assert_array_equal(swept(spins, temperature, 3), plainly(spins, temperature, 3))


@pytest.mark.parametrize(("rows", "width"), [(2, 128), (7, 384), (24, 128)])
def test_bands_do_not_matter(rows, width):
    spins = hot(64, width)
    np.testing.assert_array_equal(swept(spins, 2.0, 5, rows), swept(spins, 2.0, 5))


def equilibrated(temperature, lattices=12, sweeps=60):
    """Energies of independent tori 128 x 128 after sweeps from a hot start."""
    found = [
        energy(swept(hot(128, 128, seed), temperature, sweeps, key=stream_key(seed, "equilibrium")))
        for seed in range(lattices)
    ]
    return np.mean(found), np.std(found, ddof=1) / np.sqrt(lattices)


def test_the_energy_is_kaufmans_and_no_other():
    mean, error = equilibrated(3.0)
    assert abs(mean - kaufman(128, 128, 3.0).energy) < SIGMAS * error
    assert abs(mean - kaufman(128, 128, 3.1).energy) > SIGMAS * error


def test_a_width_that_does_not_fit_is_a_sentence():
    with pytest.raises(KadanoffError, match=r"the lattice is 192 wide; .* a multiple of 128"):
        bands.words_of(4, 192)
