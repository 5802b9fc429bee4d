"""What the page shows: the records by collection and stage."""

from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

from markupsafe import Markup

from kadanoff.errors import KadanoffError, printable
from kadanoff.project.published import Published, find_records, read_record
from kadanoff.project.records.runinfo import flatten
from kadanoff.project.report import files, markdown, words
from kadanoff.project.report.pipeline import read_stages

MOST_HEADLINES = 5  # columns of numbers in a list of runs


@dataclass(frozen=True)
class Run:
    """One record. `machine` counts the distinct environments of the page from 1."""

    record: Published
    anchor: str
    machine: int
    numbers: dict[str, str]
    figures: list[files.Figure]
    tables: list[Markup]
    pages: list[str]
    """Paths of its HTML pages: they have scripts, which this page does not run."""

    @property
    def name(self) -> str:
        """The variant, or the stage if it has no variants."""
        return self.record.info.variant or self.record.info.stage

    @property
    def started(self) -> str:
        """When the run began, UTC."""
        return self.record.info.started.astimezone(UTC).strftime("%Y-%m-%d %H:%M")

    @property
    def took(self) -> str:
        """How long the run took."""
        return words.duration(self.record.info.duration_s)

    @property
    def command(self) -> str:
        """Command that makes the run's results again."""
        info = self.record.info
        return f"dvc repro {info.stage}" + (f"@{info.variant}" if info.variant else "")

    @property
    def score(self) -> str | None:
        """The number by which the run's model competes."""
        model = self.record.info.model
        return self.numbers.get(model.metric) if model else None

    @property
    def parameters(self) -> dict[str, str]:
        """Parameters by name, as text."""
        return {name: words.text(value) for name, value in flatten(self.record.info.parameters).items()}


@dataclass
class Stage:
    """The runs of one stage."""

    name: str
    anchor: str
    about: str
    runs: list[Run] = field(default_factory=list)

    @property
    def took(self) -> str:
        """Time of all runs together."""
        return words.duration(sum(run.record.info.duration_s for run in self.runs))

    @property
    def metrics(self) -> list[str]:
        """Names of all numbers of all runs."""
        return sorted({name for run in self.runs for name in run.numbers}, key=words.natural)

    @property
    def tasks(self) -> bool:
        """Whether the models of its runs compete at different tasks."""
        return len({run.record.info.model.task for run in self.runs if run.record.info.model is not None}) > 1

    @property
    def headlines(self) -> list[str]:
        """Numbers for the list of runs: those by which models compete, then those that each run has at its top."""
        models = [run.record.info.model for run in self.runs]
        scores = dict.fromkeys(model.metric for model in models if model is not None)
        shared = [name for name in self.metrics if all(name in run.numbers for run in self.runs)]
        return [*scores, *(name for name in shared if "/" not in name and name not in scores)][:MOST_HEADLINES]


@dataclass
class Contents:
    """All records: those of the present results under the name "", published ones under their own."""

    collections: dict[str, list[Stage]]
    machines: list[dict[str, str]]
    problems: list[str]

    @property
    def runs(self) -> list[Run]:
        """All runs of the page."""
        return [run for stages in self.collections.values() for stage in stages for run in stage.runs]


def read_contents(root: Path) -> Contents:
    """Read every record below reports/. A broken one is left out, and named in `problems`.

    Raises
    ------
    KadanoffError
        If there is no record, or dvc.yaml is broken.
    """
    pipeline = read_stages(root)
    contents = Contents({}, [], [])
    records = []
    for folder in find_records(root):
        try:
            records.append(read_record(root, folder))
        except (KadanoffError, OSError, RecursionError) as error:
            problem = f"{folder.relative_to(root)} is left out: {error}".replace(f"{root}/", "")
            contents.problems.append(printable(problem))
    if not records and not contents.problems:
        raise KadanoffError(f"there is no record in {root / 'reports'}; run `dvc repro`, or `git checkout reports`.")
    for record in sorted(records, key=lambda record: _place(record, pipeline)):
        _add(contents, record, pipeline, _pages(root, record))
    return contents


def _pages(root: Path, record: Published) -> list[str]:
    if record.publication:  # only the project's own
        return []
    return sorted(f"{record.path}/{file.name}" for file in (root / record.path).glob("*.html"))


def _add(contents: Contents, record: Published, pipeline: dict[str, dict[str, Any]], pages: list[str]) -> None:
    collection, stage = record.publication or "", record.info.stage
    stages = contents.collections.setdefault(collection, [])
    if not stages or stages[-1].name != stage:
        anchor = f"stage:{collection}/{stage}" if collection else f"stage:{stage}"  # no name has a colon
        stages.append(Stage(stage, anchor, str(pipeline.get(stage, {}).get("desc", ""))))
    environment = {name: words.text(value) for name, value in flatten(record.info.environment).items()}
    if environment not in contents.machines:
        contents.machines.append(environment)
    figures, without = files.figures(record)
    texts, too_long = files.tables(record)
    variant = record.info.variant
    contents.problems += without + too_long
    stages[-1].runs.append(
        Run(
            record=record,
            anchor=record.path.removeprefix("reports/") if variant else stages[-1].anchor,
            machine=contents.machines.index(environment) + 1,
            numbers=words.numbers(record.metrics),
            figures=figures,
            tables=[markdown.render(text, level=4 if variant else 3) for text in texts],
            pages=pages,
        )
    )


def _place(record: Published, pipeline: dict[str, dict[str, Any]]) -> tuple[str, int, str, int, str]:
    """Sort key: the present results first; stages and variants as dvc.yaml has them; unknown ones after."""
    stage, variant = record.info.stage, record.info.variant or ""
    variants = pipeline.get(stage, {}).get("variants", [])
    return (
        record.publication or "",
        list(pipeline).index(stage) if stage in pipeline else len(pipeline),
        stage,
        variants.index(variant) if variant in variants else len(variants),
        variant,
    )
