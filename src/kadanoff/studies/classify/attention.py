"""Stage `attention`: what a vision transformer attends to near T_c, beside local energies and domain walls."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
from pydantic import Field

from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import load_model
from kadanoff.networks.vision import Reader
from kadanoff.phases.attention import LEAST, at_equal, correlation, domain_walls, local_energy, patch_means, rollout
from kadanoff.phases.microstates import Images, draw
from kadanoff.phases.systems import System
from kadanoff.project.params import entry, section
from kadanoff.project.records import recorded
from kadanoff.studies.classify.attention_figures import AttentionMaps, draw_attention, draw_rollout, tables
from kadanoff.validation import Name, Section, Seed, validated


class Params(Section):
    """The section `attention`."""

    model: Name
    system: Name
    temperatures: list[Annotated[float, Field(allow_inf_nan=False)]] = Field(min_length=2, max_length=2)
    shuffles: int = Field(ge=2, le=100_000)
    seed: Seed


class TestSets(Section):
    """Keys of the section `classify` that say which images are its test sets."""

    tests: int = Field(gt=0, le=1000)
    seed: Seed


def attention(root: Path) -> None:
    """Measure what a vision transformer attends to: local energies, domain walls, and a shuffled control."""
    given = entry(root, Params, "attention")
    system = entry(root, System, "classify", "systems", given.system)
    classify = section(root, "classify")
    sets = validated(TestSets, {key: classify[key] for key in TestSets.model_fields if key in classify}, "classify")
    section(root, "classify", "models", given.model)  # says which there are
    weights = root / "models" / "classify" / given.model / f"equilibrium_{given.system}.safetensors"
    dataset = root / "data" / "classify" / f"classify_{given.system}_equilibrium.zarr"
    network, images = _network(weights, given.model), _images(dataset, given, sets)
    parameters = given.model_dump() | {"classify": sets.model_dump(), "lattice": system.model_dump()}
    with recorded("attention", parameters=parameters, inputs=[weights, dataset]) as record:
        found = attention_maps(network, images, system, given)
        record.metrics(found.metrics())
        record.text("tables.md", tables(found))
        draw_rollout(record, found)
        draw_attention(record, found)


def attention_maps(network: Reader, images: Images, system: System, given: Params) -> AttentionMaps:
    """Maps of all images, and their correlations."""
    lattice = system.lattice(images.spins.shape[-1])
    patch = Fraction(network.patch, network.scale)
    seen = rollout(network, images.spins)
    energy = patch_means(local_energy(images.spins, lattice), patch)
    walls = patch_means(domain_walls(images.spins, lattice), patch)
    local = {"energy": energy, "walls": walls, "walls_at_equal_energy": at_equal(walls, energy)}
    moved = seen - seen.mean(0, dtype=np.float64)
    moved[np.abs(moved) < 1e-6 * seen.mean()] = 0  # rounding
    return AttentionMaps(
        name=f"{given.model} on {given.system}",
        images=images,
        attention=seen,
        energy=energy,
        walls=walls,
        raw={name: correlation(seen, maps, given.shuffles, given.seed) for name, maps in local.items()},
        less_position={name: correlation(moved, maps, given.shuffles, given.seed) for name, maps in local.items()},
    )


def _network(weights: Path, name: str) -> Reader:
    if not weights.is_file():
        raise KadanoffError(
            f"there is no {weights}. Make it with `dvc repro classify@{name}`, or fetch it with `dvc pull`."
        )
    network: Any = load_model(weights)
    return cast(Reader, network.to("cuda" if torch.cuda.is_available() else "cpu"))


def _images(dataset: Path, given: Params, sets: TestSets) -> Images:
    """Test images of `classify` in the window of temperatures: nothing was trained on them."""
    tests = draw(dataset, open_dataset(dataset), sets.tests, sets.seed).tests
    known = {name: np.concatenate([getattr(images, name) for images in tests]) for name in Images.__dataclass_fields__}
    low, high = given.temperatures
    inside = (low <= known["temperatures"]) & (known["temperatures"] <= high)
    if (count := int(inside.sum())) < LEAST:
        raise KadanoffError(
            f"attention.temperatures is {given.temperatures}, where there are {count} test images of {given.system}; "
            f"{LEAST} are needed. Give [low, high] farther apart, or raise classify.tests."
        )
    return Images(**{name: values[inside] for name, values in known.items()})
