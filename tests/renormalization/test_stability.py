"""The stability matrix against enumeration and known exponents, and what must not give them."""

from dataclasses import replace

import numpy as np
import pytest
from enumerated import enumerated

from kadanoff.errors import KadanoffError
from kadanoff.renormalization.couplings import EVEN, ODD
from kadanoff.renormalization.flow import BOND, Setup, measure
from kadanoff.renormalization.rules import corner, majority
from kadanoff.renormalization.stability import exponents, stability_matrix
from kadanoff.spins.exact import T_C

SMALL = Setup(4, 1, 1000, (BOND, "00 11", "00", "00 01 10"), temperature=2.5, every=2)
ARRAYS = "means", "squares", "pairs", "bond", "bonds"
SETS = (BOND,), (BOND, "00 11"), ("00",), ("00", "00 01 10")


def test_exponents_are_those_of_enumeration():
    found, exact = measure({"": majority(2)}, SMALL, 64)[""], enumerated(majority(2), SMALL)
    other = enumerated(majority(2), replace(SMALL, temperature=2.6))
    rejected = []
    for interactions in SETS:
        largest = [
            np.log2(np.abs(np.linalg.eigvals(stability_matrix(each, 1, interactions))).max()) for each in (exact, other)
        ]
        y = exponents(found, 1, interactions)[0]
        assert abs(y.sigmas(largest[0])) < 4
        rejected.append(abs(y.sigmas(largest[1])) > 4)
    assert any(rejected)


def test_a_block_of_one_spin_changes_nothing():
    flow = measure({"": corner(1)}, Setup(6, 1, 50), 4)[""]
    assert np.allclose(stability_matrix(flow, 1, EVEN), np.eye(len(EVEN)), atol=1e-6)


@pytest.fixture(scope="module")
def flows():
    """81 x 81 at T_c, in 3 x 3 blocks: some seconds."""
    return measure({"majority": majority(3), "decimation": corner(3)}, Setup(81, 2, 200, seed=1), 64)


@pytest.mark.slow
def test_majority_comes_to_the_exact_exponents(flows):
    """Longer runs at L = 243: y_T 0.9589(22) and 0.9993(33), y_H 1.8585(1) and 1.8733(1) at steps 1 and 2."""
    known = {(1, EVEN): (0.9589, 0.03), (2, EVEN): (1.0, 0.03), (1, ODD): (1.8585, 0.0015), (2, ODD): (1.8738, 0.0025)}
    for (step, interactions), (value, within) in known.items():
        y = exponents(flows["majority"], step, interactions)[0]
        assert y.error < within / 3
        assert abs(y.mean - value) < within


@pytest.mark.slow
def test_decimation_fails(flows):
    assert abs(exponents(flows["decimation"], 2, ODD)[0].sigmas(15 / 8)) > 10
    assert abs(exponents(flows["decimation"], 2, EVEN)[0].sigmas(1)) > 5


@pytest.mark.slow
def test_other_temperatures_and_levels_of_other_chains_fail(flows):
    hot = measure({"": majority(3)}, Setup(81, 2, 150, temperature=1.05 * float(T_C), seed=1), 64)[""]
    assert abs(exponents(hot, 2, ODD)[0].sigmas(15 / 8)) > 10
    paired = flows["majority"]
    unpaired = replace(paired, pairs=paired.means[:, 1:, :, None] * np.roll(paired.means, 1, 0)[:, :-1, None, :])
    assert exponents(unpaired, 2, EVEN)[0].mean < 0.5


@pytest.mark.slow
def test_errors_cover():
    """Of 120 runs of 8 chains each, 68.3% should lie within one error of the average over all."""
    whole = measure({"": majority(2)}, Setup(16, 1, 60), 960)[""]
    covered = {1.0: [], 0.6: [], 1.6: []}
    for interactions in (EVEN[:3], ODD[:3]):
        true = exponents(whole, 1, interactions, 1)[0].mean
        for first in range(0, 960, 8):
            arrays = {name: getattr(whole, name)[first : first + 8] for name in ARRAYS}
            (y,) = exponents(replace(whole, **arrays), 1, interactions, 1)
            for scale, inside in covered.items():
                inside.append(abs(y.sigmas(true)) < scale)
    shares = {scale: np.mean(inside) for scale, inside in covered.items()}
    assert 0.58 < shares[1.0] < 0.78  # 3 standard deviations of 240
    assert shares[0.6] < 0.58
    assert shares[1.6] > 0.78


@pytest.mark.parametrize(
    ("step", "interactions", "message"),
    [
        (0, EVEN, "step is 0, and the flow has the steps 1 to 1"),
        (2, EVEN, "step is 2"),
        (1, (BOND, "00"), "even and odd interactions do not mix"),
        (1, ("00 03",), "'00 03' was not measured; the interactions are 00 01, "),
        (1, (), "even and odd interactions"),
        (1, EVEN, "the stability matrix is singular"),  # second neighbours are nearest ones, the other way round
    ],
)
def test_what_has_no_stability_matrix_is_refused(step, interactions, message):
    flow = measure({"": majority(3)}, Setup(9, 1, 20), 3)[""]
    with pytest.raises(KadanoffError, match=message):
        exponents(flow, step, interactions)


def test_the_jackknife_needs_chains():
    flow = measure({"": majority(2)}, Setup(12, 1, 20), 1)[""]
    with pytest.raises(KadanoffError, match="one chain, and the jackknife needs two"):
        exponents(flow, 1, EVEN)
