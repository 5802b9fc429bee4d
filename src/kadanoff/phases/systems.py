"""The physical systems whose temperature is read off a configuration."""

from typing import Literal

from kadanoff.spins.boundary import Lattice
from kadanoff.validation import Section


class System(Section):
    """One entry of `classify.systems`, in the words of a dataset."""

    boundary: Literal["periodic", "antiperiodic", "skewed"] = "periodic"
    coupling: Literal[1, -1] = 1

    @property
    def start(self) -> Literal["hot", "ground"]:
        """Where chains begin that are to come to equilibrium: with the wall that the boundary forces, or anywhere."""
        return "ground" if self.boundary != "periodic" and self.coupling > 0 else "hot"

    def lattice(self, size: int) -> Lattice:
        """The lattice of a system at a size."""
        return Lattice.of(size, self.boundary, self.coupling)
