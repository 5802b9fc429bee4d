"""Many chains, one ensemble: any number of workers, killed and resumed, the same bytes."""

import io
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from psutil import virtual_memory

import kadanoff
from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble
from kadanoff.errors import MOST_WORKERS, KadanoffError, whole
from kadanoff.montecarlo.equilibration import Choice, Pilot, check_pilot, choose, pilot, pilot_places, sweeps_needed
from kadanoff.montecarlo.samplers import SAMPLERS, chains_per_task, first_configurations, key_of
from kadanoff.montecarlo.symmetry import ends_with_symmetry, symmetrize
from kadanoff.runtime.files import disk_errors, write_atomic
from kadanoff.runtime.output import require_room
from kadanoff.runtime.progress import Advance, progress
from kadanoff.spins.compiled import announce
from kadanoff.spins.observables import energy, magnetization
from kadanoff.validation import validated

SLICE_UPDATES = 1 << 28
SAVE_SECONDS = 10.0


class Task(NamedTuple):
    """Some neighbouring chains at one temperature (an index)."""

    temperature: int
    first_chain: int
    chains: int


@dataclass(frozen=True)
class Chains:
    """The chains of one dataset: sampler, sweeps at each temperature, and the folder of their checkpoints."""

    dataset: Dataset
    name: str
    sampler: str
    sweeps: NDArray[np.int64]
    folder: Path | None
    stopped: Event = field(default_factory=Event)

    def tasks(self) -> list[Task]:
        """The chains of all temperatures, cut into tasks; a rule of the parameters alone."""
        size, samples = chains_per_task(self.sampler, self.dataset.lattice), self.dataset.samples
        return [
            Task(temperature, first, min(size, samples - first))
            for temperature in range(len(self.dataset.temperatures))
            for first in range(0, samples, size)
        ]

    def run_task(self, task: Task, advance: Advance) -> NDArray[np.int8]:
        """Bring the chains of one task from their start, or their last checkpoint, to the last sweep."""
        dataset, lattice = self.dataset, self.dataset.lattice
        temperature, sweeps = dataset.temperatures[task.temperature], int(self.sweeps[task.temperature])
        kept = self.folder / f"chains-{task.temperature}-{task.first_chain}.npz" if self.folder else None
        state = _load(kept, (task.chains, *lattice.shape)) if kept and kept.exists() else None
        first = dataset, self.name, temperature, task.first_chain, task.chains
        done, spins = state or (0, first_configurations(*first))
        advance(done * task.chains)
        key = key_of(dataset, self.name, temperature, self.sampler)
        stride, saved = max(1, SLICE_UPDATES // spins.size), time.monotonic()
        while done < sweeps and not self.stopped.is_set():
            step = min(stride, sweeps - done)
            SAMPLERS[self.sampler](spins, lattice, temperature, dataset.field, key, task.first_chain, done, step)
            done += step
            advance(step * task.chains)
            if kept and (done == sweeps or time.monotonic() - saved > SAVE_SECONDS):
                _save(kept, done, spins)
                saved = time.monotonic()
        if ends_with_symmetry(lattice, dataset.field):
            symmetry = key_of(dataset, self.name, temperature, "symmetry")
            symmetrize(spins, lattice, dataset.field, symmetry, task.first_chain)
        return spins


def _save(path: Path, sweeps: int, spins: NDArray[np.int8]) -> None:
    """Keep the spins of a task, one bit each, after so many sweeps."""
    buffer = io.BytesIO()
    np.savez(buffer, sweeps=np.int64(sweeps), bits=np.packbits(spins > 0))
    with disk_errors(path):
        write_atomic(path, buffer.getvalue())


def _load(path: Path, shape: tuple[int, ...]) -> tuple[int, NDArray[np.int8]] | None:
    """(sweeps done, spins) of a task, or None if the file was cut short by a power failure: the chains begin again."""
    try:
        with np.load(path, allow_pickle=False) as state:
            up = np.unpackbits(state["bits"], count=math.prod(shape)).reshape(shape)
            return int(state["sweeps"]), 2 * up.astype(np.int8) - 1
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _cached(folder: Path | None, name: str, compute: Callable[[], Any]) -> Any:
    """The JSON value called `name` in the folder, computed and kept if it is not there, or was cut short."""
    if folder is None:
        return compute()
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        found = compute()
        with disk_errors(folder):
            write_atomic(path, json.dumps(found))
        return found


def run(dataset: Dataset, name: str, workers: int | None = None, folder: Path | None = None) -> Ensemble:
    """Simulate `dataset`; with a `folder`, keep checkpoints there and resume from those that it has.

    The spins depend on `dataset` and `name` only: not on `workers`, nor on interruptions. KadanoffError if the sweeps
    are too few for equilibrium.
    """
    # before the pilots: what cannot be stored need not be measured
    spins = _buffer(folder, (len(dataset.temperatures), dataset.samples, *dataset.lattice.shape))
    choice = Choice(*_cached(folder, "sampler", lambda: choose(dataset, name)))
    pilots = _pilots(dataset, name, choice.name, workers, folder)
    chains = Chains(dataset, name, choice.name, sweeps_needed(dataset, pilots), folder)
    with progress(f"simulate {name}".rstrip(), float(chains.sweeps.sum()) * dataset.samples) as advance:

        def work(task: Task) -> None:
            end = task.first_chain + task.chains
            spins[task.temperature, task.first_chain : end] = chains.run_task(task, advance)

        _in_threads(work, chains.tasks(), workers, chains.stopped)
    return _ensemble(chains, spins, pilots, choice.reason)


def _buffer(folder: Path | None, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Where finished chains are put: a file if there is a folder, so that memory stays bounded."""
    if folder is None:
        return np.empty(shape, np.int8)
    path = folder / "spins.npy"
    with disk_errors(path):
        path.unlink(missing_ok=True)
        require_room(folder, math.prod(shape), "the spins take")
        spins = np.lib.format.open_memmap(path, "w+", np.int8, shape)
        if hasattr(os, "posix_fallocate"):  # a page that finds no place later would end the process without a message
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return spins


def _in_threads(work: Any, items: Sequence[Any], workers: int | None, stopped: Event) -> list[Any]:
    """Results of `work` over `items`, in order; the first error stops the rest at their next slice."""
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            return [future.result() for future in futures if future.done()]
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def _pilots(dataset: Dataset, name: str, sampler: str, workers: int | None, folder: Path | None) -> dict[int, Pilot]:
    """Pilots by place; the first that needs more sweeps than there may be ends them."""
    places = pilot_places(dataset)
    with progress(f"pilot chains {name}".rstrip(), len(places)) as advance:

        def measure(place: int) -> Pilot:
            asked = dataset, name, sampler, dataset.temperatures[place]
            found = Pilot(*_cached(folder, f"pilot-{asked[-1]!r}", lambda: pilot(*asked)))
            check_pilot(dataset, sampler, asked[-1], found)
            advance()
            return found

        return dict(zip(places, _in_threads(measure, places, workers, Event()), strict=True))


def _ensemble(chains: Chains, spins: NDArray[np.int8], pilots: dict[int, Pilot], reason: str) -> Ensemble:
    dataset, lattice = chains.dataset, chains.dataset.lattice
    spins = spins.reshape(*spins.shape[:2], *lattice.array_shape)
    taus = np.full(len(dataset.temperatures), np.nan)
    taus[list(pilots)] = [found.tau for found in pilots.values()]
    met = [found.resolved and chains.sweeps[place] >= found.sweeps for place, found in pilots.items()]
    provenance = {
        "name": chains.name,
        "parameters": dataset.model_dump(mode="json"),
        "sampler": chains.sampler,
        "sampler_reason": reason,
        "sweeps": chains.sweeps.tolist(),
        "equilibrated": bool(met and all(met)),
        "generator": "Philox4x32-10",
        "versions": {"kadanoff": kadanoff.__version__} | {name: version(name) for name in ("numba", "numpy", "zarr")},
    }
    orders = np.array([magnetization(rows, lattice.dimension) for rows in spins])
    energies = np.array([energy(rows, lattice) for rows in spins]) - dataset.field * orders
    return Ensemble(spins, np.array(dataset.temperatures), energies, orders, taus, provenance)


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
    values["allow_unequilibrated"] = allow_unequilibrated
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
