"""`kadanoff.simulate`: an ensemble in memory, described by arguments."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from psutil import virtual_memory

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble
from kadanoff.errors import MOST_WORKERS, KadanoffError, whole
from kadanoff.montecarlo.runner import run
from kadanoff.spins.compiled import announce
from kadanoff.validation import validated


def simulate(
    size: int | tuple[int, int],
    temperatures: Sequence[float] | float,
    samples: int,
    boundary: str = "periodic",
    coupling: float = 1.0,
    dimension: int = 2,
    sampler: str = "auto",
    sweeps: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    *,
    field: float = 0.0,
    start: str = "hot",
    allow_unequilibrated: bool = False,
    device: str = "auto",
) -> Ensemble:
    """Independent Ising configurations in equilibrium.

    Parameters
    ----------
    size
        Spins a side, or (height, width).
    temperatures
        In units of |J|/k_B; one or several.
    samples
        Independent chains, one stored configuration each, at every temperature.
    boundary
        ``periodic``, ``antiperiodic``, ``skewed`` or ``free``; see `kadanoff.spins.boundary.Lattice`.
    coupling
        +1 (ferromagnet) or -1 (antiferromagnet).
    dimension
        2, or 1 for a chain.
    sampler
        ``metropolis``, ``swendsen_wang``, ``hybrid`` (one sweep of clusters, then eight of single spins) or ``auto``,
        for which two short pilots decide where both could do.
    sweeps
        Sweeps of every chain from its start; None takes, at each temperature, 20 autocorrelation times of pilot chains.
    seed
        The same seed and parameters give the same spins on any number of workers.
    workers
        Threads; None for one a core.
    field
        External field B in units of |J|; needs the Metropolis sampler.
    start
        ``hot`` (random spins), ``cold`` (all +1) or ``ground`` (a random ground state with the wall that skewed and
        antiperiodic boundaries force). Below T_c single-spin updates keep the sign of a cold start's
        magnetization; equilibrium is then that of the + state.
    allow_unequilibrated
        Accept fewer sweeps than 20 autocorrelation times; with `sweeps` given they are not measured at all.
    device
        Where Metropolis chains run, after their pilots: ``cpu``, ``cuda`` (an NVIDIA GPU) or ``auto``, the GPU if there
        is one and the work is large enough to gain by it. It changes no spin.

    Returns
    -------
    Ensemble
        ``.spins`` int8 (temperature, sample, y, x) or (temperature, sample, x), ``.energy`` and ``.magnetization``
        (temperature, sample) per site.

    Raises
    ------
    KadanoffError
        If a value breaks a rule, or the sweeps are too few for equilibrium, or chains do not come to it.

    Examples
    --------
    >>> import kadanoff
    >>> ensemble = kadanoff.simulate(16, [1.5, 3.0], samples=100, seed=1)
    >>> ensemble.energy.mean(axis=1).round(3)
    array([-1.949, -0.809])
    """
    if workers is not None:
        workers = whole(workers, "workers (None takes one a core)", 1, MOST_WORKERS)
    points = _plain(temperatures)
    values: dict[str, Any] = {"size": size, "temperatures": points if isinstance(points, list) else [points]}
    values |= {"samples": samples, "boundary": boundary, "coupling": coupling, "dimension": dimension, "seed": seed}
    values |= {"sampler": sampler, "sweeps": sweeps, "field": field, "start": start}
    values |= {"allow_unequilibrated": allow_unequilibrated, "device": device}
    dataset = validated(Dataset, {name: _plain(value) for name, value in values.items()}, "simulate")
    needed, memory = dataset.lattice.sites * dataset.samples * len(dataset.temperatures), virtual_memory().total
    if needed > memory:
        raise KadanoffError(
            f"the spins of {dataset.samples} samples take {needed / 1e9:.1f} GB, and this machine has "
            f"{memory / 1e9:.1f} GB of memory; take fewer, or let the command `kadanoff simulate` write them to disk."
        )
    announce()
    return run(dataset, "", workers)


def _plain(value: Any) -> Any:
    """Numbers and sequences of NumPy, pandas and PyTorch as Python's own, as which the parameters are checked."""
    if hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    return [_plain(item) for item in value] if isinstance(value, tuple | list | range) else value
