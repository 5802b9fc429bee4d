"""Many chains, one ensemble: any number of workers, killed and resumed, the same bytes."""

import hashlib
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import kadanoff
from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.checkpoints import cached, load, save
from kadanoff.montecarlo.devices import gpu_advance, require_device, takes_gpu
from kadanoff.montecarlo.equilibration import Choice, Pilot, check_pilot, choose, pilot, pilot_places, sweeps_needed
from kadanoff.montecarlo.samplers import SAMPLERS, chains_per_gpu_task, chains_per_task, first_configurations, key_of
from kadanoff.montecarlo.symmetry import ends_with_symmetry, symmetrize
from kadanoff.runtime.cluster import cluster
from kadanoff.runtime.executor import in_processes, part, share
from kadanoff.runtime.files import disk_errors
from kadanoff.runtime.output import require_room
from kadanoff.runtime.progress import Advance, progress
from kadanoff.spins.observables import energy, magnetization

SLICE_UPDATES, GPU_SLICE_UPDATES = 1 << 28, 1 << 43
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
    gpu: bool = False
    stopped: Event = field(default_factory=Event)

    def tasks(self) -> list[Task]:
        """The chains of all temperatures, cut into tasks; a rule of parameters and device alone."""
        lattice, samples = self.dataset.lattice, self.dataset.samples
        size = chains_per_gpu_task(lattice) if self.gpu else chains_per_task(self.sampler, lattice)
        return [
            Task(temperature, first, min(size, samples - first))
            for temperature in range(len(self.dataset.temperatures))
            for first in range(0, samples, size)
        ]

    def run_task(self, task: Task, advance: Advance) -> NDArray[np.int8]:
        """Bring the chains of one task from their start, or their last checkpoint, to the last sweep."""
        dataset, lattice = self.dataset, self.dataset.lattice
        temperature, sweeps = dataset.temperatures[task.temperature], int(self.sweeps[task.temperature])
        kept = self.folder / f"chains-{'-'.join(map(str, task))}.npz" if self.folder else None
        state = load(kept, (task.chains, *lattice.shape)) if kept and kept.exists() else None
        first = dataset, self.name, temperature, task.first_chain, task.chains
        done, spins = state or (0, first_configurations(*first))
        advance(done * task.chains)
        key = key_of(dataset, self.name, temperature, self.sampler)
        stride = max(1, (GPU_SLICE_UPDATES if self.gpu else SLICE_UPDATES) // spins.size)
        sweep = gpu_advance() if self.gpu and done < sweeps else SAMPLERS[self.sampler]
        saved = time.monotonic()
        while done < sweeps and not self.stopped.is_set():
            step = min(stride, sweeps - done)
            sweep(spins, lattice, temperature, dataset.field, key, task.first_chain, done, step)
            done += step
            advance(step * task.chains)
            if kept and (done == sweeps or self.stopped.is_set() or time.monotonic() - saved > SAVE_SECONDS):
                save(kept, done, spins)
                saved = time.monotonic()
        if ends_with_symmetry(lattice, dataset.field):
            symmetry = key_of(dataset, self.name, temperature, "symmetry")
            symmetrize(spins, lattice, dataset.field, symmetry, task.first_chain)
        return spins


def _elsewhere(chains: Chains) -> dict[Task, str]:
    """Compute the chains by other processes, which leave them as finished checkpoints; checksums of their spins.

    PartEnded if this command computes only some of them.
    """
    assert chains.folder is not None
    own = chains.dataset, chains.name, chains.sampler, chains.sweeps, chains.folder, chains.gpu
    tasks, kept = chains.tasks(), chains.folder / "tasks"
    workers = 1 if chains.gpu else None  # of a part: they would share one GPU
    found = in_processes(f"simulate {chains.name}", partial(_finish, *own), [(task,) for task in tasks], kept, workers)
    return dict(zip(tasks, found, strict=True))


def _finish(
    dataset: Dataset, name: str, sampler: str, sweeps: NDArray[np.int64], folder: Path, gpu: bool, task: Task
) -> str:
    """Bring one task to its end, and return a checksum of its spins."""
    if gpu:
        require_device(dataset.device)
    return checksum(Chains(dataset, name, sampler, sweeps, folder, gpu).run_task(task, lambda amount=1.0: None))


def checksum(spins: NDArray[np.int8]) -> str:
    """Hash of some spins."""
    return hashlib.blake2b(spins.tobytes(), digest_size=8).hexdigest()


def run(dataset: Dataset, name: str, workers: int | None = None, folder: Path | None = None) -> Ensemble:
    """Simulate `dataset`; with a `folder`, keep checkpoints there and resume from those that it has.

    The spins depend on `dataset` and `name` only: not on the device, nor on `workers`, nor on interruptions.
    KadanoffError if the sweeps are too few for equilibrium, or the device is not there.
    """
    # before the pilots: what cannot be simulated or stored need not be measured
    elsewhere = folder is not None and bool(cluster() or part())
    if not elsewhere:
        require_device(dataset.device)
    spins = _buffer(folder, (len(dataset.temperatures), dataset.samples, *dataset.lattice.shape))
    choice = Choice(*cached(folder, "sampler", lambda: choose(dataset, name)))
    pilots = _pilots(dataset, name, choice.name, workers, folder)
    sweeps = sweeps_needed(dataset, pilots)
    # of other machines only those that were asked for are known
    gpu = dataset.device == "cuda" if elsewhere else takes_gpu(dataset, choice.name, int(sweeps.sum()))
    chains = Chains(dataset, name, choice.name, sweeps, folder, gpu)
    checksums = _elsewhere(chains) if elsewhere else {}  # what follows then only reads checkpoints
    with progress(f"simulate {name}".rstrip(), float(chains.sweeps.sum()) * dataset.samples) as advance:

        def work(task: Task) -> None:
            end = task.first_chain + task.chains
            found = chains.run_task(task, advance)
            if checksums and checksum(found) != checksums[task]:
                raise KadanoffError(
                    f"chains {task.first_chain} to {end - 1} of {name}, temperature number {task.temperature}, are not "
                    f"those that their worker computed; remove {folder}, then repeat the command."
                )
            spins[task.temperature, task.first_chain : end] = found

        _in_threads(work, chains.tasks(), 1 if gpu else workers, chains.stopped)
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
    own = share(places)  # each part begins with its own, and then finds those of others
    places = sorted(places, key=lambda place: place not in own)
    with progress(f"pilot chains {name}".rstrip(), len(places)) as advance:

        def measure(place: int) -> Pilot:
            asked = dataset, name, sampler, dataset.temperatures[place]
            found = Pilot(*cached(folder, f"pilot-{asked[-1]!r}", lambda: pilot(*asked)))
            check_pilot(dataset, sampler, asked[-1], found)
            advance()
            return found

        return dict(sorted(zip(places, _in_threads(measure, places, workers, Event()), strict=True)))


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
