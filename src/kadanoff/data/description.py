"""The description of a dataset: which lattice, which temperatures, how many samples, and how they are made."""

import math
from collections import Counter
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from kadanoff.errors import KadanoffError, shown
from kadanoff.spins.boundary import Lattice
from kadanoff.validation import Section, Seed, listed

COLDEST = 0.01  # nothing moves below, and exact results need thousands of digits
STRONGEST = 1000.0  # field: where it is stronger, every spin has its sign
COUNTED = 1 << 32  # chains, and sites of a lattice: of more, random numbers would repeat
MOST_SWEEPS = 1 << 30


Temperatures = Annotated[list[float], BeforeValidator(listed), Field(min_length=1)]
"""A list, or {first, last, step}, alone or in a list."""


class Dataset(Section):
    """One entry of `datasets`, in the words of `kadanoff.simulate`."""

    size: int | list[int]
    temperatures: Temperatures
    samples: int = Field(gt=0, le=COUNTED)
    boundary: Literal["periodic", "antiperiodic", "skewed", "free"] = "periodic"
    coupling: float = 1.0
    dimension: int = Field(default=2, ge=1, le=2)
    sampler: Literal["metropolis", "swendsen_wang", "hybrid", "auto"] = "auto"
    sweeps: int | None = Field(default=None, gt=0, le=MOST_SWEEPS)
    seed: Seed = 0
    field: float = Field(default=0.0, ge=-STRONGEST, le=STRONGEST)
    start: Literal["hot", "cold", "ground"] = "hot"
    allow_unequilibrated: bool = False
    # no part of what describes the spins: they do not depend on it
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", exclude=True)

    @model_validator(mode="after")
    def _rules(self) -> "Dataset":
        for temperature, count in Counter(self.temperatures).items():
            if not COLDEST <= temperature < float("inf"):
                raise ValueError(f"temperatures has {temperature}; each must be at least {COLDEST}, and finite")
            if count > 1:
                raise ValueError(f"temperatures has {temperature} twice; give each once")
        if isinstance(self.size, list) and len(self.size) != 2:
            raise ValueError(f"size is {shown(self.size)}; give one number, or [height, width]")
        sides = self.size if isinstance(self.size, list) else [self.size] * self.dimension
        if max(sides) > COUNTED or math.prod(sides) > COUNTED:
            raise ValueError(f"size is {shown(self.size)}; of more than {COUNTED} spins random numbers would repeat")
        if self.field and self.sampler in ("swendsen_wang", "hybrid"):
            raise ValueError(f"field is {self.field}; {self.sampler} needs field: 0, so take sampler: metropolis")
        if self.device == "cuda" and self.sampler != "metropolis":
            raise ValueError(
                f"device is 'cuda' with sampler {self.sampler!r}; a GPU has Metropolis only, so take "
                "sampler: metropolis, or device: auto"
            )
        if self.start == "cold" and (self.coupling < 0 or self.boundary in ("skewed", "antiperiodic")):
            raise ValueError(
                f"start is 'cold' with boundary {self.boundary!r} and coupling {self.coupling:g}; all spins up is no "
                "typical state there, so take start: hot"
            )
        try:
            lattice = self.lattice
        except KadanoffError as error:
            raise ValueError(str(error)) from error
        if self.start == "ground" and not lattice.walled:
            raise ValueError(
                f"start is 'ground' with boundary {self.boundary!r} and coupling {self.coupling:g}; it draws the wall "
                "that skewed and antiperiodic boundaries force on a square ferromagnet, so take start: hot"
            )
        return self

    @property
    def lattice(self) -> Lattice:
        """The lattice that this dataset lives on."""
        size = self.size if isinstance(self.size, int) else (self.size[0], self.size[1])
        return Lattice.of(size, self.boundary, self.coupling, self.dimension)
