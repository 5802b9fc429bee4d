import pytest

from kadanoff.estimate import Estimate
from kadanoff.project.tables import cell, table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (3, "3"),
        ("x", "x"),
        (0.123456, "0.1235"),
        (Estimate(0.1234, 0.0056), "0.1234(56)"),
        (Estimate(1.234e-7, 5.6e-9), "1.234(56)e-7"),
        (Estimate(0.0, 0.0), "0(0)"),
    ],
)
def test_cells_are_readable(value, text):
    assert cell(value) == text


def test_a_table_is_markdown():
    assert table("T", ["", "a"], [["x", 1.5], ["y", None]]) == "## T\n\n|  | a |\n|---|--:|\n| x | 1.5 |\n| y | – |\n"
