"""Stage `superres_extrapolate`: lattices refined beyond the size that networks were trained at; paper, sections III-IV.

Also what they make of their own test set (appendices A and B), beside which the paper shows it.
"""

from pathlib import Path

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import load_model, read_recipe
from kadanoff.networks.superres import Superresolution
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.studies.superres.chain import draw_chain
from kadanoff.studies.superres.data import beside, open_data
from kadanoff.studies.superres.measure import test
from kadanoff.studies.superres.square import draw_square
from kadanoff.studies.superres.variants import read_variant
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
    model = trained(root, name, variant.model_dump() | training.model_dump())
    data = beside(
        open_data(root, f"superres.variants.{name}", variant.dataset, variant.train),
        root,
        f"superres_extrapolate.{name}",
        params.smaller,
        params.larger,
        variant.block,
    )
    tested = [test(model, index, data.test(index), training.seed) for index in range(len(data.temperatures))]
    draw = draw_chain if data.dimension == 1 else draw_square
    with recorded("superres_extrapolate", name, parameters=params.model_dump(), inputs=data.paths) as record:
        draw(record, model, data, tested, training.seed)


def trained(root: Path, name: str, parameters: dict) -> Superresolution:
    """The networks of a variant, trained with the present parameters."""
    weights = root / "models" / "superres" / f"{name}.safetensors"
    if not weights.is_file():
        raise KadanoffError(f"there are no weights {weights}; run `dvc repro superres@{name}` first.")
    model = load_model(weights)
    if not isinstance(model, Superresolution) or read_recipe(weights).training != parameters:
        raise KadanoffError(f"{weights} was trained with other parameters; run `dvc repro superres@{name}` first.")
    return model
