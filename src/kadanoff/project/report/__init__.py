"""The report: one self-contained page, made from the records alone. All that they hold is only text."""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from kadanoff.errors import KadanoffError, printable
from kadanoff.project.params import read_yaml, studies
from kadanoff.project.records.read import Published, find_records, read_record
from kadanoff.project.records.runinfo import flatten
from kadanoff.project.tables import cells
from kadanoff.runtime.files import disk_errors, write_atomic

MOST_HEADLINES = 6  # columns of numbers in a list of runs


@dataclass(frozen=True)
class Run:
    """One record; numbers, facts, parameters, and rows of the comparison are text by name.

    Figures are pairs of data URI and caption; the first shows the result.
    """

    name: str
    stage: str
    anchor: str
    command: str
    seconds: float
    result: Markup
    headlines: dict[str, str]
    numbers: dict[str, str]
    comparison: list[dict[str, str]]
    compared_by: list[str]
    facts: dict[str, str]
    parameters: dict[str, str]
    figures: list[tuple[str, str]]
    tables: list[Markup]


def write_report(root: Path) -> str:
    """Write reports/index.html from the records of the project `root`, and return a line that says so.

    Studies and stages have the order of dvc.yaml; published runs follow those made here. Findings are the runs whose
    summary.json is among its metrics. If some record is broken, the page is written without it and says so; then
    KadanoffError names it.
    """
    study_of = studies(root)
    declared = read_yaml(root / "dvc.yaml").get("metrics") or []
    problems, findings = [], []
    runs: dict[str, list[Run]] = {stage: [] for stage in study_of}
    for folder in find_records(root):
        try:
            run = _run(read_record(root, folder))
            runs.setdefault(run.stage, []).append(run)
        except (KadanoffError, OSError, RecursionError) as error:
            place = folder.relative_to(root)
            problems.append(printable(f"{place} is left out: {error}".replace(f"{root}/", "")))
    shown: dict[str, dict[str, list[Run]]] = {}
    for stage in filter(runs.get, runs):
        study = study_of.get(stage, stage)
        shown.setdefault(study, {})[stage] = runs[stage]
        findings += [(study, run) for run in runs[stage] if f"reports/{run.anchor}/summary.json" in declared]
    count = sum(map(len, runs.values()))
    if not count and not problems:
        raise KadanoffError(f"there is no record in {root / 'reports'}; run `dvc repro`, or `git checkout reports`.")
    page = _page(studies=shown, findings=findings, problems=problems, count=count, headlines=_headlines)
    target = root / "reports" / "index.html"
    with disk_errors(target):
        write_atomic(target, page)
    done = f"wrote {target}: {count} runs, {len(page) / 1e6:.1f} MB"
    if problems:
        raise KadanoffError("\n".join([f"{done}, but:", *problems]))
    return done


def _page(**content: Any) -> bytes:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    environment.filters["sha256"] = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    text = environment.get_template("page.html.j2").render(content)
    return text.encode(errors="replace")  # a record may hold half a surrogate pair


def _headlines(runs: list[Run]) -> list[str]:
    """Headline numbers that most runs with a result have; if none says its result, that most runs have."""
    runs = [run for run in runs if run.result] or runs
    names = dict.fromkeys(name for run in runs for name in run.headlines)
    return [name for name in names if 2 * sum(name in run.headlines for run in runs) > len(runs)][:MOST_HEADLINES]


def _run(record: Published) -> Run:
    info, published = record.info, record.publication
    pictures = sorted((file for file in record.artifacts if file.suffix == ".png"), key=lambda f: f.stem != info.figure)
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in record.artifacts if file.suffix == ".md"]
    headlines = cells(record.summary)
    return Run(
        name=f"{info.variant or info.stage}{f' [{published}]' if published else ''}",
        stage=info.stage,
        anchor=record.path.removeprefix("reports/"),
        command=f"dvc repro {info.address}{', with the parameters below in params.yaml' if published else ''}",
        seconds=info.duration_s,
        result=_html(info.result or "", info.title),
        headlines=headlines,
        numbers=cells({name.replace("/", "_"): value for name, value in record.metrics.items()}) | headlines,
        comparison=[cells({name: _value(text) for name, text in row.items()}) for row in record.comparison],
        compared_by=info.compared_by,
        facts=_facts(record),
        parameters={name: _line(value) for name, value in flatten(info.parameters).items()},
        figures=[_figure(file, info.title) for file in pictures],
        tables=[_html(text, info.title) for text in texts],
    )


def _figure(path: Path, title: str) -> tuple[str, str]:
    data = base64.b64encode(path.read_bytes()).decode()
    return f"data:image/png;base64,{data}", _caption(path) or f"{path.stem.replace('_', ' ').capitalize()} of {title}"


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
    known = {
        "All numbers": f"{record.path}/metrics.json",
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


def _value(text: str) -> float | str:
    """What a cell of a comparison holds."""
    try:
        return float(text)
    except ValueError:
        return text


def _line(value: Any) -> str:
    line = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return line if len(line) <= 400 else f"{line[:400]}…"


def _html(source: str, caption: str) -> Markup:
    """Markdown as HTML that can neither run, nor load, nor lead anywhere.

    Its headings are h5; one above a table becomes its caption. Tables scroll, and say what their headers are.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(["html_block", "html_inline", "image", "link", "autolink", "reference"])
    tokens, page = parser.parse(source), list[Token]()
    for at, token in enumerate(tokens):
        token.attrs.pop("style", None)  # its cells stand as in every table of the page
        if token.type == "heading_open":
            caption = "".join(child.content for child in tokens[at + 1].children or [])
        elif token.type == "th_open" and tokens[at + 1].content:
            token.attrSet("scope", "col")
        elif token.type == "th_open":  # an empty corner is no header
            token.tag = tokens[at + 2].tag = "td"
        elif token.type == "td_open" and tokens[at - 1].type == "tr_open":
            token.tag = tokens[at + 2].tag = "th"
            token.attrSet("scope", "row")
        elif token.type == "table_open":
            if page and page[-1].type == "heading_close":
                del page[-3:]
            words = escape(caption)
            scroll = f'<div class="scroll" role="group" tabindex="0" aria-label="{words}"><table>'
            token = Token("html_block", "", 0, content=f"{scroll}<caption><span>{words}</span></caption>")
        elif token.type == "table_close":
            token = Token("html_block", "", 0, content="</table></div>")
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h5"
        page.append(token)
    return Markup(parser.renderer.render(page, parser.options, {}))
