"""Lattices for pre-training: what an epoch holds, what is hidden, and what the exact conditional gives for it."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import cumulative_trapezoid
from scipy.stats import kstest

from kadanoff.data.description import Dataset
from kadanoff.montecarlo.samplers import first_configurations, key_of
from kadanoff.phases import stream as module
from kadanoff.phases.models import System
from kadanoff.phases.stream import (
    BLOCK,
    COLDEST,
    DISTINCT,
    HOTTEST,
    LEAST,
    OUTPUTS,
    SAMPLED,
    Sample,
    Stream,
    exact_log_odds,
    log_odds,
    quarters,
    surprise,
    surprises,
    weights,
)
from kadanoff.runtime import files
from kadanoff.spins.exact import onsager
from kadanoff.spins.statistics import independent_mean

SYSTEMS = {
    "periodic": System(),
    "antiferromagnet": System(coupling=-1),
    "skewed": System(boundary="skewed"),
    "antiperiodic": System(boundary="antiperiodic"),
}
SIZES = (4, 6, 8)


def stream(seed=3, sizes=SIZES, lattices=10, held=6, systems=SYSTEMS):
    return Stream(systems, sizes, lattices, held, seed)


def alike(first, second):
    return (
        torch.equal(first.seen, second.seen)
        and torch.equal(first.hidden, second.hidden)
        and np.array_equal(first.couplings, second.couplings)
    )


def recorded(monkeypatch, given, epoch):
    """The whole lattices of an epoch, and the epoch."""
    found = []

    def noted(spins):
        found.append(spins.copy())
        return quarters(spins)

    monkeypatch.setattr(module, "quarters", noted)
    sample = given.sample(epoch)
    monkeypatch.undo()
    return found[0], sample


def parts(lattice):
    """Its quarters, by rows."""
    height, width = (side // 2 for side in lattice.shape)
    return [lattice[y : y + height, x : x + width] for y in (0, height) for x in (0, width)]


def others(lattice, number):
    """(sum of the neighbours, spin) of every site of the other quarters that is off their edges."""
    for place, part in enumerate(parts(lattice.astype(int))):
        if place != number:
            for y in range(1, part.shape[0] - 1):
                for x in range(1, part.shape[1] - 1):
                    yield part[y - 1, x] + part[y + 1, x] + part[y, x - 1] + part[y, x + 1], part[y, x]


# --- epochs ----------------------------------------------------------------------------------------------


def test_an_epoch_is_a_function_of_the_seed_and_its_number():
    first, again, other = stream(), stream(), stream(seed=4)
    again.sample(2)  # what was asked before makes no difference
    for epoch in range(4):
        assert alike(first.sample(epoch), again.sample(epoch))
        assert not alike(first.sample(epoch), other.sample(epoch))
    # epochs 1 and 4 have one size
    assert first.sample(1).seen.shape == first.sample(4).seen.shape
    assert not alike(first.sample(1), first.sample(4))


def test_an_epoch_that_was_simulated_ahead_or_out_of_turn_is_the_same():
    given, direct = stream(), stream()
    for epoch in (2, 3, 5, 5, 1):
        seen, hidden = given(epoch)
        expected = direct.sample(epoch)
        assert torch.equal(seen, expected.seen)
        assert torch.equal(hidden, expected.hidden * weights(expected.seen)[:, None, None])


def test_sizes_take_turns_and_keep_the_number_of_spins():
    given = stream(sizes=(4, 8, 6, 4))
    for epoch, size in enumerate([4, 8, 6, 4, 4, 8], 1):
        sample = given.sample(epoch)
        count = 10 * 64 // size**2
        assert sample.seen.shape == (count, 1, size, size)
        assert sample.hidden.shape == (count, 5, 2)
        assert sample.couplings.shape == (count,)
        assert (sample.seen.dtype, sample.hidden.dtype) == (torch.int8, torch.float32)
    assert given.sample(0).seen.shape == (6, 1, 8, 8)  # validation, at the largest size


def test_an_epoch_mixes_systems_and_temperatures():
    sample = stream(lattices=3200, sizes=(4,)).sample(1)
    temperatures = 1 / np.abs(sample.couplings)
    assert COLDEST <= temperatures.min() * (1 + 1e-12) < 0.5
    assert 3.6 < temperatures.max() <= HOTTEST * (1 + 1e-12)
    blocks = sample.couplings.reshape(-1, BLOCK)
    shared = np.array([len(np.unique(block)) for block in blocks])
    # half of the systems have a wall; their blocks share one temperature, the others have eight: 50 +- 5 of each
    assert set(shared) == {BLOCK // (4 * share) for share, _ in SAMPLED.values()} == {1, 8}
    assert 30 < np.sum(shared == 1) < 70
    # a quarter is antiferromagnetic: 25 +- 4.3 of 100 blocks
    assert 8 < np.sum(sample.couplings < 0) / BLOCK < 42


# --- what is hidden --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "epoch"), [(5, 0), (8, 1)])
def test_a_quarter_is_seen(size, epoch, monkeypatch):
    spins, sample = recorded(monkeypatch, stream(sizes=(size,), lattices=62, held=62), epoch)
    assert spins.shape[1:] == (2 * size, 2 * size)
    expected = np.array([part for lattice in spins for part in parts(lattice)])
    assert np.array_equal(sample.seen[:, 0].numpy(), expected[: len(sample.seen)])
    assert len(expected) - len(sample.seen) == 2  # whole blocks are simulated


@pytest.mark.parametrize("size", [4, 7])
def test_what_is_hidden_are_the_shares_of_the_other_quarters_counted_one_by_one(size, monkeypatch):
    spins, sample = recorded(monkeypatch, stream(sizes=(size,), lattices=40), 1)
    for number, hidden in enumerate(sample.hidden.numpy()):
        counts = np.zeros((5, 2))
        for total, spin in others(spins[number // 4], number % 4):
            counts[[-4, -2, 0, 2, 4].index(total), int(spin > 0)] += 1
        assert counts.sum() == 3 * (size - 2) ** 2
        assert hidden == pytest.approx(counts / counts.sum(), abs=1e-6)
    assert sample.hidden.sum((1, 2)).numpy() == pytest.approx(1, abs=1e-6)
    # negative control: those of other lattices
    assert not np.allclose(sample.hidden.flip(0).numpy(), sample.hidden.numpy())


# --- temperatures ------------------------------------------------------------------------------------------


def test_temperatures_are_evenly_mixed_of_both_kinds():
    """Half of the temperatures even in their logarithm, and half in the integral of sqrt(c) / T."""
    found = Stream(SYSTEMS, (8,), 100, 10, 0)._groups(1, 4000)
    temperatures = np.array([temperature for system, temperature in found if system.start != "ground"])
    grid = np.linspace(COLDEST, HOTTEST, 20_001)
    density = np.sqrt([onsager(float(temperature)).specific_heat for temperature in grid[::10]]) / grid[::10]
    lengths = cumulative_trapezoid(density, grid[::10], initial=0)
    logarithms = np.log(grid[::10] / COLDEST) / np.log(HOTTEST / COLDEST)

    def p_value(share):
        shares = share * lengths / lengths[-1] + (1 - share) * logarithms
        return kstest(temperatures, lambda values: np.interp(values, grid[::10], shares)).pvalue

    assert len(temperatures) > 10_000
    assert p_value(DISTINCT) > 1e-3
    # negative controls: of one kind alone
    assert p_value(0.0) < 1e-9
    assert p_value(1.0) < 1e-9


# --- weights ---------------------------------------------------------------------------------------------


def test_weights_are_those_of_the_formula():
    sample = stream(sizes=(6,), lattices=40).sample(1)
    expected = []
    for seen in sample.seen[:, 0].numpy().astype(int):
        bonds = [
            seen[y, x] * seen[y + dy, x + dx]
            for dy, dx in ((0, 1), (1, 0))
            for y in range(6 - dy)
            for x in range(6 - dx)
        ]
        unlike, alike = bonds.count(-1), bonds.count(1)
        expected.append((min(unlike, alike) / (unlike + alike) + LEAST) ** -0.25)
    found = weights(sample.seen)
    assert found.numpy() == pytest.approx(np.array(expected) / np.mean(expected), rel=1e-5)


# --- the loss --------------------------------------------------------------------------------------------


def test_the_loss_is_the_mean_of_minus_log_p(monkeypatch):
    spins, sample = recorded(monkeypatch, stream(sizes=(6,), lattices=8), 1)
    outputs = torch.randn(8, OUTPUTS, generator=torch.Generator().manual_seed(1))
    expected = []
    for number, coupling in enumerate(outputs[:, 0].tolist()):
        losses = []
        for total, spin in others(spins[number // 4], number % 4):
            up = 1 / (1 + math.exp(-2 * coupling * total))
            losses.append(-math.log(up if spin > 0 else 1 - up))
        expected.append(np.mean(losses))
    assert surprises(log_odds(outputs), sample.hidden).numpy() == pytest.approx(expected, rel=1e-4)
    assert surprise(outputs, sample.hidden).item() == pytest.approx(np.mean(expected), rel=1e-4)
    # negative control: of the opposite outputs
    assert surprises(log_odds(-outputs), sample.hidden).numpy() != pytest.approx(expected, rel=0.1)


def test_losses_of_nothing_known_and_of_the_coldest_lattices():
    sample = stream(lattices=80).sample(1)
    assert surprise(torch.zeros(80 * 4, OUTPUTS), sample.hidden).item() == pytest.approx(math.log(2), rel=1e-6)
    found = surprises(exact_log_odds(sample), sample.hidden)
    assert torch.isfinite(found).all()
    assert found.min() >= 0


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("skewed", "antiperiodic")]


@pytest.mark.parametrize("system", ["periodic", "antiferromagnet", *SLOW])
def test_true_temperatures_foretell_best(system):
    """400 lattices, a quarter of each: the loss of temperatures 15% off is larger by some seven standard errors."""
    every = stream(sizes=(16,), held=1600, systems={system: SYSTEMS[system]}).sample(0)
    # what the quarters of a lattice do not see is nearly the same
    sample = Sample(*(getattr(every, name)[::4] for name in ("seen", "hidden", "couplings")))
    exact = exact_log_odds(sample)
    rows = np.array([[2 * K * h for h in (-4, -2, 0, 2, 4)] for K in sample.couplings])
    assert exact.numpy() == pytest.approx(rows, rel=1e-6)
    own = surprises(exact, sample.hidden).double()
    # what is lost where every spin is drawn with the exact probability
    up = torch.sigmoid(exact.double())
    entropy = (sample.hidden.double().sum(-1) * torch.distributions.Bernoulli(up).entropy()).sum(1)
    excess = independent_mean((own - entropy).numpy())
    assert abs(excess.mean) < 4 * excess.error < 0.01
    for factor in (1 / 1.15, 1.15):  # negative controls
        surplus = independent_mean((surprises(exact * factor, sample.hidden).double() - own).numpy())
        assert surplus.mean > 4 * surplus.error
    assert surprises(-exact, sample.hidden).mean() > own.mean() + 1


# --- chains of their own ---------------------------------------------------------------------------------


def test_no_chain_is_that_of_a_dataset(monkeypatch):
    """The same parameters, temperatures and seed: only the name is another, and no dataset can have it."""
    keys, starts = [], []

    def noted(dataset, name, temperature, purpose):
        keys.append((dataset, name, temperature, purpose))
        return key_of(dataset, name, temperature, purpose)

    def started(*arguments):
        starts.append(first_configurations(*arguments))
        return starts[-1].copy()

    monkeypatch.setattr(module, "key_of", noted)
    monkeypatch.setattr(module, "first_configurations", started)
    given = stream(systems={"periodic": System()})
    for epoch in range(3):
        given.sample(epoch)
    names = [name for _, name, _, _ in keys]
    assert len(names) == len(set(names)) > 3 * 7
    assert not any(files.NAME.fullmatch(name) for name in names)
    own = {int(key_of(*key)) for key in keys}
    assert len(own) == len(keys)
    assert own.isdisjoint(int(key_of(dataset, "classify_periodic_equilibrium", T, p)) for dataset, _, T, p in keys)
    # negative control: the key does follow from these parameters
    dataset, name, temperature, purpose = keys[0]
    assert int(key_of(Dataset(**dataset.model_dump()), name, temperature, purpose)) in own
    # random bits: no lattice of 16 x 16 begins twice
    lattices = [lattice.tobytes() for lattice in np.concatenate([part for part in starts if part.shape[-1] == 16])]
    assert len(set(lattices)) == len(lattices) >= 8


def test_chains_run_long_enough_to_leave_their_start():
    """Below T_c a hot start orders: 32 cluster sweeps leave the energy of equilibrium."""
    sample = stream(sizes=(16,), lattices=100, systems={"periodic": System()}).sample(1)
    cold = sample.couplings > 1.0
    assert cold.sum() > 10
    assert sample.seen[cold].float().mean((1, 2, 3)).abs().min() > 0.95


@pytest.mark.parametrize("boundary", ["periodic", "skewed", "antiperiodic"])
@pytest.mark.parametrize("coupling", [1, -1])
def test_chains_start_with_a_wall_where_one_is_forced(boundary, coupling):
    system = System(boundary=boundary, coupling=coupling)
    assert system.start == ("ground" if coupling == 1 and boundary != "periodic" else "hot")
    given = {"boundary": boundary, "coupling": float(coupling), "start": system.start}  # which a dataset takes
    assert system.lattice(8) == Dataset(size=8, temperatures=[1.0], samples=1, **given).lattice


def test_walls_that_are_forced_are_moved_by_single_spins_too(monkeypatch):
    """Clusters alone would leave them flat, and their lattices colder than they are."""
    used, samplers = [], dict(module.SAMPLERS)
    for name, sampler in samplers.items():
        monkeypatch.setitem(module.SAMPLERS, name, lambda *given, n=name, s=sampler: (used.append(n), s(*given)))
    for system in SYSTEMS.values():
        stream(systems={"one": system}, lattices=4, sizes=(4,)).sample(1)
    assert used == ["swendsen_wang"] * 16 + ["hybrid"] * 2
