import pytest
import yaml
from pydantic import Field

from kadanoff.errors import KadanoffError
from kadanoff.lab.params import Dataset, Section, entry, validated

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
        ({"field": 0.1, "sampler": "hybrid"}, ["field is 0.1; hybrid needs field: 0", "sampler: metropolis"]),
        ({"start": "ground"}, ["start is 'ground' with boundary 'periodic' and coupling 1", "start: hot"]),
        ({"start": "ground", "boundary": "free"}, ["start is 'ground' with boundary 'free'", "start: hot"]),
        ({"start": "ground", "boundary": "skewed", "coupling": -1}, ["and coupling -1", "ferromagnet", "start: hot"]),
        ({"start": "ground", "boundary": "antiperiodic", "dimension": 1}, ["start is 'ground'", "square"]),
    ],
)
def test_a_bad_value_is_named_with_its_rule(change, words):
    with pytest.raises(KadanoffError) as caught:
        validated(Dataset, GOOD | change, "datasets.x")
    for word in words:
        assert word in str(caught.value)


GRID = {"first": 1.0, "last": 2.0, "step": 0.25}


def test_a_grid_has_the_decimals_that_are_written():
    fine = validated(Dataset, GOOD | {"temperatures": {"first": 0.01, "last": 4.0, "step": 0.01}}, "x").temperatures
    assert fine == [float(f"{index / 100:.2f}") for index in range(1, 401)]
    assert 2.27 in fine
    assert [0.01 + 0.01 * index for index in range(400)] != fine  # what sums of binary fractions would give
    assert validated(Dataset, GOOD | {"temperatures": GRID}, "x").temperatures == [1.0, 1.25, 1.5, 1.75, 2.0]


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ({"last": 1.9}, [1.0, 1.25, 1.5, 1.75]),
        ({"last": 1.0}, [1.0]),
        ({"first": 1, "last": 3, "step": 1}, [1.0, 2.0, 3.0]),
        ({"first": 0.3, "last": 0.9, "step": 0.3}, [0.3, 0.6, 0.9]),
    ],
)
def test_a_grid_ends_at_the_last_step_that_does_not_pass_its_end(change, values):
    assert validated(Dataset, GOOD | {"temperatures": GRID | change}, "x").temperatures == values


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"step": -0.1}, ["datasets.x.temperatures.step is -0.1", "greater than 0"]),
        ({"step": 0}, ["datasets.x.temperatures.step is 0", "greater than 0"]),
        ({"step": "0.1"}, ["datasets.x.temperatures.step is '0.1'", "valid number"]),
        ({"step": float("inf")}, ["datasets.x.temperatures.step is inf", "finite"]),
        ({"last": float("inf")}, ["datasets.x.temperatures.last is inf", "finite"]),
        ({"first": float("nan")}, ["datasets.x.temperatures.first is nan", "finite"]),
        ({"step": 1e-9}, ["datasets.x.temperatures: step is 1e-09", "more than 100000 values"]),
        ({"last": 0.9}, ["datasets.x.temperatures: first is 1.0, but last is 0.9", "not be less"]),
        ({"first": 0.0}, ["temperatures has 0.0", "at least 0.01"]),
        ({"stepp": 0.1}, ["temperatures.stepp is not a known key; did you mean 'step'?", "keys: first, last, step."]),
    ],
)
def test_a_bad_grid_is_named_with_its_rule(change, words):
    with pytest.raises(KadanoffError) as caught:
        validated(Dataset, GOOD | {"temperatures": GRID | change}, "datasets.x")
    for word in words:
        assert word in str(caught.value)


def test_an_incomplete_grid_says_what_is_missing():
    with pytest.raises(KadanoffError) as caught:
        validated(Dataset, GOOD | {"temperatures": {"first": 1.0}}, "datasets.x")
    last, step = str(caught.value).splitlines()
    assert last == "datasets.x.temperatures.last is missing; it must be given."
    assert step == "datasets.x.temperatures.step is missing; it must be given."


class Inner(Section):
    depth: int = 1


class Outer(Section):
    inner: Inner = Inner()
    each: dict[str, Inner] = Field(default_factory=dict)
    some: list[Inner] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"inner": {"dept": 1}}, "x.inner.dept"),
        ({"each": {"first": {"dept": 1}}}, "x.each.first.dept"),
        ({"some": [{"dept": 1}]}, "x.some.0.dept"),
    ],
)
def test_an_unknown_key_of_a_nested_section_is_held_against_its_own(values, place):
    with pytest.raises(KadanoffError) as caught:
        validated(Outer, values, "x")
    assert str(caught.value) == f"{place} is not a known key; did you mean 'depth'? Known keys: depth."


@pytest.mark.parametrize("boundary", ["skewed", "antiperiodic"])
def test_ground_states_are_for_ferromagnets_with_a_wall(boundary):
    assert validated(Dataset, GOOD | {"start": "ground", "boundary": boundary}, "x").start == "ground"


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
