"""What the page shows: the records by study and stage. They come from elsewhere: all that they hold is only text."""

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from kadanoff.errors import KadanoffError, printable
from kadanoff.estimate import Estimate
from kadanoff.project.params import read_yaml
from kadanoff.project.png import caption_of
from kadanoff.project.published import Published, find_records, read_record
from kadanoff.project.records.runinfo import flatten
from kadanoff.project.tables import cell

MOST_HEADLINES = 5  # columns of numbers in a list of runs
LIMITS = {".png": (2**20, "PNG image of at most 1 MB"), ".md": (2**18, "text of at most 256 kB")}
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


@dataclass
class Contents:
    """Runs by study and stage, both in the order of dvc.yaml; published ones follow those made here."""

    studies: dict[str, dict[str, list[Run]]]
    problems: list[str]

    @property
    def count(self) -> int:
        """Number of runs."""
        return sum(len(runs) for stages in self.studies.values() for runs in stages.values())

    def names(self, runs: list[Run]) -> list[str]:
        """Names of all numbers of these runs."""
        return sorted({name for run in runs for name in run.numbers})

    def headlines(self, runs: list[Run]) -> list[str]:
        """Numbers by which the runs' models compete, then those at the top of most records."""
        scores = [run.score for run in runs if run.score]
        common = [name for name in self.names(runs) if 2 * sum(name in run.numbers for run in runs) > len(runs)]
        return list(dict.fromkeys([*scores, *(name for name in common if "/" not in name)]))[:MOST_HEADLINES]


def read_contents(root: Path) -> Contents:
    """Read every record below reports/. A broken one is left out, and named in `problems`.

    Raises
    ------
    KadanoffError
        If there is no record, or dvc.yaml is broken.
    """
    pipeline = read_yaml(root / "dvc.yaml")
    stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
    if not isinstance(stages, dict):
        raise KadanoffError(f"{root / 'dvc.yaml'} has no mapping `stages`; restore it with `git checkout dvc.yaml`.")
    studies = {name: found[1] for name, body in stages.items() if (found := STUDY.search(str(body)))}
    problems: list[str] = []
    runs: dict[str, list[Run]] = {name: [] for name in stages}
    for folder in find_records(root):
        try:
            record = read_record(root, folder)
            runs.setdefault(record.info.stage, []).append(_run(record, problems))
        except (KadanoffError, OSError, RecursionError) as error:
            place = folder.relative_to(root)
            problems.append(printable(f"{place} is left out: {error}".replace(f"{root}/", "")))
    contents = Contents({}, problems)
    for stage in filter(runs.get, runs):
        contents.studies.setdefault(studies.get(stage, stage), {})[stage] = runs[stage]
    if not contents.studies and not problems:
        raise KadanoffError(f"there is no record in {root / 'reports'}; run `dvc repro`, or `git checkout reports`.")
    return contents


def _run(record: Published, problems: list[str]) -> Run:
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
        limit, kind = LIMITS.get(file.suffix, (0, ""))
        content = file.read_bytes() if limit else b""
        if len(content) > limit or (file.suffix == ".png" and not content.startswith(b"\x89PNG\r\n\x1a\n")):
            problems.append(printable(f"{record.path}/{file.name} is left out: it is no {kind}."))
        elif file.suffix == ".png":
            words = caption_of(file) or f"{file.stem.replace('_', ' ').capitalize()} of {info.title}"
            run.figures.append((f"data:image/png;base64,{base64.b64encode(content).decode()}", words))
        elif file.suffix == ".md":
            run.tables.append(_html(content.decode(errors="replace")))
    return run


def _facts(record: Published) -> dict[str, str]:
    info = record.info
    again = ", with the parameters below in params.yaml" if record.publication else ""
    known = {
        "Command": f"dvc repro {info.title.replace('/', '@')}{again}",
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
    tokens, title = parser.parse(source), "table"
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h5"
            title = following.content if following is not None and token.nesting == 1 else title
        elif token.type == "table_open":
            token.meta["title"] = title
    parser.add_render_rule("table_open", _open_table)
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # the renderer has escaped all text


def _open_table(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    label = Markup.escape(tokens[index].meta["title"])
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>'
