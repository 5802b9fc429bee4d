import pytest
import yaml

from kadanoff.errors import KadanoffError
from kadanoff.lab.params import Dataset, entry, validated

GOOD = {"size": 4, "temperatures": [2.0], "samples": 3}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampels": 3}, ["datasets.x.sampels", "not a known key", "did you mean 'samples'"]),
        ({"samples": 0}, ["datasets.x.samples is 0", "greater than 0"]),
        ({"samples": "3"}, ["datasets.x.samples is '3'", "valid integer"]),
        ({"temperatures": [-1.0]}, ["temperatures has -1.0", "positive"]),
        ({"temperatures": [2.0, 2.0]}, ["temperatures has a value twice"]),
        ({"temperatures": []}, ["datasets.x.temperatures is []"]),
        ({"size": 1}, ["size is 1 x 1", "at least 2"]),
        ({"size": [4, 4, 4]}, ["size is [4, 4, 4]", "[height, width]"]),
        ({"size": 4.5}, ["datasets.x.size is 4.5"]),
        ({"boundary": "twisted"}, ["datasets.x.boundary is 'twisted'", "'periodic'"]),
        ({"coupling": 0.5}, ["coupling is 0.5", "1 (ferromagnet) or -1"]),
        ({"dimension": 1, "boundary": "skewed"}, ["'skewed'", "dimension: 2"]),
        ({"start": "cold", "boundary": "skewed"}, ["start is 'cold' with boundary 'skewed'", "start: hot"]),
        ({"start": "cold", "coupling": -1}, ["start is 'cold'", "start: hot"]),
        ({"field": 0.1, "sampler": "swendsen_wang"}, ["field is 0.1", "sampler: metropolis"]),
    ],
)
def test_a_bad_value_is_named_with_its_rule(change, words):
    with pytest.raises(KadanoffError) as caught:
        validated(Dataset, GOOD | change, "datasets.x")
    for word in words:
        assert word in str(caught.value)


def test_a_good_entry_is_read(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"datasets": {"x": GOOD | {"coupling": -1}}}))
    dataset = entry(tmp_path, Dataset, "datasets", "x")
    assert (dataset.size, dataset.lattice.coupling, dataset.boundary) == (4, -1, "periodic")


def test_an_unknown_entry_lists_the_choices(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"datasets": {"first": GOOD, "second": GOOD}}))
    with pytest.raises(KadanoffError, match=r"datasets has no entry 'third'; it has: first, second"):
        entry(tmp_path, Dataset, "datasets", "third")


@pytest.mark.parametrize(("text", "words"), [("a: [", "not valid YAML"), ("3", "must be a mapping")])
def test_a_broken_file_is_named(tmp_path, text, words):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(KadanoffError, match=words):
        entry(tmp_path, Dataset, "datasets")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(KadanoffError, match=r"there is no .*params\.yaml"):
        entry(tmp_path, Dataset, "datasets")
