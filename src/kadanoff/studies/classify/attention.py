"""Stage `attention`: what a vision transformer attends to near T_c, beside local energies and domain walls."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import load_model
from kadanoff.networks.vision import Reader
from kadanoff.phases.attention import (
    LEAST,
    Correlation,
    at_equal,
    correlation,
    domain_walls,
    local_energy,
    patch_means,
    rollout,
)
from kadanoff.phases.microstates import Images
from kadanoff.phases.regions import EQUILIBRIUM, REGIONS
from kadanoff.project.figures import figure, show_spins
from kadanoff.project.params import entry, section
from kadanoff.project.records import Recorder, recorded
from kadanoff.project.tables import Cell, table
from kadanoff.spins.exact import T_C
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.classify.params import Params, read_params
from kadanoff.validation import Name, Section

WHAT = {"energy": "local energy", "walls": "domain walls", "walls_at_equal_energy": "domain walls at equal energy"}
NOTE = """
r is Pearson's correlation over the patches of one configuration between the attention rollout and a local quantity: the
mean energy of its sites (half of each bond), or the part of them that lie on a wall between domains of at least 5% of
the lattice. Means over configurations, which are independent chains, with standard errors. `other configurations` pairs
attention with the local maps of all others, which keeps what all have in common by position; `excess` is r less that,
by the jackknife. Left out are configurations in which a map is uniform: those of one domain have no walls. `at equal
energy` is what a straight line in the energy, fitted in each configuration, leaves of the walls.

"""
Maps = dict[str, NDArray[np.float64]]


class Attention(Section):
    """The section `attention`."""

    model: Name
    system: Name
    temperatures: list[Annotated[float, Field(allow_inf_nan=False)]] = Field(min_length=2, max_length=2)


def attention(root: Path) -> None:
    """Measure what a vision transformer attends to: local energies, domain walls, and those of other configurations."""
    given, classify = entry(root, Attention, "attention"), read_params(root)
    for key, name in (("systems", given.system), ("models", given.model)):
        section(root, "classify", key, name)  # says which there are
    weights = root / "models" / "classify" / given.model / f"{EQUILIBRIUM}_{given.system}.safetensors"
    dataset = classify.data(root).path(given.system, EQUILIBRIUM)
    if not weights.is_file():
        raise KadanoffError(
            f"there is no {weights}. Make it with `dvc repro classify@{given.model}`, or fetch it with `dvc pull`."
        )
    network: Any = load_model(weights).to("cuda" if torch.cuda.is_available() else "cpu")
    images = _images(root, given, classify)
    chosen = {"tests": classify.tests, "seed": classify.seed}
    parameters = given.model_dump() | {"classify": chosen, "lattice": classify.systems[given.system].model_dump()}
    with recorded("attention", parameters=parameters, inputs=[weights, dataset]) as record:
        lattice = classify.systems[given.system].lattice(images.spins.shape[-1])
        patch = Fraction(network.patch, network.scale)
        seen = rollout(cast(Reader, network), images.spins).astype(float)
        energy = patch_means(local_energy(images.spins, lattice), patch)
        walls = patch_means(domain_walls(images.spins, lattice), patch)
        local = {"energy": energy, "walls": walls, "walls_at_equal_energy": at_equal(walls, energy)}
        found = {name: correlation(seen, maps) for name, maps in local.items()}
        numbers = {
            name: {
                "pearson": item.pearson,
                "others": item.others,
                "excess": item.excess,
                "left_out": int((~item.used).sum()),
            }
            for name, item in found.items()
        }
        record.metrics(numbers | {"images": len(images)})
        record.summary(
            f"The attention of {given.model} ({given.system}) correlates with the local energy: r = "
            "{energy_pearson}, {energy_excess} more than with that of other configurations.",
            "rollout",
            **{f"{name}_{key}": f"{name}/{key}" for name in ("energy", "walls") for key in ("pearson", "excess")},
        )
        record.text("tables.md", _tables(f"{given.model} on {given.system}", images, found))
        maps = local | {"attention": seen * seen[0].size}
        _draw_rollout(record, images, maps, found)


def _images(root: Path, given: Attention, classify: Params) -> Images:
    """Test images of `classify` in the window of temperatures: nothing was trained on them."""
    tests = classify.data(root).sets(given.system, EQUILIBRIUM).tests
    names = Images.__dataclass_fields__
    every = Images(*(np.concatenate([getattr(images, name) for images in tests]) for name in names))
    low, high = given.temperatures
    found = every[(low <= every.temperatures) & (every.temperatures <= high)]
    if len(found) < LEAST:
        raise KadanoffError(
            f"attention.temperatures is {given.temperatures}, where there are {len(found)} test images of "
            f"{given.system}; {LEAST} are needed. Give [low, high] farther apart, or raise classify.tests."
        )
    return found


def _tables(name: str, images: Images, found: dict[str, Correlation]) -> str:
    # powers of ten would hide how small numbers are
    rows: list[list[Cell]] = [
        [WHAT[key], len(item.each), int((~item.used).sum()), *map(str, (item.pearson, item.others, item.excess))]
        for key, item in found.items()
    ]
    low, high = images.temperatures.min(), images.temperatures.max()
    title = f"What {name} attends to: {len(images)} test images, T = {low:g} to {high:g}"
    numbers = table(title, ["", "images", "left out", "r", "other configurations", "excess"], rows)
    rows = []
    for number in np.unique(images.labels):
        each = [item.each[images.labels[item.used] == number] for item in found.values()]
        cells = [independent_mean(values) if len(values) > 1 else None for values in each]
        rows.append([REGIONS[number], int((images.labels == number).sum()), *cells])
    return numbers + NOTE + table("r by region", ["region", "images", *WHAT.values()], rows)


def _draw_rollout(record: Recorder, images: Images, maps: Maps, found: dict[str, Correlation]) -> None:
    """Figure `rollout`: configurations below, at and above T_c, and their maps."""
    temperatures = images.temperatures
    low, high = temperatures.min(), temperatures.max()
    middle = min(max(T_C, low), high)
    wanted = [low, (low + middle) / 2, middle, (middle + high) / 2, high]
    places = list(dict.fromkeys(int(np.abs(temperatures - value).argmin()) for value in wanted))
    # single patches may have most of all attention
    ends = {
        "energy": (-2, max(maps["energy"][places].max(), -1.99)),
        "walls": (0, max(maps["walls"][places].max(), 1e-6)),
    }
    ends["attention"] = (maps["attention"][places].min(), float(np.quantile(maps["attention"][places], 0.99)))
    labels = {"energy": "energy per site ($J$)", "walls": "share of sites on walls", "attention": "attention / mean"}
    with figure(4, len(places), figsize=(1.75 * len(places) + 1.25, 8.4), squeeze=False) as (drawn, axes):
        for axis, place in zip(axes[0], places, strict=True):
            show_spins(axis, images.spins[place], f"$T$ = {temperatures[place]:.3g}")
        for line, (name, (least, most)) in zip(axes[1:], ends.items(), strict=True):
            for axis, place in zip(line, places, strict=True):
                colours = "viridis" if name == "attention" else "magma"
                image = axis.imshow(maps[name][place], cmap=colours, vmin=least, vmax=most)
                axis.set(xticks=[], yticks=[], title=_own(found[name], place) if name in found else "")
                axis.spines[:].set_visible(False)
            more = "max" if maps[name][places].max() > most else "neither"
            drawn.colorbar(image, ax=line, label=labels[name], fraction=0.03, pad=0.01, aspect=14, extend=more)
        for axis, title in zip(axes[:, 0], ("spins", "local energy", "domain walls", "attention"), strict=True):
            axis.set_ylabel(title)
        caption = "Configurations below, at and above T_c: spins, local energy, domain walls, attention rollout"
        record.figure("rollout", drawn, f"{caption}; r is the correlation of a map with the attention")


def _own(item: Correlation, place: int) -> str:
    """The correlation of one configuration with its attention."""
    return f"$r = {item.each[item.used[:place].sum()]:.2f}$" if item.used[place] else "uniform"
