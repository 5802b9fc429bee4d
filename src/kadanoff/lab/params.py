"""The one reader of params.yaml: every section is a model that refuses unknown keys and wrong types."""

import difflib
import math
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from kadanoff.errors import LONGEST, MOST_SEED, KadanoffError, shown
from kadanoff.spins.boundary import Lattice


class Section(BaseModel):
    """A section of params.yaml: no unknown keys, no silent conversions, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)]
"""The name of an entry: it becomes a part of paths, so it has letters, digits, _ and - only."""
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
COLDEST = 0.01  # nothing moves below, and exact results need thousands of digits
STRONGEST = 1000.0  # field: where it is stronger, every spin has its sign
COUNTED = 1 << 32  # chains, and sites of a lattice: of more, random numbers would repeat
MOST_SWEEPS = 1 << 30
MOST_VALUES = 100_000  # of a grid: more of them are a slip of the pen
MOST_NODES = 1_000_000  # values in params.yaml
MOST_WORDS = 200  # characters of what a parser says
MOST_FAULTS = 5  # that one message lists

SectionType = TypeVar("SectionType", bound=Section)


class Grid(Section):
    """Equal steps: first, first + step, .. up to last; exact decimals, as they are written."""

    first: float = Field(allow_inf_nan=False)
    last: float = Field(allow_inf_nan=False)
    step: float = Field(gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _rules(self) -> "Grid":
        if self.last < self.first:
            raise ValueError(f"first is {self.first}, but last is {self.last}; last must not be less than first")
        if (self.last - self.first) / self.step > MOST_VALUES:
            raise ValueError(f"step is {self.step}, which gives more than {MOST_VALUES} values; raise it")
        return self

    def values(self) -> list[float]:
        """The numbers of the grid."""
        first, last, step = (Decimal(repr(number)) for number in (self.first, self.last, self.step))
        return [float(first + index * step) for index in range(int((last - first) / step) + 1)]


def _listed(value: Any) -> Any:
    """A list as it is, a grid as the list of its values."""
    return Grid.model_validate(value).values() if isinstance(value, dict) else value


def _no_equal(value: Any) -> Any:
    """A value as it is, unless it only equals an integer, as True and 1.0 do."""
    if isinstance(value, bool | float):
        raise ValueError(f"{value} is no whole number")
    return value


Temperatures = Annotated[list[float], BeforeValidator(_listed), Field(min_length=1)]
"""A list, or {first, last, step}."""


class Dataset(Section):
    """One entry of `datasets`, in the words of `kadanoff.simulate`."""

    size: int | list[int]
    temperatures: Temperatures
    samples: int = Field(gt=0, le=COUNTED)
    boundary: Literal["periodic", "antiperiodic", "skewed", "free"] = "periodic"
    coupling: float = 1.0
    dimension: Annotated[Literal[1, 2], BeforeValidator(_no_equal)] = 2
    sampler: Literal["metropolis", "swendsen_wang", "hybrid", "auto"] = "auto"
    sweeps: int | None = Field(default=None, gt=0, le=MOST_SWEEPS)
    seed: Seed = 0
    field: float = Field(default=0.0, ge=-STRONGEST, le=STRONGEST)
    start: Literal["hot", "cold", "ground"] = "hot"
    allow_unequilibrated: bool = False

    @model_validator(mode="after")
    def _rules(self) -> "Dataset":
        for temperature in self.temperatures:
            if not COLDEST <= temperature < float("inf"):
                raise ValueError(
                    f"temperatures has {temperature}; each must be positive, at least {COLDEST}, and finite"
                )
        if len(set(self.temperatures)) < len(self.temperatures):
            twice = next(value for value, count in Counter(self.temperatures).items() if count > 1)
            raise ValueError(f"temperatures has {twice} twice; give each once")
        if isinstance(self.size, list) and len(self.size) != 2:
            raise ValueError(f"size is {shown(self.size)}; give one number, or [height, width]")
        sides = self.size if isinstance(self.size, list) else [self.size] * self.dimension
        if max(sides) > COUNTED or math.prod(sides) > COUNTED:
            raise ValueError(f"size is {shown(self.size)}; of more than {COUNTED} spins random numbers would repeat")
        if self.field and self.sampler in ("swendsen_wang", "hybrid"):
            raise ValueError(f"field is {self.field}; {self.sampler} needs field: 0, so take sampler: metropolis")
        if self.start == "cold" and (self.coupling < 0 or self.boundary in ("skewed", "antiperiodic")):
            raise ValueError(
                f"start is 'cold' with boundary {self.boundary!r} and coupling {self.coupling:g}; all spins up is no "
                "typical state there, so take start: hot"
            )
        walled = self.boundary in ("skewed", "antiperiodic") and self.dimension == 2 and self.coupling > 0
        if self.start == "ground" and not walled:
            raise ValueError(
                f"start is 'ground' with boundary {self.boundary!r} and coupling {self.coupling:g}; it draws the wall "
                "that skewed and antiperiodic boundaries force on a square ferromagnet, so take start: hot"
            )
        try:
            _ = self.lattice
        except KadanoffError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def lattice(self) -> Lattice:
        """The lattice that this dataset lives on."""
        size = self.size if isinstance(self.size, int) else (self.size[0], self.size[1])
        return Lattice.of(size, self.boundary, self.coupling, self.dimension)


class TrainingParams(Section):
    """How a network is trained: the settings of `kadanoff.learning.fit`."""

    seed: Seed
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    weight_decay: float = Field(ge=0, allow_inf_nan=False)
    plateau_patience: int = Field(ge=0)
    plateau_factor: float = Field(gt=0, lt=1)
    early_stopping_patience: int = Field(gt=0)


class TunedParams(TrainingParams):
    """How an image model is trained: AdamW, and bfloat16 where the processor has it."""

    schedule: Literal["plateau", "linear"] = "plateau"
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    compile: bool = False


def validated(model: type[SectionType], values: Any, where: str) -> SectionType:
    """`values` as a `model`.

    Raises
    ------
    KadanoffError
        One line per fault: the key, the value, the rule, and the nearest known key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors()
        lines = [_sentence(model, where, fault) for fault in faults[:MOST_FAULTS]]
        if len(faults) > MOST_FAULTS:
            lines.append(f"{where} has {len(faults) - MOST_FAULTS} more faults.")
        raise KadanoffError("\n".join(lines)) from error


def _sentence(model: type[Section], where: str, fault: Any) -> str:
    # pydantic names the alternatives of a union in the location: int, list[int]
    key = ".".join(str(part)[:LONGEST] for part in fault["loc"] if part not in ("int", "list[int]"))
    place = f"{where}.{key}" if key else where
    if fault["type"] == "extra_forbidden":
        name = str(fault["loc"][-1])
        keys = _innermost(model, fault["loc"][:-1]).model_fields
        near = difflib.get_close_matches(name, keys, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{place} is not a known key; {hint}Known keys: {', '.join(keys)}."
    if fault["type"] == "missing":
        return f"{place} is missing; it must be given."
    if fault["type"] == "value_error":
        return f"{place}: {fault['ctx']['error']}"
    return f"{place} is {shown(fault['input'])}: {fault['msg']}."


def _innermost(model: type[Section], places: tuple[Any, ...]) -> type[Section]:
    """The section that lies in these places of `model`; what stands for a list of numbers is a grid."""
    for place in places:
        if str(place) in model.model_fields:  # or it is the name of an entry
            kind = model.model_fields[str(place)].annotation
            inner = [each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, Section)]
            model = inner[0] if inner else Grid
    return model


def read_yaml(path: Path) -> Any:
    """What a file that DVC also reads holds, as DVC reads it: YAML 1.2, UTF-8, no key twice.

    Raises
    ------
    KadanoffError
        If the file cannot be read, or is not YAML.
    """
    try:
        # without C: the result then does not depend on what else is installed
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KadanoffError(f"cannot read {path}: {error.strerror or error}; make it a readable file.") from error
    except UnicodeDecodeError as error:
        raise KadanoffError(f"{path} is not UTF-8, from byte {error.start} on; save it as UTF-8 text.") from error
    except RecursionError as error:
        raise KadanoffError(f"{path} is not valid YAML: it is nested too deeply; make it flat.") from error
    except (YAMLError, ValueError, TypeError, AttributeError) as error:  # the latter of values with a wrong tag
        raise KadanoffError(f"{path} is not valid YAML: {_reason(error)}; mend or restore it.") from error


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    words = " ".join(str(getattr(error, "problem", None) or error).split())
    return words[:MOST_WORDS] + (f" (line {mark.line + 1})" if mark else "")


def read_params(root: Path) -> dict[str, Any]:
    """All sections of params.yaml in the folder `root`, unvalidated.

    Raises
    ------
    KadanoffError
        If the file is missing or is not a YAML mapping, a key is not text, or aliases make it endless.
    """
    path = root / "params.yaml"
    if not path.exists():
        raise KadanoffError(f"there is no {path}; run this in a folder of the project.")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise KadanoffError(f"{path} must be a mapping of sections, not {type(content).__name__}.")
    if _size(content, str(path), {}) > MOST_NODES:
        raise KadanoffError(f"{path} has more than {MOST_NODES} values, most of them by aliases; write fewer.")
    return content


def _size(value: Any, where: str, known: dict[int, int | None]) -> int:
    """How many values there are in a tree, each as often as aliases repeat it; `known` are sizes of its parts."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) in known:
        size = known[id(value)]
        if size is None:
            raise KadanoffError(f"{where} has an alias of what holds it; write out what is meant.")
        return size
    known[id(value)] = None
    for key in value if isinstance(value, dict) else ():
        if not isinstance(key, str):
            raise KadanoffError(
                f"{where} has the key {shown(key)}, which YAML reads as {type(key).__name__}; keys are text: rename it."
            )
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    size = known[id(value)] = 1 + sum(_size(part, f"{where}: {key}", known) for key, part in parts)
    return size


def section(root: Path, *keys: str) -> dict[str, Any]:
    """The mapping of params.yaml under `keys`, such as ("datasets", "coarsen16"), unvalidated.

    Raises
    ------
    KadanoffError
        If there is no such entry: the message lists those that there are.
    """
    values: Any = read_params(root)
    for depth, key in enumerate(keys):
        if not isinstance(values, dict) or key not in values:
            place = ".".join(keys[:depth]) or "params.yaml"
            choices = ", ".join(map(str, values)) if isinstance(values, dict) else "nothing"
            raise KadanoffError(f"{place} has no entry {shown(key)}; it has: {choices}.")
        values = values[key]
    if not isinstance(values, dict):
        raise KadanoffError(f"{'.'.join(keys)} is {shown(values)}; it must be a mapping.")
    return values


def entry(root: Path, model: type[SectionType], *keys: str) -> SectionType:
    """The validated entry of params.yaml under `keys`.

    Raises
    ------
    KadanoffError
        If there is no such entry, or it breaks a rule.
    """
    return validated(model, section(root, *keys), ".".join(keys))
