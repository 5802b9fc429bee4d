import pytest
import yaml
from pydantic import Field

from kadanoff.data.description import Dataset
from kadanoff.errors import KadanoffError
from kadanoff.project.params import entry, read_params, section
from kadanoff.validation import Section, validated

GOOD = {"size": 4, "temperatures": [2.0], "samples": 3}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampels": 3}, ["datasets.x.sampels", "not a known key", "did you mean 'samples'"]),
        ({"samples": 0}, ["datasets.x.samples is 0", "greater than 0"]),
        ({"dimension": True}, ["datasets.x.dimension is True", "valid integer"]),
        ({"size": 10**6}, ["size is 1000000", "more than 4294967296 spins"]),
        ({"field": float("nan")}, ["datasets.x.field is nan"]),
        ({"boundary": "twisted"}, ["datasets.x.boundary is 'twisted'", "'periodic'"]),
        ({"dimension": 1, "boundary": "skewed"}, ["'skewed'", "dimension: 2"]),
        ({"start": "cold", "boundary": "skewed"}, ["start is 'cold' with boundary 'skewed'", "start: hot"]),
        ({"field": 0.1, "sampler": "hybrid"}, ["field is 0.1; hybrid needs field: 0", "sampler: metropolis"]),
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
    ("change", "words"),
    [
        ({"step": 0}, ["datasets.x.temperatures.step is 0", "greater than 0"]),
        ({"step": 1e-9}, ["datasets.x.temperatures: step is 1e-09", "more than 100000 values"]),
        ({"last": 0.9}, ["datasets.x.temperatures: first is 1.0, but last is 0.9", "not be less"]),
        ({"stepp": 0.1}, ["temperatures.stepp is not a known key; did you mean 'step'?", "keys: first, last, step."]),
    ],
)
def test_a_bad_grid_is_named_with_its_rule(change, words):
    with pytest.raises(KadanoffError) as caught:
        validated(Dataset, GOOD | {"temperatures": GRID | change}, "datasets.x")
    for word in words:
        assert word in str(caught.value)


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
def test_an_unknown_key_of_a_nested_section_is_compared_with_its_own(values, place):
    with pytest.raises(KadanoffError) as caught:
        validated(Outer, values, "x")
    assert str(caught.value) == f"{place} is not a known key; did you mean 'depth'? Known keys: depth."


def test_an_unknown_entry_lists_the_choices(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"datasets": {"first": GOOD, "second": GOOD}}))
    with pytest.raises(KadanoffError, match=r"datasets has no entry 'third'; it has: first, second"):
        entry(tmp_path, Dataset, "datasets", "third")


def test_faults_are_listed_shortly():
    change = {"temperatures": ["warm" * 1000] * 50, "sampler": "s" * 5000, "k" * 5000: 1}
    with pytest.raises(KadanoffError) as caught:
        validated(Dataset, GOOD | change, "x")
    first, *_, last = str(caught.value).splitlines()
    assert first.startswith("x.temperatures.0 is 'warmwarm")
    assert last == "x has 47 more faults."
    assert len(str(caught.value)) < 2500


def write(folder, text):
    (folder / "params.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-05", 0.00001),  # as DVC writes it; text in YAML 1.1
        ("1e5", 100000.0),
        ("no", "no"),
        ("Größe", "Größe"),
        ("{<<: *other, b: 3}", {"a": 1, "b": 3}),
    ],
)
def test_the_dialect_is_that_of_dvc(tmp_path, text, value):
    write(tmp_path, f"other: &other {{a: 1, b: 2}}\nread: {text}\n")
    assert read_params(tmp_path)["read"] == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not valid YAML"),
        ("3", "must be a mapping"),
        ("a: {b: 1, c: 2, b: 3}", r"not valid YAML: found duplicate key .* \(line 1\)"),
        ("a: 2020-99-99", "month must be in"),
        ("a: Größe".encode("latin-1"), "is not UTF-8, from byte 5 on"),
    ],
    ids=range(5),
)
def test_a_broken_file_is_named(tmp_path, text, words):
    write(tmp_path, text)
    with pytest.raises(KadanoffError, match=rf"params\.yaml.*{words}") as caught:
        entry(tmp_path, Dataset, "datasets")
    assert len(str(caught.value)) < len(str(tmp_path)) + 400


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(KadanoffError, match=r"there is no .*params\.yaml"):
        entry(tmp_path, Dataset, "datasets")
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(KadanoffError, match=r"cannot read .*params\.yaml: Is a directory"):
        entry(tmp_path, Dataset, "datasets")


def test_a_key_that_is_no_text_is_named(tmp_path):
    (tmp_path / "params.yaml").write_text("datasets: {coarsen: {64: {size: 64}}}")
    with pytest.raises(KadanoffError, match=r"datasets.coarsen has the key 64, which YAML reads as int; write '64'"):
        section(tmp_path, "datasets", "coarsen")
