"""What a person writes is checked: sections refuse unknown keys and wrong types, in one sentence a fault."""

import difflib
from decimal import Decimal
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kadanoff.errors import LONGEST, MOST_SEED, KadanoffError, shown

MOST_VALUES = 100_000  # of a grid: more of them are a slip of the pen
MOST_FAULTS = 5  # that one message lists


class Section(BaseModel):
    """Named values that a person writes: no unknown keys, no silent conversions, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)]
"""The name of an entry: it becomes a part of paths, so it has letters, digits, _ and - only."""
WeightsName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$")]
"""STAGE/VARIANT: the weights models/STAGE/VARIANT.safetensors."""
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]

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


def listed(value: Any) -> Any:
    """A grid, alone or in a list, as its values; anything else as it is."""
    if isinstance(value, list):
        return [number for item in value for number in (listed(item) if isinstance(item, dict) else [item])]
    return Grid.model_validate(value).values() if isinstance(value, dict) else value


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
