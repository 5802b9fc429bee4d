"""Wrong calls end soon, in a sentence: of every public function, and of every command. One line adds a case."""

import shutil
import signal
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from kadanoff import Ensemble, KadanoffError, load_model, open_dataset, simulate, superresolve
from kadanoff.cli import main
from kadanoff.inverse.calibration import calibrate
from kadanoff.inverse.critical import place_of
from kadanoff.inverse.growth import sides_to
from kadanoff.inverse.streaming import stream
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.learning.randomness import seeded
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.registry import build
from kadanoff.spins import blocking, exact, observables, rescaling, scaling, statistics, surroundings
from kadanoff.spins.boundary import Lattice

SECONDS = 10  # a call that takes as long hangs
LONGEST = 1500  # characters of a message
NAN, INF, HUGE, LONG = float("nan"), float("inf"), 10**13, "n" * 300
UP = np.ones((1, 8, 8), np.int8)
SIMULATED = ["--size", "4", "--temperatures", "2.0", "--samples", "2"]
ROWS = np.ones((2, 3))
PIXELS = {"rule": "majority", "block": 2, "dimension": 2, "temperatures": [exact.T_C], "width": 4, "layers": 2}


@contextmanager
def soon():
    def stop(*_):
        raise TimeoutError(f"neither done nor refused within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def write_dataset(path, spins, temperatures):
    count = spins.shape[:2]
    ensemble = Ensemble(spins, np.array(temperatures, float), np.zeros(count), np.zeros(count), np.ones(count[0]))
    ensemble.save(path)
    return ensemble


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with a dataset and networks of each kind, and what was opened of it."""
    root = tmp_path_factory.mktemp("project")
    with seeded(0):
        fine, coarse = build("pixels", **PIXELS).eval(), build("exact", block=2, size=8).eval()
    save_model(root / "fine.safetensors", fine, Recipe("pixels", PIXELS))
    save_model(root / "coarse.safetensors", coarse, Recipe("exact", {"block": 2, "size": 8}))
    sampled()  # compiles
    ensemble = write_dataset(root / "in.zarr", np.ones((1, 2, 8, 8), np.int8), [exact.T_C])
    write_dataset(root / "chains.zarr", np.ones((1, 2, 8), np.int8), [exact.T_C])
    write_dataset(root / "odd.zarr", np.ones((1, 2, 9, 9), np.int8), [exact.T_C])
    write_dataset(root / "hot.zarr", np.ones((2, 2, 8, 8), np.int8), [3.0, 4.0])
    (root / "text").write_text("no dataset, no network")
    (root / "empty.zarr").mkdir()
    good = {"size": 4, "temperatures": [2.0], "samples": 4, "sweeps": 100}
    changes = {
        "samples": {"samples": HUGE}, "dimension": {"dimension": True}, "field": {"field": 1e300},
        "seed": {"seed": 1.0}, "twice": {"temperatures": [2.0] * 1000}, "side": {"size": 0}, "few": {"sweeps": 1},
        "ragged": {"temperatures": [[1.0], [2.0, 3.0]]}, LONG: {},
    }  # fmt: skip
    datasets = {name: good | change for name, change in changes.items()} | {"text": "text", "list": [1], "none": None}
    studies = {name: {"x": values} for name, values in datasets.items()}
    (root / "params.yaml").write_text(yaml.safe_dump({"datasets": studies, "coarsen": {"variants": {}}}))
    (root / "dvc.yaml").write_text("stages: {}")
    return SimpleNamespace(root=root, fine=fine, coarse=coarse, ensemble=ensemble)


@pytest.fixture(autouse=True)
def here(made, monkeypatch):
    monkeypatch.chdir(made.root)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    yield
    shutil.rmtree("x.zarr", ignore_errors=True)


def sampled(**changes):
    return simulate(**({"size": 4, "temperatures": [2.0], "samples": 2, "sweeps": 100} | changes))


CALLS = {
    # simulate
    **{
        f"simulate {name}={value!r:.40}": lambda _, name=name, value=value: sampled(**{name: value})
        for name, value in [
            ("size", 0), ("size", 4.0), ("size", "4"), ("size", True), ("size", (4, 4, 4)), ("size", HUGE),
            ("size", [[4], [4, 4]]), ("temperatures", []), ("temperatures", 0.0), ("temperatures", NAN),
            ("temperatures", "2.0"), ("temperatures", [[1.0], [2.0, 3.0]]), ("temperatures", [2.0, 2.0]),
            ("temperatures", {2.0: 1}), ("temperatures", np.ones((2, 2))), ("temperatures", ["a" * 5000] * 99),
            ("samples", 0), ("samples", HUGE), ("samples", 2.0), ("samples", 1 << 31), ("boundary", "twisted"),
            ("boundary", []), ("coupling", 0), ("coupling", 0.5), ("coupling", "1"), ("dimension", 3),
            ("dimension", True), ("sampler", "heat_bath"), ("sweeps", 0), ("sweeps", 1), ("sweeps", 1.5),
            ("sweeps", HUGE), ("seed", -1), ("seed", 1.0), ("seed", 2**64), ("seed", np.float64(1)), ("workers", 0),
            ("workers", NAN), ("workers", "2"), ("workers", HUGE), ("field", 1e300), ("field", NAN), ("start", "warm"),
            ("allow_unequilibrated", 1),
        ]
    },
    # datasets
    "open a dataset that is not there": lambda _: open_dataset("nothing.zarr"),
    "open a text": lambda _: open_dataset("text"),
    "open an empty folder": lambda _: open_dataset("empty.zarr"),
    "open a long name": lambda _: open_dataset(LONG),
    "save to a long name": lambda made: made.ensemble.save(LONG),
    "save over a text": lambda made: made.ensemble.save("text"),
    # networks
    "load a text": lambda _: load_model("text"),
    "load a folder": lambda _: load_model("empty.zarr"),
    "load a long name": lambda _: load_model(LONG),
    # super-resolution
    **{
        f"superresolve {name}={value!r:.40}": lambda made, name=name, value=value: superresolve(
            **({"model": made.fine, "spins": UP, "temperature": exact.T_C, "seed": 0} | {name: value})
        )
        for name, value in [
            ("seed", -1), ("seed", 1.0), ("seed", True), ("seed", "1"), ("seed", None), ("seed", 2**64), ("first", -1),
            ("first", 2**32), ("first", np.int64(2**32)), ("first", 1.0), ("first", True), ("temperature", NAN),
            ("temperature", 3.0), ("temperature", "2"), ("temperature", None), ("temperature", [exact.T_C] * 2),
            ("spins", np.zeros((1, 8, 8))), ("spins", UP[0]), ("spins", np.ones((0, 8, 8))), ("spins", None),
            ("spins", np.ones((1, 0, 8))), ("spins", np.ones((1, 7, 7))), ("spins", "up"), ("spins", [[1], [1, 1]]),
            ("spins", np.full((1, 8, 8), NAN)), ("rule", "decimation"), ("rule", 3), ("model", None),
            ("model", "fine.safetensors"),
        ]
    },
    "superresolve by a network that coarsens": lambda made: superresolve(made.coarse, UP, exact.T_C, seed=0),
    "calibrate by another network": lambda made: calibrate(made.coarse, UP, exact.T_C, 0),
    "calibrate pixels": lambda made: calibrate(made.fine.at(exact.T_C), UP, exact.T_C, 0),
    **{f"stream seed {value!r}": lambda _, value=value: stream_key(value) for value in (1.0, True, "1", None, -1)},
    # growth
    "sides from 0": lambda _: sides_to(0, 24, 3, "size"),
    "sides of blocks of 1": lambda _: sides_to(8, 24, 1, "size"),
    "sides to nan": lambda _: sides_to(8, NAN, 3, "size"),
    "place of another sample": lambda made: place_of(Path("x"), made.ensemble, 2),
    "place in no critical lattices": lambda _: place_of(Path("x"), open_dataset("hot.zarr"), 0),
    "stream a small lattice": lambda _: stream(lambda first, end: UP[0, first:end], 8, 2),
    # lattices
    **{
        f"Lattice {values!r}": lambda _, values=values: Lattice(*values)
        for values in [
            (0, 4), (4, -1), (4.0, 4), ("4", 4), (True, 4), (None, 4), (4, 4, "twisted"), (4, 4, []), (4, 4, "free", 0),
            (4, 4, "free", True), (4, 4, "free", "1"), (4, 4, "free", NAN), (4, 4, "free", 1, 3),
            (4, 4, "free", 1, True), (4, 4, "free", 1, 1), (1, 4, "skewed", 1, 1), (NAN, 4),
        ]
    },
    **{
        f"Lattice.of {size!r}": lambda _, size=size: Lattice.of(size)
        for size in (0, 4.0, "4", None, True, (4,), (4, 4, 4), [4, "4"], NAN, {})
    },
    # observables
    "energy of another shape": lambda _: observables.energy(UP, Lattice(4, 4)),
    "energy of ragged lists": lambda _: observables.energy([[1], [1, 1]], Lattice(2, 2)),
    "magnetization in 3 dimensions": lambda _: observables.magnetization(UP, 3),
    "magnetization of no spins": lambda _: observables.magnetization(np.ones((1, 0, 0))),
    "two-point without axes": lambda _: observables.two_point(UP, ()),
    **{
        f"block sums of {block!r}": lambda _, block=block: observables.block_sums(UP, block)
        for block in (0, -2, 3, 2.0, "2", None, True, NAN, 10**30)
    },
    **{f"{name} by 3": lambda _, rule=rule: rule(UP, 3) for name, rule in blocking.RULES.items()},
    "binder of one": lambda _: observables.binder([1.0]),
    "specific heat at 0": lambda _: observables.specific_heat([1.0, 2.0, 3.0], 16, 0.0),
    "specific heat of 0 sites": lambda _: observables.specific_heat([1.0, 2.0, 3.0], 0, 1.0),
    "susceptibility at -1": lambda _: observables.susceptibility([1.0, 2.0, 3.0], 16, -1.0),
    # statistics
    "tau of ragged lists": lambda _: statistics.autocorrelation_time([[1.0], [1.0, 2.0]]),
    "independent mean of nothing": lambda _: statistics.independent_mean(np.array([])),
    "jackknife of one": lambda _: statistics.jackknife(np.mean, [1.0]),
    "jackknife in nan blocks": lambda _: statistics.jackknife(np.mean, [1.0, 2.0], NAN),
    # surroundings, rescaling, scaling
    "block shape 4": lambda _: surroundings.block_shape(4, 2),
    "block shape 2.0": lambda _: surroundings.block_shape(2.0, 2),
    "block shape in 3 dimensions": lambda _: surroundings.block_shape(2, 3),
    "coarse spins of the average": lambda _: surroundings.coarse_spins("average", 2, 2),
    "decimated 0": lambda _: rescaling.decimated_temperature(0.0),
    "decimated by 2.0": lambda _: rescaling.decimated_temperature(1.0, 2.0),
    "restored inf": lambda _: rescaling.restored_temperature(INF),
    "collapse of other shapes": lambda _: rescaling.collapse([1.0, 2.0], (ROWS, ROWS), (ROWS, ROWS)),
    "collapse of constants": lambda _: rescaling.collapse([1.0, 2.0, 3.0], (ROWS, ROWS), (ROWS, ROWS)),
    "exponents of one size": lambda _: scaling.exponents([8], ROWS, ROWS, ROWS),
    "exponents of other shapes": lambda _: scaling.exponents([8, 16], ROWS, ROWS[:, :2], ROWS),
    "slopes of nothing": lambda _: scaling.local_slopes([], []),
    "combine nothing": lambda _: scaling.combine([]),
    # exact
    **{
        f"{name} {values!r:.50}": lambda _, name=name, values=values: getattr(exact, name)(*values)
        for name, values in [
            ("onsager", (0.0,)), ("onsager", (NAN,)), ("onsager", ("2",)), ("onsager", (None,)), ("onsager", (INF,)),
            ("onsager", (1e-9,)), ("onsager", (True,)), ("spontaneous_magnetization", (0.0,)),
            ("spontaneous_magnetization", ("2",)),
            ("spontaneous_magnetization", ([1.0, NAN],)), ("chain", (1, 1.0)), ("chain", (8.0, 1.0)),
            ("chain", (8, 0.0)), ("chain", (8, 1e-9)), ("chain", (8, 1.0, "skewed")), ("chain", (8, "1")),
            ("chain_correlation", (8, 8, 1.0)), ("chain_correlation", (1.5, 8, 1.0)),
            ("chain_correlation", ("1", 8, 1.0)), ("chain_correlation", (np.full(10**5, -1), 8, 1.0)),
            ("kaufman", (0, 4, 1.0)), ("kaufman", (4, 4, 0.0)), ("kaufman", (4, 4, NAN)), ("kaufman", (4, 4, "1")),
            ("kaufman", (4, 4, 1e-9)), ("kaufman", (4, 4, 1.0, "free")), ("kaufman", (4, 4, 1.0, [])),
            ("kaufman", (4.5, 4, 1.0)), ("kaufman", (4, 4, 1.0, "periodic", 2)), ("kaufman", (HUGE, 4, 1.0)),
            ("torus_density_of_states", (200, 200)), ("torus_density_of_states", (4.0, 4)),
            ("torus_density_of_states", (0, 4)), ("skewed_density_of_states", (200, 200)),
            ("skewed_density_of_states", ("4", 4)), 
            ("exact_energy_distribution", (Lattice(4, 4), 0.0)), ("exact_energy_distribution", (Lattice(4, 4), "1")),
            ("exact_energy_distribution", (Lattice(20, 20, "free"), 1.0)),
            ("transfer_energy_distribution", (Lattice(4, 4), 0.0)),
            ("transfer_energy_distribution", (Lattice(40, 40, "free"), 1.0)),
            ("enumerate_states", (Lattice(8, 8),)), ("critical_energy", (0,)), ("critical_energy", ("8",)),
            ("critical_square", (0,)), ("critical_square", (NAN,)), ("critical_diagonal", (0,)),
            ("critical_row", (0, 8)), ("critical_row", (9, 8)), ("critical_row", (1.5, 8)), ("critical_row", ("1", 8)),
            ("critical_correlation", (0, 0, 8)), ("critical_correlation", (1, 0, 0)),
            ("critical_correlation", (NAN, 0, 8)),
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_call_is_refused_in_a_sentence(made, call):
    with soon(), pytest.raises(KadanoffError) as caught:
        call(made)
    message = str(caught.value)
    assert 20 < len(message) < LONGEST
    assert not Path("x.zarr").exists()


COMMANDS = [
    *(["run", f"simulate@{name}"] for name in ("nothing", "samples", "twice", "ragged", "few", "text", "none")),
    *(["run", f"simulate@{name}"] for name in (LONG, "../x", "größe", "a" * 5000, "")),
    ["run", LONG], ["run", "@"], ["run", "grow@x"], ["run", "coarsen@nothing"], ["run", "coarsen"], ["run", "grow"],
    ["run", "superres@blocks"], ["run", "classify@vit"], ["run", "coarsen_compare"], ["run", "exponents"],
    ["simulate"], ["simulate", "x.zarr", "--size", "4"], ["simulate", LONG, *SIMULATED],
    ["simulate", "text", *SIMULATED], ["simulate", "x.zarr", *SIMULATED, "--workers", "nan"],
    ["simulate", "x.zarr", *SIMULATED, "--seed", "-1"], ["simulate", "x.zarr", *SIMULATED, "--temperatures", "nan"],
    ["apply", "text", "in.zarr", "x.zarr"], ["apply", LONG, "in.zarr", "x.zarr"],
    ["apply", "fine.safetensors", "chains.zarr", "x.zarr"], ["apply", "fine.safetensors", LONG, "x.zarr"],
    ["apply", "fine.safetensors", "in.zarr", LONG], ["apply", "fine.safetensors", "in.zarr", "in.zarr"],
    ["apply", "fine.safetensors", "in.zarr", "x.zarr", "--seed", "-1"],
    ["apply", "fine.safetensors", "in.zarr", "x.zarr", "--seed", str(2**64)],
    ["apply", "fine.safetensors", "in.zarr", "x.zarr", "--batch", "0"],
    ["apply", "fine.safetensors", "in.zarr", "x.zarr", "--temperature", "nan"],
    ["apply", "coarse.safetensors", "chains.zarr", "x.zarr"], ["apply", "coarse.safetensors", "odd.zarr", "x.zarr"],
    ["apply", "fine.safetensors", "odd.zarr", "x.zarr"], ["apply", "fine.safetensors", "in.zarr", "text/x.zarr"],
    ["grow", "x.zarr", "--model", "none"], ["grow", "x.zarr", "--model", "coarse.safetensors", "--start", "in.zarr"],
    ["grow", LONG, "--model", "fine.safetensors", "--start", "in.zarr"], ["grow", "x.zarr", "--size", "0"],
    ["grow", "x.zarr", "--size", "nan"], ["grow", "x.zarr", "--sample", "-1"], ["grow", "x.zarr", "--sweeps", "-1"],
    ["grow", "x.zarr", "--model", "text", "--start", "in.zarr"], ["grow"], ["pyramid", "chains.zarr", "x.zarr"],
    ["pyramid", "in.zarr", "x.zarr"], ["pyramid", LONG, "x.zarr"], ["pyramid", "in.zarr", LONG],
    ["pyramid", "in.zarr", "x.zarr", "text"], ["measure", "in.zarr"], ["measure", LONG], ["measure", "text"],
    ["measure", "in.zarr", "--sample", "9"], ["measure", "in.zarr", "--out", LONG],
    ["measure", "in.zarr", "--out", "text"],
    ["report"], ["ui", "--port", "0"], ["nothing"], ["runs", "nothing"],
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_a_wrong_command_ends_in_a_sentence(words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["kadanoff", *words])
    with soon(), pytest.raises(SystemExit) as caught:
        main()
    message = capsys.readouterr().err
    assert caught.value.code not in (0, None)
    assert "Traceback" not in message
    assert 10 < len(message) < LONGEST + 6 * len(" ".join(words))
    assert not Path("x.zarr").exists()


def test_the_table_would_notice_a_call_that_is_right(made):
    with pytest.raises(pytest.fail.Exception):
        test_a_wrong_call_is_refused_in_a_sentence(made, lambda _: Lattice(4, 4))
    with pytest.raises(TimeoutError), soon():
        signal.raise_signal(signal.SIGALRM)
