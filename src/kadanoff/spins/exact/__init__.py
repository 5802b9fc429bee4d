"""Exact results that everything else is tested against; each function names its equation.

=========================================  ======================================================
`enumerate_states`                         every state of up to 25 spins, any boundary, any field
`transfer_energy_distribution`             narrow lattices of any height, any boundary
`chain`, `chain_correlation`, `ring_order` one dimension
`kaufman`                                  tori of any size (periodic, antiperiodic)
`torus_density_of_states`,
`kaufman_energy_distribution`              their exact P(E), up to 16,384 spins
`skewed_density_of_states`,
`exact_energy_distribution`                the same of skewed cylinders, and of all three
`critical_energy`, `critical_square`,
`critical_correlation`, `critical_row`,
`critical_diagonal`                        large square tori at T_c
`onsager`, `spontaneous_magnetization`     the infinite square lattice
=========================================  ======================================================
"""

from kadanoff.spins.exact.chain import chain, chain_correlation, ring_order
from kadanoff.spins.exact.critical import (
    AMPLITUDE,
    BINDER,
    SQUARE,
    STRUCTURE,
    critical_correlation,
    critical_diagonal,
    critical_energy,
    critical_row,
    critical_square,
)
from kadanoff.spins.exact.cylinder import skewed_density_of_states
from kadanoff.spins.exact.density import (
    exact_energy_distribution,
    kaufman_energy_distribution,
    torus_density_of_states,
)
from kadanoff.spins.exact.enumeration import Enumeration, enumerate_states
from kadanoff.spins.exact.kaufman import kaufman
from kadanoff.spins.exact.onsager import T_C, onsager, spontaneous_magnetization
from kadanoff.spins.exact.thermal import EnergyDistribution, Thermal
from kadanoff.spins.exact.transfer import transfer_energy_distribution

__all__ = [
    "AMPLITUDE",
    "BINDER",
    "SQUARE",
    "STRUCTURE",
    "T_C",
    "EnergyDistribution",
    "Enumeration",
    "Thermal",
    "chain",
    "chain_correlation",
    "critical_correlation",
    "critical_diagonal",
    "critical_energy",
    "critical_row",
    "critical_square",
    "enumerate_states",
    "exact_energy_distribution",
    "kaufman",
    "kaufman_energy_distribution",
    "onsager",
    "ring_order",
    "skewed_density_of_states",
    "spontaneous_magnetization",
    "torus_density_of_states",
    "transfer_energy_distribution",
]
