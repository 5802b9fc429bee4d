"""The exact density of states of the skewed cylinder, in integers: periodic in x, + spins above, - spins below.

Schultz, Mattis and Lieb, Rev. Mod. Phys. 36, 856 (1964), make the transfer matrix of a row of n spins one of free
fermions. The fixed rows are rows that are all up or all down, |up> and |down> = (|even> +- |odd>) / sqrt 2, and

    Z = <down| V1 (V2 V1)^m |up> = (Z_even - Z_odd) / 2,

with V1 the bonds from row to row and V2 those within one of the m rows. Momenta k = pi j / n have odd j in Z_even and
even j in Z_odd. In the space of no fermion and the pair k, -k, with exp(2K) taken out of each,

    V1 = diag((1 + z)^2, (1 - z)^2),   V2 = P + z^2 (1 - P),   P = [[1 - cos k, sin k], [sin k, 1 + cos k]] / 2,

z = exp(-2K), and |even> and |odd> are the eigenvectors P = 1. So with M = V2 V1 a pair gives, by Cayley and Hamilton,

    tr(P M^(m+1)) = (1 + z^2 - 2 z cos k) U_(m+1) - det M U_m,   U_(l+1) = tr M U_l - det M U_(l-1),

U_0 = 0, U_1 = 1. Here tr M = (1 + z^2)^2 - 2 z (1 - z^2) cos k and det M = z^2 (1 - z^2)^2: Kaufman's gamma. What has
no partner gives (1 - z)^(m+1) for k = 0, where a fermion is, and (1 + z)^(m+1) for k = pi, where none is.

Putting -1/z for z keeps tr M / z^2 and det M / z^4, so that each U serves two values of the polynomial.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact.kaufman import _power
from kadanoff.spins.exact.residues import MOST_SITES, coefficients, numbers_of_states, remainder, roots_of_unity


@lru_cache(maxsize=32)
def skewed_density_of_states(height: int, width: int) -> tuple[int, ...]:
    """Number of states with k = 0..2N + width unsatisfied bonds of a ferromagnet of N spins, fixed rows included.

    Takes 3 s for 64 x 64, 15 s for 100 x 100, 60 s for 128 x 128, as N^2 width log(height); then cached.
    KadanoffError if a side is below 2, or there are more than 16,384 spins.
    """
    sites = Lattice(height, width, "skewed").sites
    if sites > MOST_SITES:
        raise KadanoffError(
            f"{height} x {width} has {sites} spins; the density of states is limited to {MOST_SITES}. "
            "Take a smaller lattice, or a narrow one with `transfer_energy_distribution`."
        )
    # Every column has an unsatisfied bond, every spin four bonds, and not all bonds are unsatisfied: N values of k.
    counts = [0] * (2 * sites + width + 1)
    counts[width:-1:2] = numbers_of_states(sites, partial(_modulo, height, width))
    return tuple(counts)


def _modulo(height: int, width: int, prime: int) -> NDArray[np.int64]:
    """Numbers of states with width, width + 2, .. unsatisfied bonds, modulo a prime below 2^31."""
    sites, reduce = height * width, remainder(prime)
    z = roots_of_unity(2 * sites, prime)
    half = np.arange(sites // 2 + 1)
    cosines = [int(z[height * j] + z[-height * j]) % prime for j in range(width + 1)]
    values, mirrored = _twice_partition(z[half], cosines, height, reduce)
    values = reduce(values * z[-width * half % len(z)])
    # The place of -1/z is N minus that of z; there, z^(2N) = 1 and an odd width leave a sign.
    rest = mirrored[sites - sites // 2 - 1 : 0 : -1]
    return coefficients(np.concatenate([values, -rest if width % 2 else rest]), z, prime)


def _twice_partition(z: Any, cosines: Sequence, height: int, reduce: Callable) -> tuple[Any, Any]:
    """2 Z exp(-K bonds) at z, and z^bonds times the same at -1/z; `cosines` are 2 cos(pi j / width), j = 0..width."""
    lines, square = height + 1, reduce(z * z)
    cosh, sinh = reduce((1 + square) * (1 + square)), {1: reduce(z * (1 - square))}  # as in `kaufman`
    growing, decaying = (_power({1: base}, lines, reduce) for base in (1 + z, 1 - z))
    rows = _power({1: z}, height, reduce)
    determinants = _power(sinh, 2, reduce), reduce((1 - square) * (1 - square))
    products: list[list[Any]] = [[1, 1], [1, 1]]  # of even and of odd j, each at z and at -1/z
    for j, cosine in enumerate(cosines):
        if j == 0:
            factors = decaying, reduce(rows * growing)
        elif j == len(cosines) - 1:
            factors = growing, reduce(rows * decaying) * (-1) ** lines
        else:
            low, high = _chebyshev(reduce(cosh - sinh[1] * cosine), sinh, height, reduce)
            turn = reduce(z * cosine)
            starts = reduce(1 + square - turn), reduce(1 + square + turn)
            factors = tuple(reduce(starts[i] * high - determinants[i] * low) for i in (0, 1))
        products[j % 2] = [reduce(products[j % 2][i] * factors[i]) for i in (0, 1)]
    even, odd = products[1], products[0]
    return reduce(even[0] - odd[0]), reduce(even[1] - odd[1])


def _chebyshev(p: Any, root: dict[int, Any], m: int, reduce: Callable) -> tuple[Any, Any]:
    """U_m and U_(m+1), where U_0 = 0, U_1 = 1, U_(k+1) = p U_k - q U_(k-1); `root` has powers of q^(1/2).

    By U_(a+b) = U_a V_b - q^b U_(a-b) with V_b = U_(b+1) - q U_(b-1).
    """
    if m == 1:
        return 1, p
    k = m // 2
    low, high = _chebyshev(p, root, k, reduce)
    if m % 2:
        v = reduce(p * high - 2 * _power(root, 2, reduce) * low)
        return reduce(low * v + _power(root, 2 * k, reduce)), reduce(high * v)
    v = reduce(2 * high - p * low)
    return reduce(low * v), reduce(high * v - _power(root, 2 * k, reduce))
