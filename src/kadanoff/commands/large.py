"""The commands for one lattice that may be larger than memory: grow it, view it, measure it."""

from pathlib import Path
from typing import Annotated

import typer

from kadanoff.commands.data import Workers
from kadanoff.errors import printable, printable_lines

PANEL = "Large lattices"


def add_to(app: typer.Typer) -> None:
    """Add these commands; their modules load when they run."""
    for command in (grow, pyramid, measure):
        app.command(rich_help_panel=PANEL)(command)


def grow(
    target: Annotated[Path, typer.Argument(metavar="OUT.zarr")],
    size: Annotated[int, typer.Option(help="Side: that of the seed times a power of the model's factor.")] = 13824,
    model: Annotated[Path, typer.Option(help="Network of whole blocks that enlarges it.")] = Path(
        "models/upsample/kernel.safetensors"
    ),
    start: Annotated[Path, typer.Option(help="Dataset of critical lattices to grow from.")] = Path(
        "data/grow/grow512.zarr"
    ),
    sample: Annotated[int, typer.Option(min=0, help="Which of them.")] = 0,
    sweeps: Annotated[int, typer.Option(min=0, help="Metropolis sweeps after each enlargement.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws another lattice.")] = 0,
    workers: Workers = None,
) -> None:
    """Grow a critical lattice to any size, out of core; resumes if it was killed."""
    from kadanoff.commands.grow import Job
    from kadanoff.commands.grow import grow as run

    run(Job(model, start, sample, size, sweeps, seed), target, workers)
    typer.echo(f"wrote {printable(target)}")


def pyramid(
    source: Annotated[Path, typer.Argument(metavar="LARGE.zarr", help="One lattice, as `kadanoff grow` writes it.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.zarr")],
    page: Annotated[
        Path | None, typer.Option(metavar="PAGE.html", help="Also write a page here that zooms into its middle.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Write all scales of a large lattice as OME-Zarr, for napari and other viewers of images."""
    from kadanoff.data.pyramid import write_pyramid
    from kadanoff.data.zoom import pyramid_page
    from kadanoff.runtime.files import disk_errors, write_atomic
    from kadanoff.runtime.output import require_new

    if page:
        require_new(page)
        with disk_errors(page):  # refuses before the pyramid, which may take minutes
            page.parent.mkdir(parents=True, exist_ok=True)
    write_pyramid(source, target, workers)
    typer.echo(f"wrote {printable(target)}")
    if page:
        with disk_errors(page):
            write_atomic(page, pyramid_page(target))
        typer.echo(f"wrote {printable(page)}")


def measure(
    source: Annotated[Path, typer.Argument(metavar="LARGE.zarr", help="A dataset of critical lattices.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write all tables and figures into this new folder.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=0, help="Which of them, if there are several.")] = None,
    workers: Workers = None,
) -> None:
    """Measure one large critical lattice, streaming: local order, magnetization, and how correlations decay."""
    from kadanoff.commands.measure import measure as run

    typer.echo(printable_lines(run(source, out, sample, workers)))
    if out:
        typer.echo(f"wrote {printable(out)}")
