"""Kadanoff: a laboratory for the renormalization group on lattice spins."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kadanoff.errors import KadanoffError

if TYPE_CHECKING:
    from kadanoff.data.store import Ensemble, open_dataset
    from kadanoff.inverse.superresolve import superresolve
    from kadanoff.models import load_model
    from kadanoff.montecarlo.runner import simulate

__version__ = "0.1.0"
__all__ = ["Ensemble", "KadanoffError", "load_model", "open_dataset", "simulate", "superresolve"]

# torch, numba and zarr load only when one of these is used: `import kadanoff` stays light
_HOME = {
    "Ensemble": "kadanoff.data.store",
    "open_dataset": "kadanoff.data.store",
    "load_model": "kadanoff.models",
    "simulate": "kadanoff.montecarlo.runner",
    "superresolve": "kadanoff.inverse.superresolve",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'kadanoff' has no attribute {name!r}")
