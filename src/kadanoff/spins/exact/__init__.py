"""Exact results that everything else is tested against; each function names its equation.

* `enumerate_states`: every state of up to 25 spins, any boundary, any field
* `transfer_energy_distribution`: narrow lattices of any height, any boundary
* `chain`, `chain_correlation`, `ring_order`: one dimension
* `kaufman`, `log_partition`: tori of any size (periodic, antiperiodic)
* `torus_density_of_states`, `skewed_density_of_states`: tori and skewed cylinders of up to 16,384 spins, in integers
* `exact_energy_distribution`: their P(E)
* `critical_energy`, `critical_square`, `critical_correlation`, `critical_row`, `critical_diagonal`: large tori at T_c
* `onsager`, `spontaneous_magnetization`: the infinite square lattice
"""

from kadanoff.spins.exact.chain import chain, chain_correlation, ring_order
from kadanoff.spins.exact.critical import (
    AMPLITUDE,
    BINDER,
    SQUARE,
    STRUCTURE,
    T_C,
    critical_correlation,
    critical_diagonal,
    critical_energy,
    critical_row,
    critical_square,
    onsager,
    spontaneous_magnetization,
)
from kadanoff.spins.exact.cylinder import skewed_density_of_states
from kadanoff.spins.exact.density import exact_energy_distribution, torus_density_of_states
from kadanoff.spins.exact.kaufman import kaufman, log_partition
from kadanoff.spins.exact.small import Enumeration, enumerate_states, transfer_energy_distribution
from kadanoff.spins.exact.thermal import EnergyDistribution, Thermal
