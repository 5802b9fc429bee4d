"""Stage `superres_extrapolate`: lattices refined beyond the size that networks were trained at.

Efthymiou, Beach and Melko (2019), sections III and IV; and their test set, coarsened and refined, appendices A and B.
"""

from pathlib import Path

import numpy as np

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.studies.superres.chain import draw_chain
from kadanoff.studies.superres.square import draw_square
from kadanoff.studies.superresolution import check_physics, open_data, read_variant, reconstructions, trained
from kadanoff.validation import Name, Section


class Extrapolation(Section):
    """An entry of `superres_extrapolate`, named after one of superres.variants.

    `dataset` is the variant's; `smaller` and `larger` are Monte Carlo at 1/block and block times its size.
    """

    dataset: Name
    smaller: Name
    larger: Name


def superres_extrapolate(root: Path, name: str) -> None:
    """Refine lattices beyond the size that networks were trained at, beside exact and Monte Carlo curves.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, weights or data are missing, or they do not belong together.
    """
    params = entry(root, Extrapolation, "superres_extrapolate", name)
    variant, training = read_variant(root, name)
    if params.dataset != variant.dataset:
        raise KadanoffError(
            f"superres_extrapolate.{name}.dataset is {params.dataset}, but superres.variants.{name} has "
            f"{variant.dataset}; name the same in both."
        )
    model = trained(root, name, variant, training)
    path, fine = open_data(root, "superres", f"superres.variants.{name}", variant)
    paths = [root / "data" / "superres" / f"{other}.zarr" for other in (params.smaller, params.larger)]
    factors = 1 / variant.block, variant.block
    smaller, larger = (
        _beside(f"superres_extrapolate.{name}.{key}", other, fine, factor)
        for key, other, factor in zip(("smaller", "larger"), paths, factors, strict=True)
    )
    tests = reconstructions(model, fine, variant.train, training.seed)
    with recorded("superres_extrapolate", name, parameters=params.model_dump(), inputs=[path, *paths]) as record:
        if model.dimension == 1:
            draw_chain(record, model, larger, tests, training.seed)
        else:
            draw_square(record, model, fine, (smaller, larger), tests, training.seed)


def _beside(where: str, path: Path, fine: Ensemble, factor: float) -> Ensemble:
    """Monte Carlo at `factor` times the size of the variant's lattices, and at the same temperatures."""
    name, ensemble = path.stem, open_dataset(path)
    check_physics(name, ensemble)
    wanted = tuple(int(side * factor) for side in fine.spins.shape[2:])
    if ensemble.spins.shape[2:] != wanted:
        sides, due = (" x ".join(map(str, shape)) for shape in (ensemble.spins.shape[2:], wanted))
        raise KadanoffError(
            f"{where} is {name}, whose lattices have the size {sides}; beside the variant's dataset it must be {due}."
        )
    if not np.array_equal(ensemble.temperatures, fine.temperatures):
        raise KadanoffError(
            f"{where} is {name}, whose temperatures are not those of the variant's dataset; simulate both at the same."
        )
    return ensemble
