"""Rules with weights: symmetric by construction, against their definition, and files that are checked."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from kadanoff.errors import KadanoffError
from kadanoff.renormalization.learned import Weights, compact_terms, features, load_rule, load_weights, orbit
from kadanoff.renormalization.rules import weighted

RANDOM = np.random.default_rng(0)


def some(block, triples=6):
    terms = compact_terms(block, triples)
    return Weights(block, dict(zip(terms, map(float, np.float32(RANDOM.normal(0, 0.3, len(terms)))), strict=True)))


@pytest.mark.parametrize("block", [2, 3, 4])
def test_features_follow_the_definition(block):
    spins = RANDOM.choice(np.array([-1, 1], np.int8), (2, 3 * block, 2 * block))
    terms = compact_terms(block, 3)
    found = features(spins, block, terms)
    for number, term in enumerate(terms):
        for y, x in ((0, 0), (2, 1)):
            products = [
                np.prod(
                    [spins[:, (y * block + j - 1) % (3 * block), (x * block + i - 1) % (2 * block)] for j, i in sites],
                    0,
                )
                for sites in orbit(term, block)
            ]
            assert (found[number, :, y, x] == np.sum(products, 0)).all()


@pytest.mark.parametrize("block", [2, 3])
def test_a_rule_has_the_symmetries_of_its_block(block):
    mean = some(block).mean
    spins = RANDOM.choice(np.array([-1, 1], np.int8), (3, 6 * block, 6 * block))
    known = mean(spins)
    assert np.allclose(mean(-spins), -known, atol=1e-6)
    for turned in (lambda each: each[:, ::-1], lambda each: np.swapaxes(each, 1, 2)):
        assert np.allclose(mean(np.ascontiguousarray(turned(spins))), turned(known), atol=1e-6)
    moved = mean(np.roll(spins, block, 2))
    assert np.allclose(moved, np.roll(known, 1, 2), atol=1e-6)
    assert not np.allclose(mean(np.roll(spins, 1, 2)), known, atol=1e-2)  # that of other blocks


@pytest.mark.parametrize("block", [2, 3])
def test_means_are_those_of_the_features(block):
    weights, spins = some(block), RANDOM.choice(np.array([-1, 1], np.int8), (5, 4 * block, 6 * block))
    known = np.tanh(np.tensordot(list(weights.values.values()), features(spins, block, list(weights.values)), 1))
    assert np.allclose(weights.mean(spins), known, atol=1e-6)


def test_known_rules_are_among_them():
    spins = RANDOM.choice(np.array([-1, 1], np.int8), (3, 8, 8))
    assert np.allclose(Weights(2, {"11": 0.36}).mean(spins), weighted(2, 0.36).mean(spins), atol=1e-6)


def test_terms_are_all_single_spins_and_the_most_compact_products():
    assert compact_terms(2, 2) == ("11", "01", "00", "11 12 21", "01 11 12")
    assert compact_terms(3, 0) == ("22", "12", "11", "02", "01", "00")
    with pytest.raises(KadanoffError, match="blocks of 2 to 8"):
        compact_terms(9, 0)


@pytest.mark.parametrize("term", ["", "11 12", "11 11 12", "1", "14", "11,12,21", "011", "-1"])
def test_what_is_no_term_is_refused(term):
    with pytest.raises(KadanoffError, match="no term of a rule for blocks of 2"):
        orbit(term, 2)


def test_blocks_that_do_not_fit_are_refused():
    with pytest.raises(KadanoffError, match="divides every side"):
        Weights(2, {"11": 1.0}).mean(np.ones((1, 5, 4), np.int8))


def test_a_file_gives_the_same_rule_back(tmp_path):
    path, weights = tmp_path / "models" / "rule.safetensors", some(2)
    weights.save(path)
    again = load_weights(path)
    assert again.block == 2
    assert again.values == weights.values
    spins = RANDOM.choice(np.array([-1, 1], np.int8), (2, 8, 8))
    assert np.allclose(load_rule(path).mean(spins), weights.mean(spins), atol=1e-6)


GOOD = {"11": np.ones(1, np.float32)}


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        (GOOD, None, "names no block size"),
        (GOOD, {"block": "9"}, "names no block size"),
        ({}, {"block": "2"}, "no terms"),
        (GOOD | {"11 12": np.ones(1, np.float32)}, {"block": "2"}, "no term of a rule"),
        ({"44": np.ones(1, np.float32)}, {"block": "2"}, "no term of a rule"),
        ({"11": np.ones(2, np.float32)}, {"block": "2"}, "one finite float32"),
        ({"11": np.ones(1)}, {"block": "2"}, "one finite float32"),
        ({"11": np.full(1, np.nan, np.float32)}, {"block": "2"}, "one finite float32"),
    ],
)
def test_files_of_other_things_are_refused(tmp_path, tensors, metadata, message):
    save_file(tensors, tmp_path / "x.safetensors", metadata)
    with pytest.raises(KadanoffError, match=message):
        load_weights(tmp_path / "x.safetensors")


def test_missing_and_damaged_files_are_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"no weights")
    for name in ("x.safetensors", "y.safetensors"):
        with pytest.raises(KadanoffError, match=f"cannot read .*{name}"):
            load_weights(tmp_path / name)
