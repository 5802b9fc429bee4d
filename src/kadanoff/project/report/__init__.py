"""The report: one self-contained page, made from the records alone. All that they hold is only text."""

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from kadanoff.errors import KadanoffError, printable
from kadanoff.estimate import Estimate
from kadanoff.project.params import read_yaml
from kadanoff.project.records.read import Published, find_records, read_record
from kadanoff.project.records.runinfo import flatten
from kadanoff.project.tables import cell
from kadanoff.runtime.files import disk_errors, write_atomic

MOST_HEADLINES = 5  # columns of numbers in a list of runs
STUDY = re.compile(r"src/kadanoff/studies/([\w-]+)/")


@dataclass
class Run:
    """One record. `numbers`, `facts` and `parameters` are text by name; figures are pairs of data URI and caption."""

    name: str
    anchor: str
    numbers: dict[str, str]
    facts: dict[str, str]
    parameters: dict[str, str]
    score: str | None
    figures: list[tuple[str, str]] = field(default_factory=list)
    tables: list[Markup] = field(default_factory=list)


def write_report(root: Path) -> str:
    """Write reports/index.html from the records of the project `root`, and return a line that says so.

    Studies and stages have the order of dvc.yaml; published runs follow those made here. If some record is broken, the
    page is written without it and says so; then KadanoffError names it.
    """
    pipeline = read_yaml(root / "dvc.yaml")
    stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
    if not isinstance(stages, dict):
        raise KadanoffError(f"{root / 'dvc.yaml'} has no mapping `stages`; restore it with `git checkout dvc.yaml`.")
    problems = []
    runs: dict[str, list[Run]] = {name: [] for name in stages}
    for folder in find_records(root):
        try:
            record = read_record(root, folder)
            runs.setdefault(record.info.stage, []).append(_run(record))
        except (KadanoffError, OSError, RecursionError) as error:
            place = folder.relative_to(root)
            problems.append(printable(f"{place} is left out: {error}".replace(f"{root}/", "")))
    studies: dict[str, dict[str, list[Run]]] = {}
    for stage in filter(runs.get, runs):
        study = STUDY.search(str(stages.get(stage)))
        studies.setdefault(study[1] if study else stage, {})[stage] = runs[stage]
    count = sum(map(len, runs.values()))
    if not count and not problems:
        raise KadanoffError(f"there is no record in {root / 'reports'}; run `dvc repro`, or `git checkout reports`.")
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    template = environment.get_template("page.html.j2")
    text = template.render(studies=studies, problems=problems, count=count, names=_names, headlines=_headlines)
    page = text.encode(errors="replace")  # a record may hold half a surrogate pair
    target = root / "reports" / "index.html"
    with disk_errors(target):
        write_atomic(target, page)
    done = f"wrote {target}: {count} runs, {len(page) / 1e6:.1f} MB"
    if problems:
        raise KadanoffError("\n".join([f"{done}, but:", *problems]))
    return done


def _names(runs: list[Run]) -> list[str]:
    """Names of all numbers of these runs."""
    return sorted({name for run in runs for name in run.numbers})


def _headlines(runs: list[Run]) -> list[str]:
    """Numbers by which the runs' models compete, then those at the top of most records."""
    scores = [run.score for run in runs if run.score]
    common = [name for name in _names(runs) if 2 * sum(name in run.numbers for run in runs) > len(runs)]
    return list(dict.fromkeys([*scores, *(name for name in common if "/" not in name)]))[:MOST_HEADLINES]


def _run(record: Published) -> Run:
    info, place = record.info, f" [{record.publication}]" if record.publication else ""
    run = Run(
        name=f"{info.variant or info.stage}{place}",
        anchor=record.path.removeprefix("reports/"),
        numbers=_numbers(record.metrics),
        facts=_facts(record),
        parameters={name: _line(value) for name, value in flatten(info.parameters).items()},
        score=info.model.metric if info.model else None,
    )
    for file in record.artifacts:
        if file.suffix == ".png":
            words = _caption(file) or f"{file.stem.replace('_', ' ').capitalize()} of {info.title}"
            run.figures.append((f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}", words))
        elif file.suffix == ".md":
            run.tables.append(_html(file.read_text(encoding="utf-8", errors="replace")))
    return run


def _caption(path: Path) -> str:
    """The caption that a record's PNG carries; empty if it has none or is no PNG."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            return str(getattr(image, "text", {}).get("Description", ""))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ""


def _facts(record: Published) -> dict[str, str]:
    info = record.info
    again = ", with the parameters below in params.yaml" if record.publication else ""
    known = {
        "Command": f"dvc repro {info.address}{again}",
        "Started": f"{info.started:%Y-%m-%d %H:%M} UTC",
        "Took": f"{info.duration_s:.1f} s" if info.duration_s < 120 else f"{info.duration_s / 60:.1f} min",
        "Experiment": info.dvc_experiment,
        "Commit": info.git_commit,
        "MLflow run": info.mlflow_run_id,
        "Inputs": "; ".join(f"{item.path}, md5 {item.md5 or 'not in dvc.lock'}" for item in info.inputs),
        "Model": info.model and f"{info.model.weights}, md5 {info.model.md5}; task: {info.model.task}",
        "Machine": ", ".join(f"{name.split('/')[-1]} {value}" for name, value in flatten(info.environment).items()),
    }
    return {name: value for name, value in known.items() if value}


def _numbers(metrics: dict[str, float]) -> dict[str, str]:
    """Metrics as text, each with its error in parentheses; integers are whole."""
    found = {}
    for name, value in metrics.items():
        if f"{name}_error" in metrics:
            found[name] = cell(Estimate(value, metrics[f"{name}_error"]))
        elif not (name.endswith("_error") and name.removesuffix("_error") in metrics):
            found[name] = cell(int(value) if value.is_integer() and abs(value) < 1e15 else value)
    return found


def _line(value: Any) -> str:
    line = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return line if len(line) <= 400 else f"{line[:400]}…"


def _html(source: str) -> Markup:
    """Markdown as HTML that can neither run, nor load, nor lead anywhere; its headings are h5, its tables scroll."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(["html_block", "html_inline", "image", "link", "autolink", "reference"])
    page = re.sub("(</?)h[1-6]>", r"\1h5>", parser.render(source))  # all text in it is escaped
    scroll = '<div class="scroll" role="region" tabindex="0" aria-label="Table"><table>'
    return Markup(page.replace("<table>", scroll).replace("</table>", "</table></div>"))
