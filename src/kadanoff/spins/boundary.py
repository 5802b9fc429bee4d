"""Boundary conditions: the sign of each bond, and the fixed ghost rows.

Everything else (samplers, energies, exact results) reads a `Lattice` and never asks for a boundary by name.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError, is_whole, plain, shown, whole

LARGEST = 1 << 32
"""Spins a side: beyond it, random numbers would repeat."""
BOUNDARIES = ("periodic", "antiperiodic", "skewed", "free")


@dataclass(frozen=True)
class Lattice:
    """A square lattice of `height` x `width` spins, or a chain when `dimension` is 1.

    H = -sum_<ij> J_ij s_i s_j - B sum_i s_i, temperatures in units of |J|/k_B.

    Parameters
    ----------
    height, width
        Sites in y and in x. A chain has height 1 and no vertical bonds.
    boundary
        ``periodic``: torus (ring). ``antiperiodic``: every bond across an edge has the opposite sign.
        ``skewed``: periodic in x; a fixed row of + spins above the top row, of - spins below the bottom row.
        ``free``: no bond crosses an edge.
    coupling
        +1 (ferromagnet) or -1 (antiferromagnet).
    dimension
        2, or 1 for a chain. KadanoffError for a value outside of these rules.
    """

    height: int
    width: int
    boundary: str = "periodic"
    coupling: int = 1
    dimension: int = 2

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            object.__setattr__(self, name, whole(getattr(self, name), name, 0, LARGEST))
        if self.boundary not in BOUNDARIES:
            raise KadanoffError(f"boundary is {shown(self.boundary)}; choose one of {', '.join(BOUNDARIES)}.")
        if type(plain(self.coupling)) not in (int, float) or self.coupling not in (1, -1):
            raise KadanoffError(
                f"coupling is {shown(self.coupling)}; it must be 1 (ferromagnet) or -1 (antiferromagnet). "
                "Its strength is the unit of temperature: change `temperatures` instead."
            )
        if not is_whole(self.dimension) or self.dimension not in (1, 2):
            raise KadanoffError(f"dimension is {shown(self.dimension)}; it must be 1 (chain) or 2 (square lattice).")
        if self.dimension == 1 and self.height != 1:
            raise KadanoffError(f"a chain has one row, not {self.height}; give `size` as one number.")
        if self.dimension == 1 and self.boundary == "skewed":
            raise KadanoffError("boundary is 'skewed' on a chain; fixed rows need dimension: 2.")
        if self.width < 2 or (self.dimension == 2 and self.height < 2):
            raise KadanoffError(f"size is {self.height} x {self.width}; every side needs at least 2 spins.")

    @classmethod
    def of(
        cls, size: int | tuple[int, int], boundary: str = "periodic", coupling: float = 1, dimension: int = 2
    ) -> "Lattice":
        """Lattice of a given `size`: one number (square or chain) or (height, width)."""
        if is_whole(size):
            height, width = (1 if dimension == 1 else size), size
        elif isinstance(size, tuple | list) and len(size) == 2:
            height, width = size
        else:
            raise KadanoffError(f"size is {shown(size)}; give one whole number, or (height, width).")
        return cls(height, width, boundary, coupling, dimension)  # type: ignore[arg-type]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Last axes of an array of configurations: (height, width), or (width,) for a chain."""
        return self.shape[-self.dimension :]

    @property
    def sites(self) -> int:
        """Number of spins."""
        return self.height * self.width

    @property
    def walled(self) -> bool:
        """Whether the boundary forces a wall on a square ferromagnet."""
        return self.boundary in ("skewed", "antiperiodic") and self.coupling > 0 and self.dimension == 2

    @cached_property
    def right(self) -> NDArray[np.int8]:
        """J of the bond from (y, x) to (y, x+1 mod width): +1, -1, or 0 for none. Shape (height, width)."""
        bonds = np.full(self.shape, self.coupling, np.int8)
        bonds[:, -1] *= {"free": 0, "antiperiodic": -1}.get(self.boundary, 1)
        return bonds

    @cached_property
    def down(self) -> NDArray[np.int8]:
        """J of the bond from (y, x) to (y+1 mod height, x): +1, -1, or 0 for none. Shape (height, width)."""
        if self.dimension == 1:
            return np.zeros(self.shape, np.int8)
        bonds = np.full(self.shape, self.coupling, np.int8)
        bonds[-1, :] *= {"free": 0, "skewed": 0, "antiperiodic": -1}.get(self.boundary, 1)
        return bonds

    @cached_property
    def ghost(self) -> NDArray[np.int8]:
        """J times the fixed spin that touches (y, x); 0 for none. Shape (height, width).

        H has the term ``-ghost[y, x] * s[y, x]``.
        """
        field = np.zeros(self.shape, np.int8)
        if self.boundary == "skewed":
            field[0, :] = self.coupling
            field[-1, :] = -self.coupling
        return field
