"""The README says what the records say."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_row_of_the_results_stands_in_the_tables():
    start = README.index("Coarse-graining 16 x 16 to 8 x 8")
    rows = re.findall(r"^\| [a-z].*$", README[start : README.index("\n* ", start)], re.MULTILINE)
    tables = (ROOT / "reports" / "coarsen_compare" / "tables.md").read_text()
    assert len(rows) >= 8
    for row in rows:
        assert row in tables


def test_every_row_of_super_resolution_stands_in_the_tables():
    start = README.index("### Super-resolution")
    rows = re.findall(r"^\| (?!---)[a-z0-9].*$", README[start : README.index("$ kadanoff grow")], re.MULTILINE)
    tables = "".join(
        (ROOT / "reports" / stage / "tables.md").read_text()
        for stage in ("superres_compare", "exponents", "grow", "published/full-scale/grow")
    )
    assert len(rows) >= 12
    for row in rows:
        # the README shows the first columns of long rows
        assert row.removesuffix(" |") in tables, row


def test_the_numbers_at_full_scale_are_those_published():
    numbers = {
        "exponents": ["1.75468(32)", "1.75149(28)", "1.75041(52)", "0.12501(30)", "0.24979(62)", "0.24978(51)"],
        "superres_compare": ["0.0142(24)", "0.00117(41)"],
        "grow": ["0.35(47)", "-0.40(17)", "-0.38(48)", "0.49398(15)", "0.49211(14)", "0.49203(16)"],
    }
    for stage, values in numbers.items():
        tables = (ROOT / f"reports/published/full-scale/{stage}/tables.md").read_text()
        for number in values:
            assert number in README
            assert number in tables


def test_the_largest_deviation_is_that_of_the_datasets():
    key = "largest_deviation_from_exact_energy_in_standard_errors"
    records = [json.loads(path.read_text()) for path in ROOT.glob("reports/simulate/*/metrics.json")]
    largest = max(record[key] for record in records if key in record)
    assert f"{largest:.1f} standard errors" in README
    assert largest < 4


def test_the_energies_on_fine_grids_scatter_as_they_should():
    key = "mean_square_deviation_from_exact_energy_in_standard_errors"
    records = [json.loads(path.read_text()) for path in ROOT.glob("reports/simulate/*/metrics.json")]
    squares = [record[key] for record in records if key in record]
    assert len(squares) >= 4
    assert all(abs(square - 1) < 5 * (2 / 400) ** 0.5 for square in squares)
    assert f"{min(squares):.2f} to {max(squares):.2f}" in README


def test_the_numbers_of_compared_temperatures_are_those_of_the_records():
    records = [json.loads(path.read_text()) for path in ROOT.glob("reports/simulate/*/metrics.json")]
    few = [record for record in records if "largest_deviation_from_exact_energy_in_standard_errors" in record]
    many = [record["compared_with_exact"] for record in records if record not in few and record["compared_with_exact"]]
    known = sum("energy_exact" in row for record in few for row in record.values() if isinstance(row, dict))
    compared = sum(record["compared_with_exact"] for record in few)
    assert f"at {known} temperatures in all,\n{compared} of them" in README
    assert f"at {min(many)} to {max(many)} of 400 temperatures" in README
    starts = [record.get("largest_difference_of_starts_in_standard_errors", 0) for record in records]
    assert f"they differ by at most {max(starts):.1f} standard errors" in README
    assert max(starts) < 4


def test_the_tables_of_temperature_regions_are_those_of_the_record():
    section = README[README.index("### Temperature regions") : README.index("## Change it")]
    rows = re.findall(r"^\| (?!---)[A-Za-z0-9].*$", section, re.MULTILINE)
    tables = "".join(
        (ROOT / "reports" / stage / "tables.md").read_text()
        for stage in ("classify_compare", "published/classification/classify_compare")
    )
    assert len(rows) >= 16
    for row in rows:
        assert row in tables, row


def test_the_speeds_are_those_of_the_bench():
    rows = json.loads((ROOT / "reports" / "bench.json").read_text())["rows"]
    for row in rows:
        if row["size"] == 1024 and row["cores"] == 1:
            ns = row["ns_per_site"]
            assert f"{1 / ns if row['sampler'] == 'metropolis' else ns:.2g}" in README


def test_the_cost_of_sharing_is_that_of_the_bench():
    sharing = json.loads((ROOT / "reports" / "bench.json").read_text())["sharing"]
    assert f"{sharing['spins'] / 1e6:.2f} million spins" in README
    for row in sharing["rows"]:
        bits = 8 * row["bytes"] / sharing["spins"]
        title = f"{row['program']} {row['action']}"
        assert f"| `{title}` | {row['seconds']:.1f} | {row['bytes'] / 1e6:.2f} | {bits:.2f} |" in README


def test_the_cost_of_growing_is_that_of_the_bench():
    growth = json.loads((ROOT / "reports" / "bench.json").read_text())["growth"]
    for row in growth["commands"]:
        memory, bits = row["peak_bytes"] / 1e9, 8 * row["bytes_per_spin"]
        assert (
            f"| {row['size']} | {row['seconds']:.1f} | {row['ns_per_spin']:.0f} | {memory:.2f} | {bits:.2f} |" in README
        )
    steps = {(step["program"], step["step"], step["cores"]): step["ns"] for step in growth["steps"]}
    for step in ("generator", "refinement"):
        assert f"{steps['published', step, 1]:.3g} against {steps['kadanoff', step, 1]:.3g} ns" in README
    both = growth["cores"] * (
        steps["published", "generator", 2] + growth["sweeps"] * steps["published", "refinement", 2]
    )
    assert f"takes {both:.0f} ns x cores" in README


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
