"""The page reports/index.html."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kadanoff.errors import KadanoffError
from kadanoff.project.report import words
from kadanoff.project.report.contents import Contents, read_contents
from kadanoff.project.report.speed import Bench, read_bench
from kadanoff.runtime.files import disk_errors, write_atomic

HERE = Path(__file__).parent


def write_report(root: Path) -> str:
    """Write reports/index.html from the records of the project `root`, and return a line that says so.

    The same records give the same bytes.

    Raises
    ------
    KadanoffError
        If there is no record, a file of the project is broken, or the disk refuses a write. If some record is broken,
        the page is written without it and says so; then each is named.
    """
    contents = read_contents(root)
    try:
        bench = read_bench(root)
    except KadanoffError as error:
        bench = None
        contents.problems.append(str(error))
    page = render(contents, bench).encode(errors="replace")  # a record may hold half a surrogate pair
    target = root / "reports" / "index.html"
    with disk_errors(target):
        write_atomic(target, page)
    done = f"wrote {target}: {len(contents.runs)} runs, {len(page) / 1e6:.1f} MB"
    if contents.problems:
        raise KadanoffError("\n".join([f"{done}, but:", *contents.problems]))
    return done


def render(contents: Contents, bench: Bench | None) -> str:
    """The page as HTML. Whatever a record holds appears as text."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"duration": words.duration, "number": words.number}
    return environment.get_template("page.html.j2").render(contents=contents, bench=bench)
