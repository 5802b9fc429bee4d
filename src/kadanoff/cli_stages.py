"""The commands that `dvc.yaml` calls: `kadanoff STAGE`, or `kadanoff STAGE VARIANT` for stages with variants."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from kadanoff.errors import MOST_WORKERS

Workers = Annotated[int | None, typer.Option(min=1, max=MOST_WORKERS, help="Threads; one a core unless given.")]

STAGES = {
    "coarsen_curve": "Train on more and more configurations: does the MLP fail, or starve?",
    "coarsen_compare": "Compare all coarse-graining networks with each other, with fixed rules and with the report.",
    "classify_compare": "Compare image models with the Bayes limit, with physicists' baselines and with the work.",
    "attention": "Measure what a vision transformer looks at: local energies, domain walls, and a shuffled control.",
    "superres_compare": "Compare super-resolution networks with their exact optima and with block-Gibbs sweeps.",
    "exponents": "Grow 16 x 16 seeds again and again, and fit critical exponents.",
    "grow_times": "Time large critical lattices to equilibrium: grown, and by Monte Carlo alone.",
    "thermalize": "Count the sweeps that Monte Carlo needs from super-resolved and other starts.",
}
WITH_VARIANTS = {
    "coarsen": "Train a coarse-graining network into models/coarsen/VARIANT.safetensors.",
    "superres": "Train networks that undo a block rule into models/superres/VARIANT.safetensors.",
    "upsample": "Train networks that enlarge critical lattices into models/upsample/VARIANT.safetensors.",
    "pretrain": "Teach an image model to read temperatures off simulated lattices, without labels.",
    "classify": "Teach an image model the temperature regions of every system into models/classify/MODEL.",
    "superres_extrapolate": "Refine lattices beyond the size that networks were trained at.",
}
WHERE = {
    "superres_extrapolate": "superres_extrapolate",
    "pretrain": "classify.models",
    "classify": "classify.models",
}


def stage_root() -> Path:
    """The project around this folder."""
    from kadanoff.lab.files import project_root

    return project_root()


def add_stages(app: typer.Typer) -> None:
    """Add a command for every stage; its module loads when it runs."""
    for name, text in WITH_VARIANTS.items():
        _add_with_variants(app, name, text)
    for name, text in STAGES.items():
        _add(app, name, text)


def _add(app: typer.Typer, name: str, text: str) -> None:
    def run() -> None:
        getattr(import_module(f"kadanoff.stages.{name}"), name)(stage_root())

    app.command(name, help=text)(run)


def _add_with_variants(app: typer.Typer, name: str, text: str) -> None:
    described = typer.Argument(help=f"An entry of params.yaml: {WHERE.get(name, f'{name}.variants')}.")

    def run(variant: Annotated[str, described]) -> None:
        getattr(import_module(f"kadanoff.stages.{name}"), name)(stage_root(), variant)

    app.command(name, help=text)(run)
