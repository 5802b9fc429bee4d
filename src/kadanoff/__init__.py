"""Kadanoff: a laboratory for the renormalization group on lattice spins."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kadanoff.errors import KadanoffError, missing

if TYPE_CHECKING:
    from kadanoff.data.store import Ensemble, open_dataset
    from kadanoff.inverse.superresolve import superresolve
    from kadanoff.models import load_model
    from kadanoff.montecarlo.simulate import simulate
    from kadanoff.spins.exact import exact_energy_distribution

__version__ = "0.1.0"
__all__ = [
    "Ensemble",
    "KadanoffError",
    "exact_energy_distribution",
    "load_model",
    "open_dataset",
    "simulate",
    "superresolve",
]

# torch, numba and zarr load only when one of these is used: `import kadanoff` stays light
_HOME = {
    "Ensemble": "kadanoff.data.store",
    "exact_energy_distribution": "kadanoff.spins.exact",
    "open_dataset": "kadanoff.data.store",
    "load_model": "kadanoff.models",
    "simulate": "kadanoff.montecarlo.simulate",
    "superresolve": "kadanoff.inverse.superresolve",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kadanoff' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        raise missing(error) from error


def __dir__() -> list[str]:
    return sorted(__all__)
