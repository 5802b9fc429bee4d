"""The command line: every DVC stage is `kadanoff STAGE [VARIANT]`, and a few commands for a user's own data."""

import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from kadanoff.cli_large import add_large
from kadanoff.cli_stages import Workers, add_stages, stage_root
from kadanoff.errors import KadanoffError, printable, printable_lines

# nothing here reaches for the network; read when the library loads
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

app = typer.Typer(
    help="A laboratory for the renormalization group on lattice spins.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
runs = typer.Typer(help="Runs in MLflow.", no_args_is_help=True)
app.add_typer(runs, name="runs")


def _project() -> Path:
    root = stage_root()
    if not (root / "dvc.yaml").exists():
        raise KadanoffError(f"there is no dvc.yaml in {root} or above it; run this in a folder of the project.")
    return root


@app.command()
def simulate(
    name: Annotated[str, typer.Argument(help="An entry of params.yaml: datasets.")], workers: Workers = None
) -> None:
    """Simulate a dataset into data/NAME.zarr."""
    from kadanoff.stages import simulate as stage

    stage.simulate(stage_root(), name, workers)


add_stages(app)


@app.command()
def apply(
    model: Annotated[
        str, typer.Argument(help="A trained network: models/coarsen/exact.safetensors, or models:/coarsen@champion.")
    ],
    source: Annotated[Path, typer.Argument(metavar="IN.zarr")],
    target: Annotated[Path, typer.Argument(metavar="OUT.zarr")],
    batch: Annotated[int, typer.Option(min=1, help="Configurations that a network takes at a time.")] = 1024,
    temperature: Annotated[
        float | None,
        typer.Option(help="Of superres: the network trained at it, instead of at that of the configurations."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of superres: another seed draws other lattices.")] = 0,
) -> None:
    """Run a trained network over a dataset, streaming."""
    from kadanoff.apply import apply as run
    from kadanoff.models import weights_file

    with weights_file(model) as weights:
        run(weights, source, target, batch, temperature, seed)
    typer.echo(printable(f"wrote {target}"))


add_large(app)


def _repository() -> Path:
    """Root of the DVC project around this folder, with or without a dvc.yaml of its own."""
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), None)
    if root is None:
        raise KadanoffError(f"there is no .dvc folder in {here} or above it; run this in a folder of the project.")
    return root


@app.command()
def remote(
    address: Annotated[
        str | None,
        typer.Argument(help="s3://BUCKET/PATH, ssh://USER@HOST/PATH or a folder; without: check the present one."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="URL of a server that is S3-compatible and not Amazon's.")
    ] = None,
    name: Annotated[str, typer.Option(help="What DVC calls it.")] = "storage",
) -> None:
    """Set up the shared storage that push and pull use, and check that it can be written and read."""
    from kadanoff.lab.remote import set_remote, show_remote

    root = _repository()
    typer.echo(set_remote(root, address, endpoint, name) if address else show_remote(root))


Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...", help="Outputs, stages, or a study for the datasets that it reads; all if none."
    ),
]


@app.command()
def push(
    targets: Targets = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Read all of it on the remote and replace what is damaged there.")
    ] = False,
) -> None:
    """Push data and weights to the shared storage: `dvc push`, with every failure explained."""
    from kadanoff.lab.remote import push as run

    typer.echo(run(_repository(), targets or [], repair))


@app.command()
def pull(targets: Targets = None) -> None:
    """Pull data and weights from the shared storage, and use them only if every md5 is right."""
    from kadanoff.lab.remote import pull as run

    root = _repository()
    typer.echo(run(root, targets or []))
    if (root / "mlflow.db").exists():  # its models may have waited for these weights
        from kadanoff.lab.tracking import sync as update

        update(root)


@app.command()
def get(
    source: Annotated[str, typer.Argument(help="Git address or folder of a project.")],
    path: Annotated[str, typer.Argument(help="One of its outputs, such as data/coarsen16.zarr.")],
    out: Annotated[Path | None, typer.Option(help="Where to put it; here, under its own name, unless given.")] = None,
    rev: Annotated[str | None, typer.Option(help="A commit, tag or branch; the newest unless given.")] = None,
) -> None:
    """Download one dataset or network of another project: `dvc get`, with its md5 checked."""
    from kadanoff.lab.remote import get as run

    typer.echo(f"wrote {run(source, path, out, rev)}: every md5 is right.")


@runs.command()
def sync() -> None:
    """Import into MLflow every recorded run that it lacks."""
    from kadanoff.lab.tracking import sync as run

    run(_project()).show()


@runs.command()
def publish(
    name: Annotated[str, typer.Argument(help="Folder below reports/published.")],
    records: Annotated[
        list[str] | None, typer.Argument(metavar="[STAGE[/VARIANT]]...", help="Only these; all unless given.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite records that differ.")] = False,
) -> None:
    """Copy the records of the present results to reports/published/NAME, with what pins them."""
    from kadanoff.lab.published import publish as run

    typer.echo(printable_lines(run(_project(), name, records or (), replace)))


@runs.command(name="of")
def runs_of(
    rev: Annotated[str, typer.Argument(help="A commit, tag, branch or DVC experiment.")],
    bring: Annotated[bool, typer.Option("--import", help="First import those that this store lacks.")] = False,
) -> None:
    """List the runs of a version, without checking it out."""
    from kadanoff.lab.tracking import versions

    if bring:
        versions.import_runs_of(_project(), rev).show()
    typer.echo(printable_lines(versions.listing(versions.runs_of(_project(), rev), rev)))


@runs.command()
def where(run: Annotated[str, typer.Argument(metavar="RUN_ID", help="Its id, the first digits, or its page.")]) -> None:
    """List the commits that hold the result of a run, and the command that restores its data and weights."""
    from kadanoff.lab.tracking.where import where as find

    typer.echo(printable_lines(find(_project(), run)))


@runs.command()
def promote(
    run: Annotated[str, typer.Argument(help="STAGE/VARIANT of the present results, or the id of a run.")],
    force: Annotated[bool, typer.Option("--force", help="Even if the present champion is better.")] = False,
) -> None:
    """Make a run's network the champion of its study: `models:/STAGE@champion`."""
    from kadanoff.lab.tracking.promotion import promote_run

    typer.echo(printable_lines(promote_run(_project(), run, force)))


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000) -> None:
    """Open MLflow on all recorded runs, on this machine only."""
    gc.set_threshold(200_000)  # MLflow's objects stay: to search them for cycles is a tenth of the start
    from kadanoff.lab.tracking import serve

    serve(_project(), port)


def _terminal() -> bool:
    return sys.stdin.isatty()


@app.command()
def doctor(yes: Annotated[bool, typer.Option("--yes", help="Repair without asking.")] = False) -> None:
    """Find the known traps of DVC and MLflow in this project, and repair them; exit code 1 if some are left."""
    from functools import partial

    from kadanoff.lab.doctor import Repair, examine, treat
    from kadanoff.stages.resumable import resumable

    asks = _terminal()  # a script changes nothing that nobody has said yes to

    def may(repair: Repair) -> bool:
        return yes or (asks and typer.confirm(f"  repair? {repair.does}"))

    left = treat(partial(examine, _project(), resumable), may, typer.echo)
    if left:
        more = not (asks or yes) and any(finding.repair for finding in left)
        typer.echo(f"{len(left)} left" + ("; `kadanoff doctor --yes` repairs what it can." if more else "."))
        raise typer.Exit(1)


@app.command()
def report() -> None:
    """Write reports/index.html: all results on one page, from the records alone."""
    from kadanoff.lab.report import write_report

    typer.echo(printable_lines(write_report(_project())))


@app.command()
def bench(
    output: Annotated[
        Path | None, typer.Option(help="Also write the figures as JSON here, and bench_growth.png beside it.")
    ] = None,
    largest: Annotated[
        int,
        typer.Option(help="Side of the largest lattice that is grown; 41472 takes a minute more, 124416 ten and 4 GB."),
    ] = 13824,
) -> None:
    """Measure the samplers beside PyPI's peapods and isingenerator, sharing, and the growth of lattices."""
    from kadanoff.bench import bench as run

    run(output, largest)


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and exit code 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what a terminal cannot show is no reason to fail
    try:
        if "DVC_STAGE" in os.environ:
            from kadanoff.lab.lifeline import die_with_dvc

            die_with_dvc()  # before the stage loads its libraries, which takes seconds
        app()
    except KadanoffError as error:
        print(printable_lines(f"error: {error}"), file=sys.stderr)
        sys.exit(1)
