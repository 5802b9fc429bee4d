"""What a physicist measures on an image without its temperature; unlike networks, he is told its bonds."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize.elementwise import find_root

from kadanoff.phases.microstates import Images
from kadanoff.spins.compiled import compiled
from kadanoff.spins.observables import magnetization

STRONGEST = 10.0  # reduced coupling, in modulus: no lattice that fits into a memory tells more than 4 from infinity
NAMES = ("energy", "log excess", "|m|", "staggered |m|", *(f"log aligned {number}" for number in range(5)))


def neighbourhood_counts(spins: NDArray[np.int8]) -> NDArray[np.int64]:
    """How often a spin off the edges has each sum of its four neighbours, int64 (n, 5, 2).

    `spins` is int8 (n, y, x) of +1 and -1. Index [image, h, s] of what is returned: h = (sum of the neighbours + 4)/2,
    and s = 0 for a spin of -1, 1 for +1.
    """
    counts = np.zeros((len(spins), 5, 2), np.int64)
    _count(np.ascontiguousarray(spins), counts)
    return counts


@compiled
def _count(spins, counts):
    for image in range(len(spins)):
        lattice = spins[image]
        for y in range(1, lattice.shape[0] - 1):
            for x in range(1, lattice.shape[1] - 1):
                total = lattice[y - 1, x] + lattice[y + 1, x] + lattice[y, x - 1] + lattice[y, x + 1]
                counts[image, (total + 4) // 2, (lattice[y, x] + 1) // 2] += 1


def pseudo_likelihood(spins: NDArray[np.int8]) -> NDArray[np.float64]:
    """Reduced coupling K = J/T of each lattice (n, y, x) by maximum pseudo-likelihood, negative in antiferromagnets.

    Besag, J. R. Stat. Soc. D 24, 179 (1975): the K at which the spins are likeliest, each given its neighbours, that is
    at which the sum of s h - h tanh(K h) vanishes, h the sum of a spin's neighbours. It runs over the sites off the
    edges, so nothing is told of the boundary or of the sign of the bonds. Half a site with all four neighbours alike
    and half a site with none is added to each lattice: a state without any broken bond has a finite K.
    """
    counts = neighbourhood_counts(spins)
    fields = np.arange(-4, 5, 2)
    aligned = (counts[:, :, 1] - counts[:, :, 0]) @ fields
    twos, fours = (counts[:, [2 - half, 2 + half]].sum((1, 2)) for half in (1, 2))

    def slope(coupling: NDArray, aligned: NDArray, twos: NDArray, fours: NDArray) -> NDArray:
        return aligned - 2 * twos * np.tanh(2 * coupling) - 4 * (fours + 1) * np.tanh(4 * coupling)

    bounds = np.full(len(spins), -STRONGEST), np.full(len(spins), STRONGEST)
    return find_root(slope, bounds, args=(aligned, twos, fours)).x


def table(images: Images) -> NDArray[np.float64]:
    """Values float64 (n, 9) of `NAMES`, of N = height x width spins each.

    ``energy``: e per site in units of |J|, with the system's own bonds. ``log excess``: log((e + 2)/2 + 1/(2N)), on a
    torus log((broken bonds + 1/2)/N), which is log 4 - 8/T where single spins are excited. ``|m|`` and ``staggered
    |m|``: what orders a ferromagnet and an antiferromagnet. ``log aligned k``: log((c + 1/2)/sites), c of the sites
    off the edges have k of their four neighbours alike; counts [h, s] and their global flip [4 - h, 1 - s] are summed.
    With 1/2 a state without any broken bond has a finite place, beyond one with a single excitation.
    """
    height, width = images.spins.shape[1:]
    sites, inside = height * width, (height - 2) * (width - 2)
    counts = neighbourhood_counts(images.spins)
    aligned = counts[:, :, 1] + counts[:, ::-1, 0]
    signs = 1 - 2 * (np.indices((height, width), np.int8).sum(0, dtype=np.int8) % 2)
    excess = np.maximum(images.energies + 2, 0) / 2 + 1 / (2 * sites)
    columns = (
        images.energies,
        np.log(excess),
        np.abs(magnetization(images.spins)),
        np.abs(magnetization(images.spins * signs)),
        *np.log((aligned + 0.5) / inside).T,
    )
    return np.stack(columns, axis=1)
