"""The command line: every DVC stage is `kadanoff STAGE [VARIANT]`, and a few commands for a user's own data."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from kadanoff.errors import KadanoffError

# nothing here reaches for the network, or for a terminal's attention; both are read when the libraries load
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

app = typer.Typer(
    help="A laboratory for the renormalization group on lattice spins.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
runs = typer.Typer(help="Runs in MLflow.", no_args_is_help=True)
app.add_typer(runs, name="runs")

Workers = Annotated[int | None, typer.Option(min=1, help="Threads; one a core unless given.")]


def _stage() -> Path:
    from kadanoff.lab.files import project_root

    return project_root()


def _project() -> Path:
    root = _stage()
    if not (root / "dvc.yaml").exists():
        raise KadanoffError(f"there is no dvc.yaml in {root} or above it; run this in a folder of the project.")
    return root


@app.command()
def simulate(
    name: Annotated[str, typer.Argument(help="An entry of params.yaml: datasets.")], workers: Workers = None
) -> None:
    """Simulate a dataset into data/NAME.zarr."""
    from kadanoff.stages import simulate as stage

    stage.simulate(_stage(), name, workers)


@app.command()
def coarsen(variant: Annotated[str, typer.Argument(help="An entry of params.yaml: coarsen.variants.")]) -> None:
    """Train a coarse-graining network into models/coarsen/VARIANT.safetensors."""
    from kadanoff.stages import coarsen as stage

    stage.coarsen(_stage(), variant)


@app.command(name="coarsen_curve")
def coarsen_curve() -> None:
    """Train on more and more configurations: does the MLP fail, or starve?"""
    from kadanoff.stages import coarsen_curve as stage

    stage.coarsen_curve(_stage())


@app.command(name="coarsen_compare")
def coarsen_compare() -> None:
    """Compare all coarse-graining networks with each other, with fixed rules and with the report."""
    from kadanoff.stages import coarsen_compare as stage

    stage.coarsen_compare(_stage())


@app.command()
def apply(
    model: Annotated[Path, typer.Argument(help="A trained network, such as models/coarsen/exact.safetensors.")],
    source: Annotated[Path, typer.Argument(metavar="IN.zarr")],
    target: Annotated[Path, typer.Argument(metavar="OUT.zarr")],
    batch: Annotated[int, typer.Option(min=1, help="Configurations in memory at a time.")] = 1024,
) -> None:
    """Run a trained network over a dataset, streaming."""
    from kadanoff.learning.apply import apply as run

    run(model, source, target, batch)
    typer.echo(f"wrote {target}")


@runs.command()
def sync() -> None:
    """Import into MLflow every recorded run that it lacks."""
    from kadanoff.lab.tracking import sync as run

    run(_project()).show()


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000) -> None:
    """Open MLflow on all recorded runs, on this machine only."""
    from kadanoff.lab.tracking import serve

    serve(_project(), port)


@app.command()
def bench(
    output: Annotated[Path | None, typer.Option(help="Also write the figures as JSON here.")] = None,
) -> None:
    """Measure the samplers' speed beside PyPI's peapods and isingenerator."""
    from kadanoff.bench import bench as run

    run(output)


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and exit code 1."""
    try:
        if "DVC_STAGE" in os.environ:
            from kadanoff.lab.lifeline import die_with_dvc

            die_with_dvc()  # before the stage loads its libraries, which takes seconds
        app()
    except KadanoffError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
