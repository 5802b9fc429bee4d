"""The commands for a user's own data: simulate it, apply a trained network to it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from kadanoff.errors import MOST_WORKERS, printable

Workers = Annotated[int | None, typer.Option(min=1, max=MOST_WORKERS, help="Threads; one a core unless given.")]
PANEL, NETWORKS = "Data", "Networks"


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
    dataset = validated(Dataset, values | {"allow_unequilibrated": allow_unequilibrated}, "simulate")
    require_new(target)
    with alone_on_new(target, "simulating", "*/chains-*.npz") as folder, disk_errors(target):
        work = folder / fingerprint(dataset.model_dump())
        work.mkdir(exist_ok=True)
        shutil.rmtree(work / target.name, ignore_errors=True)  # left by a command that was killed while writing
        write_group(work / target.name, run(dataset, "", workers, work))
        place_new(work / target.name, target)
    typer.echo(printable(f"wrote {target}"))


def apply(
    model: Annotated[
        str, typer.Argument(help="A trained network: models/coarsen/exact.safetensors, or models:/coarsen@champion.")
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
    typer.echo(printable(f"wrote {target}"))
