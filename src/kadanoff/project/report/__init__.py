"""The report: one self-contained page, made from the records alone."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kadanoff.errors import KadanoffError
from kadanoff.project.report.contents import read_contents
from kadanoff.runtime.files import disk_errors, write_atomic


def write_report(root: Path) -> str:
    """Write reports/index.html from the records of the project `root`, and return a line that says so.

    The same records give the same bytes.

    Raises
    ------
    KadanoffError
        If there is no record, dvc.yaml is broken, or the disk refuses a write. If some record is broken, the page is
        written without it and says so; then each is named.
    """
    contents = read_contents(root)
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    page = (
        environment.get_template("page.html.j2").render(contents=contents).encode(errors="replace")
    )  # a record may hold half a surrogate pair
    target = root / "reports" / "index.html"
    with disk_errors(target):
        write_atomic(target, page)
    done = f"wrote {target}: {contents.count} runs, {len(page) / 1e6:.1f} MB"
    if contents.problems:
        raise KadanoffError("\n".join([f"{done}, but:", *contents.problems]))
    return done
