"""The commands for a user's own data: simulate it, apply a trained network; grow, view and measure large lattices."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from kadanoff.errors import MOST_WORKERS, printable, printable_lines

Workers = Annotated[int | None, typer.Option(min=1, max=MOST_WORKERS, help="Threads; one a core unless given.")]


def _use_cluster(place: str | None) -> None:
    if place is not None:
        os.environ["KADANOFF_CLUSTER"] = place


Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|FILE",
        callback=_use_cluster,
        help="Dask cluster that computes: its scheduler's address or file, as KADANOFF_CLUSTER.",
    ),
]
PANEL, NETWORKS, LARGE = "Data", "Networks", "Large lattices"


class SpacedLists(TyperCommand):
    """Options that may be given several times take several numbers, too: `--temperatures 2.0 2.27`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further number of it."""
        lists = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        return super().parse_args(ctx, list(_repeated(args, lists)))


def _repeated(args: list[str], lists: set[str]) -> Iterator[str]:
    option = before = ""
    for word in args:
        if word.startswith("-"):
            option = word if word in lists else ""
        elif option and before != option and re.fullmatch(r"[0-9.eE+-]+", word):
            yield option
        before = word
        yield word


def add_to(app: typer.Typer) -> None:
    """Add these commands; their modules load when they run."""
    app.command(rich_help_panel=PANEL, cls=SpacedLists)(simulate)
    app.command(rich_help_panel=NETWORKS)(apply)
    app.command(rich_help_panel=NETWORKS)(models)
    for command in (grow, pyramid, measure):
        app.command(rich_help_panel=LARGE)(command)


def simulate(
    target: Annotated[Path, typer.Argument(metavar="OUT.zarr")],
    size: Annotated[list[int], typer.Option(help="Side in sites, or height and width.")],
    temperatures: Annotated[list[float], typer.Option(help="One or several, in units of |J|/k_B.")],
    samples: Annotated[int, typer.Option(help="Independent chains at every temperature, one configuration each.")],
    boundary: Annotated[str, typer.Option(help="periodic, antiperiodic, skewed or free.")] = "periodic",
    coupling: Annotated[float, typer.Option(help="+1, or -1 for the antiferromagnet.")] = 1.0,
    dimension: Annotated[int, typer.Option(help="2, or 1 for a chain.")] = 2,
    sampler: Annotated[str, typer.Option(help="auto, metropolis, swendsen_wang or hybrid.")] = "auto",
    sweeps: Annotated[int | None, typer.Option(help="20 autocorrelation times unless given.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other configurations.")] = 0,
    workers: Workers = None,
    field: Annotated[float, typer.Option(help="External field in units of |J|; takes --sampler metropolis.")] = 0.0,
    start: Annotated[str, typer.Option(help="hot, cold or ground.")] = "hot",
    allow_unequilibrated: Annotated[
        bool, typer.Option("--allow-unequilibrated", help="Accept any number of --sweeps.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="cpu, cuda (takes --sampler metropolis) or auto; the same spins.")
    ] = "auto",
) -> None:
    """Simulate spin configurations into a Zarr dataset; resumes if it was killed.

    Example: kadanoff simulate mine.zarr --size 64 --temperatures 2.0 2.27 --samples 100
    """
    from kadanoff.data.description import Dataset
    from kadanoff.data.store import write_group
    from kadanoff.montecarlo.runner import run
    from kadanoff.runtime.files import disk_errors, fingerprint
    from kadanoff.runtime.output import alone_on_new, place_new, require_new
    from kadanoff.validation import validated

    values: dict[str, Any] = {"temperatures": temperatures, "samples": samples, "boundary": boundary, "seed": seed}
    values |= {"size": size[0] if len(size) == 1 else size, "coupling": coupling, "dimension": dimension}
    values |= {"sampler": sampler, "sweeps": sweeps, "field": field, "start": start}
    values |= {"allow_unequilibrated": allow_unequilibrated, "device": device}
    dataset = validated(Dataset, values, "simulate")
    require_new(target)
    with alone_on_new(target, "simulating", "*/chains-*.npz") as folder, disk_errors(target):
        work = folder / fingerprint(dataset.model_dump())
        work.mkdir(exist_ok=True)
        shutil.rmtree(work / target.name, ignore_errors=True)  # left by a command that was killed while writing
        write_group(work / target.name, run(dataset, "", workers, work))
        place_new(work / target.name, target)
    typer.echo(f"wrote {printable(target)}")


def apply(
    model: Annotated[
        str,
        typer.Argument(help="A name that `kadanoff models` lists, a .safetensors file, or models:/coarsen@champion."),
    ],
    source: Annotated[Path, typer.Argument(metavar="IN.zarr")],
    target: Annotated[Path, typer.Argument(metavar="OUT.zarr")],
    batch: Annotated[int, typer.Option(min=1, help="Configurations that a network takes at a time.")] = 1024,
    temperature: Annotated[
        float | None,
        typer.Option(help="Of super-resolution: that of the network, if not that of the configurations."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of super-resolution: another seed draws other lattices.")] = 0,
) -> None:
    """Apply a trained network to a dataset, streaming."""
    from kadanoff.commands.apply import apply as run
    from kadanoff.models import weights_file

    with weights_file(model) as weights:
        run(weights, source, target, batch, temperature, seed)
    typer.echo(f"wrote {printable(target)}")


def models() -> None:
    """List the trained networks that come with the package."""
    from kadanoff.models import pretrained

    typer.echo(pretrained()[["task", "metric", "value"]].to_string(float_format="{:.4g}".format))


def grow(
    target: Annotated[Path, typer.Argument(metavar="OUT.zarr")],
    size: Annotated[int, typer.Option(help="Side: that of the seed times a power of the model's factor.")] = 13824,
    model: Annotated[str, typer.Option(help="Network of whole blocks that enlarges it.")] = "upsample/kernel",
    start: Annotated[
        Path | None,
        typer.Option(help="Dataset of critical lattices to grow from; by default one of 512 is simulated."),
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="Which of them, given or simulated.")] = 0,
    sweeps: Annotated[int, typer.Option(min=0, help="Metropolis sweeps after each enlargement.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws another lattice.")] = 0,
    workers: Workers = None,
    device: Annotated[str, typer.Option(help="Of the sweeps: cpu, cuda or auto; the same spins.")] = "auto",
    cluster: Cluster = None,
) -> None:
    """Grow a critical lattice to any size, out of core; resumes if it was killed."""
    from kadanoff.commands.grow import Job
    from kadanoff.commands.grow import grow as run
    from kadanoff.models import weights_file

    with weights_file(model) as weights:
        run(Job(weights, start, sample, size, sweeps, seed, device), target, workers)
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
    sample: Annotated[int, typer.Option(min=0, help="Which of them.")] = 0,
    workers: Workers = None,
) -> None:
    """Measure one large critical lattice, streaming: local order, magnetization, and how correlations decay."""
    from kadanoff.commands.measure import measure as run

    typer.echo(printable_lines(run(source, out, sample, workers)))
    if out:
        typer.echo(f"wrote {printable(out)}")
