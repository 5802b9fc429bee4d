"""The command line: `kadanoff run STAGE` is what dvc.yaml calls; the other commands are for a user's own data."""

import gc
import io
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from kadanoff import __version__
from kadanoff.commands import data
from kadanoff.errors import KadanoffError, missing, printable_lines

# no telemetry; read when the libraries load
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

RUNS = "Runs"
TERMINATED = 128 + signal.SIGTERM
app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
runs = typer.Typer(help="Recorded runs: import them into MLflow, publish them.")
data.add_to(app)
app.add_typer(runs, name="runs", rich_help_panel=RUNS, no_args_is_help=True)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"kadanoff {__version__}")
        raise typer.Exit


@app.callback()
def kadanoff(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A laboratory for the renormalization group on lattice spins."""


def _project() -> Path:
    from kadanoff.runtime.files import project_root

    root = project_root()
    if not (root / "dvc.yaml").exists():
        raise KadanoffError(f"there is no dvc.yaml in {root} or above it; run this in a folder of the project.")
    return root


@app.command(rich_help_panel=RUNS)
def run(
    address: Annotated[
        str | None, typer.Argument(metavar="[STAGE[@VARIANT]]", help="Without it, all stages are listed.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(metavar="I/N", help="Compute only part I of N; without it the parts are gathered.")
    ] = None,
    cluster: data.Cluster = None,
) -> None:
    """Run one stage of the pipeline, without DVC: `dvc repro` calls this for whatever changed."""
    from kadanoff.runtime.executor import PartEnded
    from kadanoff.runtime.executor import part as own_part
    from kadanoff.studies import run_stage, stages

    if part is not None:
        os.environ["KADANOFF_PART"] = part

    if address is None:
        for name, does in stages().items():
            typer.echo(f"{name:24}{does}")
    else:
        own_part()  # refuses now what is no part
        try:
            run_stage(_project(), address)
        except PartEnded as ended:
            typer.echo(printable_lines(str(ended)))


@app.command(rich_help_panel=RUNS)
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000) -> None:
    """Open MLflow on all recorded runs, on this machine only."""
    gc.set_threshold(200_000)  # MLflow's objects stay: to search them for cycles is a tenth of the start
    from kadanoff.project.tracking import serve
    from kadanoff.studies import stages

    serve(_project(), port, stages())


@app.command(rich_help_panel=RUNS)
def report() -> None:
    """Write reports/index.html: all results on one page, from the records alone."""
    from kadanoff.project.report import write_report

    typer.echo(printable_lines(write_report(_project())))


@runs.command()
def sync() -> None:
    """Import into MLflow every recorded run that it lacks."""
    from kadanoff.project.tracking import sync as import_records
    from kadanoff.studies import stages

    import_records(_project(), stages()).show()


@runs.command()
def publish(
    name: Annotated[str, typer.Argument(help="Folder below reports/published.")],
    records: Annotated[
        list[str] | None, typer.Argument(metavar="[STAGE[/VARIANT]]...", help="Only these; all unless given.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite records that differ.")] = False,
) -> None:
    """Copy the records of the present results to reports/published/NAME, with what pins them."""
    from kadanoff.project.records.publish import publish as copy_records

    typer.echo(printable_lines(copy_records(_project(), name, records or (), replace)))


def _terminated(*_: object) -> None:
    """At a time limit: end as after Ctrl-C, so that chains are saved."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not end the saving
    sys.exit(TERMINATED)


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and exit code 1, SIGTERM in one and 143."""
    signal.signal(signal.SIGTERM, _terminated)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what a terminal cannot show is no reason to fail
    try:
        if "DVC_STAGE" in os.environ:
            from kadanoff.runtime.executor import die_with_dvc

            die_with_dvc()  # before the stage loads its libraries, which takes seconds
        app()
    except (KadanoffError, ModuleNotFoundError) as error:
        found = missing(error) if isinstance(error, ModuleNotFoundError) else error
        if not isinstance(found, KadanoffError):
            raise
        print(printable_lines(f"error: {found}"), file=sys.stderr)
        sys.exit(1)
    except SystemExit as ended:
        if ended.code == TERMINATED:
            print("ended by SIGTERM. Repeat the command: it resumes from its last checkpoint.", file=sys.stderr)
        if ended.code or "DVC_STAGE" not in os.environ:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # a stage has written all it has; to take PyTorch down would need a second more
