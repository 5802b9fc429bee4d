"""Fill the tables of README.md and docs/*.md from the records: `make readme`; with --check, only say what is stale.

The place of a table begins with a line `<!-- table NAME -->`, NAME being one of TABLES below, and ends with
`<!-- end -->`. What stands between is written by this script alone.
"""

import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from kadanoff.studies import stages as described_stages

ROOT = Path(__file__).parents[1]
PLACE = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """The files with tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def filled(text: str) -> str:
    """`text` with every marked table as the records have it now; KeyError if a place has an unknown name."""
    return PLACE.sub(lambda place: f"{place[1]}{TABLES[place[2]]()}{place[3]}", text)


def cells(record: str, title: str) -> list[list[str]]:
    """The cells of a table of reports/RECORD/tables.md: the last one whose title matches."""
    text = (ROOT / "reports" / record / "tables.md").read_text(encoding="utf-8")
    found = [part for part in re.split(r"^#+ ", text, flags=re.MULTILINE) if re.match(title, part.partition("\n")[0])]
    if not found:
        raise SystemExit(f"reports/{record}/tables.md has no table {title!r}; correct its name in docs/readme.py.")
    rows = [line for line in found[-1].splitlines() if line.startswith("|")]
    return [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]


def recorded(record: str, title: str, columns: int | None = None) -> str:
    """Such a table, or its first columns of numbers."""
    end = None if columns is None else columns + 1
    return "".join(f"|{'|'.join(row[:end])}|\n" for row in cells(record, title))


def number(record: str, title: str, row: str, column: str) -> str:
    """One cell of such a table, in the last row of a name, without what follows in parentheses or brackets."""
    head, *rows = ([cell.strip() for cell in line] for line in cells(record, title))
    return re.split(r" [(\[]", [line for line in rows if line[0] == row][-1][head.index(column)])[0]


def headlines() -> str:
    """What each study finds, beside what was published and what is exact."""
    coarse = ("coarsen_compare", "Rule `threshold`, block 2: error")
    average = ("coarsen_compare", "Rule `average`, block 2: error")
    exponents, grown = ("exponents", "Exponents"), ("grow", r"L = \d+$")
    sweeps, regions = ("grow", r"L = \d+, \d+ seeds"), ("classify_compare", "Macro-F1, equilibrium")
    efthymiou, blocks = "Efthymiou et al. 2019: super-resolution", "blocks + 8 sweeps"
    swept = next(line for line in cells(*sweeps) if line[0].strip().startswith("seed_kernel"))[2].strip()
    rows = [
        (
            "[block signs](docs/coarsen.md), squared error per site, `cnn`",
            number(*coarse, "cnn", "test MSE"),
            number(*coarse, "report: cnn", "test MSE"),
            "0",
            "coarsen_compare",
        ),
        ("block averages, 4 weights", number(*average, "exact", "test MSE"), "–", "0", "coarsen_compare"),
        (
            "[super-resolution](docs/superres.md), gamma/nu",
            number(*exponents, blocks, "gamma/nu"),
            number(*exponents, efthymiou, "gamma/nu"),
            "1.75",
            "exponents",
        ),
        ("beta", number(*exponents, blocks, "beta"), number(*exponents, efthymiou, "beta"), "0.125", "exponents"),
        (
            "[growing](docs/grow.md), neighbours' &lt;s s'&gt; less exact",
            number(*grown, "raw", "c10 - exact"),
            swept,
            "0",
            "grow",
        ),
        (
            "[temperature regions](docs/classify.md), macro-F1, ViT",
            number(*regions, "vit", "periodic"),
            number(*regions, "Kara et al. (2021): ViT", "periodic"),
            number(*regions, "limit", "periodic"),
            "classify_compare",
        ),
    ]
    rows += [
        (
            "[renormalization group](docs/mcrg.md), y_H",
            number("mcrg", "y_H by step", "majority3", "3"),
            "1.876",
            "1.875",
            "mcrg",
        ),
        (
            "ln Z per site of weighed draws, less exact",
            number("superres_weights", "Weights", "each", "ln Z / L^2 - exact"),
            "–",
            "0",
            "superres_weights",
        ),
    ]
    lines = [[what, ours, known, exact, f"`{command}`"] for what, ours, known, exact, command in rows]
    return table(["", "here", "published", "exact, or limit", "`dvc repro`"], lines)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [columns, ["---"] + ["--:"] * (len(columns) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def energies() -> str:
    """How far all datasets are from exact energies, and chains from different starts from each other."""
    paths = sorted(ROOT.glob("reports/simulate/*/metrics.json"))
    records = [dataset for path in paths for dataset in json.loads(path.read_text()).values()]
    unit = "_in_standard_errors"
    energy = f"largest_deviation_from_exact_energy{unit}"
    compared = [record for record in records if energy in record]
    points, largest = sum(record["compared_with_exact"] for record in compared), max(r[energy] for r in compared)
    chance = 1 - (1 - math.erfc(largest / math.sqrt(2))) ** points  # of normal deviations
    starts = [record[key] for record in records if (key := f"largest_difference_of_starts{unit}") in record]
    rows = [
        [f"energies at {points} temperatures of {len(compared)} datasets", f"{largest:.1f}", f"{chance:.0%}"],
        [f"&lt;m²&gt; from two starts, {len(starts)} datasets", f"{max(starts):.1f}", "–"],
    ]
    return table(["compared", "largest deviation, standard errors", "as large by chance"], rows)


def bench() -> dict:
    """The measurements of `make bench`."""
    return json.loads((ROOT / "reports" / "bench.json").read_text())


def speed() -> str:
    """Samplers beside other programs, L = 1024, one core."""
    rows = [row for row in bench()["rows"] if (row["size"], row["cores"]) == (1024, 1)]
    found = {(row["sampler"], row["program"]): f"{row['ns_per_site']:.2g}" for row in rows}
    programs = list(dict.fromkeys(program for _, program in found))
    samplers = list(dict.fromkeys(sampler for sampler, _ in found))
    lines = [[name.replace("_", " "), *(found.get((name, program), "–") for program in programs)] for name in samplers]
    return table(["ns per site and sweep", *programs], lines)


def growing() -> str:
    """Whole commands `kadanoff grow`."""
    rows = []
    for row in bench()["growth"]["commands"]:
        rows.append([str(row["size"]), f"{row['seconds']:.1f}", f"{row['ns_per_spin']:.0f}"])
        rows[-1] += [f"{row['peak_bytes'] / 1e9:.2f}", f"{8 * row['bytes_per_spin']:.2f}"]
    return table(["L", "seconds", "ns x cores per spin", "memory, GB", "bits per spin on disk"], rows)


def stages() -> str:
    """All stages of the pipeline, by what their docstrings say."""
    rows = "".join(f"| `{name}` | {does} |\n" for name, does in described_stages().items())
    return f"| stage | what it does |\n| --- | --- |\n{rows}"


TABLES = {
    "stages": stages,
    "headlines": headlines,
    "energies": energies,
    "speed": speed,
    "growing": growing,
    "coarsen_threshold": partial(recorded, "coarsen_compare", "Rule `threshold`, block 2: error"),
    "coarsen_average": partial(recorded, "coarsen_compare", "Rule `average`, block 2: error"),
    "superres": partial(recorded, "superres_compare", r"T = 2\.2692", 5),
    "exponents": partial(recorded, "exponents", "Exponents", 5),
    "exponents_full_scale": partial(recorded, "published/full-scale/exponents", "Exponents", 5),
    "thermalize": partial(recorded, "thermalize", "L = ", 5),
    "superres_weights": partial(recorded, "superres_weights", "Weights"),
    "grow": partial(recorded, "grow", r"L = \d+$", 8),
    "grow_sweeps": partial(recorded, "grow", r"L = \d+, \d+ seeds"),
    "grow_full_scale": partial(recorded, "published/full-scale/grow", "L = 13824, "),
    "grow_times": partial(recorded, "grow_times", "L = ", 5),
    "mcrg_thermal": partial(recorded, "published/full-scale/mcrg", "y_T by step"),
    "mcrg_magnetic": partial(recorded, "published/full-scale/mcrg", "y_H by step"),
    "mcrg_coupling": partial(recorded, "published/full-scale/mcrg", "Critical coupling"),
    "mcrg_separation": partial(recorded, "published/full-scale/mcrg", "Separation"),
    "classify": partial(recorded, "classify_compare", "Macro-F1, equilibrium"),
    "classify_images": partial(recorded, "classify_compare", "Macro-F1 by labelled images"),
    "classify_published": partial(recorded, "published/classification/classify_compare", "Macro-F1, equilibrium"),
    "classify_quenched": partial(recorded, "published/classification/classify_compare", "Macro-F1, metropolis500"),
}


def main() -> None:
    """Write the pages that are stale, or with --check end with an error that names them."""
    stale = [page for page in pages() if filled(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")]
    if stale and "--check" in sys.argv:
        raise SystemExit(f"{', '.join(page.name for page in stale)}: not as the records are; run `make readme`.")
    for page in stale:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
