"""What pilots watch, where they are, and what follows from them."""

import re

import numpy as np
import pytest

import kadanoff
from kadanoff.data.description import Dataset
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.montecarlo import equilibration
from kadanoff.montecarlo.equilibration import MOST_PILOTS, Pilot, choose, pilot, pilot_places, sweeps_needed
from kadanoff.montecarlo.quality import compared_places, squared_order
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C

NEEL = (1 - 2 * (np.indices((4, 4)).sum(0) % 2)).astype(np.int8)


def dataset(**changes):
    return Dataset(**{"size": 8, "temperatures": [2.0], "samples": 4, **changes})


def test_pilots_watch_energy_and_both_order_parameters_with_signs_where_a_field_acts():
    up = np.ones((4, 4), np.int8)
    found = equilibration._observables(np.stack([-up, NEEL, -NEEL]), Lattice(4, 4), signed=True)
    assert found.T.tolist() == [[-2, 1, 0, -1, 0], [2, 0, 1, 0, 1], [2, 0, 1, 0, -1]]
    assert len(equilibration._observables(up[None], Lattice(4, 4), signed=False)) == 3


def test_what_was_slow_before_the_start_was_forgotten_counts_for_the_burn_in(monkeypatch):
    taus = iter([*[100.0] * 3, *[2.0] * 3])
    monkeypatch.setattr(equilibration, "autocorrelation_time", lambda _: Estimate(next(taus), 0.1))
    assert pilot(dataset(), "x", "swendsen_wang", 2.0) == Pilot(2.0, 2000, True)


def test_pilots_in_a_field_start_from_random_spins_and_from_both_ordered_states(monkeypatch):
    starts, real = [], equilibration.SAMPLERS["metropolis"]

    def advance(spins, *rest):
        starts.append(spins.mean((1, 2)))
        real(spins, *rest)

    monkeypatch.setitem(equilibration.SAMPLERS, "metropolis", advance)
    pilot(dataset(field=0.5), "x", "metropolis", 3.0)
    assert (starts[0][1::4] == 1).all()
    assert (starts[0][3::4] == -1).all()
    assert (abs(starts[0][::2]) < 0.7).all()  # of 64 spins: more than 5 standard deviations


@pytest.mark.parametrize("order", [1, -1])
def test_the_coldest_of_many_temperatures_in_any_order_has_a_pilot(order):
    random = np.random.default_rng(1)
    temperatures = random.permutation(np.round(np.linspace(1.9, 3.9, 200), 4))[::order].tolist()
    temperatures.insert(77, 1.0)
    places = pilot_places(dataset(temperatures=temperatures))
    piloted = [temperatures[place] for place in places]
    assert piloted == sorted(piloted)
    assert len(piloted) <= MOST_PILOTS
    assert {1.0, max(temperatures), min(temperatures, key=lambda value: abs(value - T_C))} <= set(piloted)
    assert max(np.diff(piloted[1:])) < 0.05


def test_stuck_chains_at_one_cold_temperature_among_many_are_refused():
    temperatures = np.round(np.linspace(3.0, 5.0, 70), 4).tolist()
    temperatures.insert(33, 0.8)
    with pytest.raises(KadanoffError, match=r"T = 0\.8 .*sampler: swendsen_wang"):
        kadanoff.simulate(16, temperatures, 2, sampler="metropolis", sweeps=300)


def test_each_temperature_has_the_sweeps_of_its_pilots():
    spec = dataset(temperatures=[3.0, 1.0, 2.0, 2.5, 1.5])
    pilots = {0: Pilot(1.0, 64, True), 1: Pilot(0.5, 30, True), 2: Pilot(10.0, 64, True)}
    assert sweeps_needed(spec, pilots).tolist() == [64, 30, 200, 200, 200]
    assert sweeps_needed(spec.model_copy(update={"sweeps": 7}), pilots).tolist() == [7] * 5


@pytest.mark.parametrize(
    ("given", "sampler", "words"),
    [
        ({"temperatures": [1.0, T_C, 3.0]}, "swendsen_wang", r"times of \d\.\d sweeps of swendsen_wang$"),
        (
            {"size": 7, "temperatures": [1.0], "coupling": -1.0},
            "hybrid",
            r"sweeps of swendsen_wang and 0\.\d sweeps of hybrid$",
        ),
        ({"boundary": "skewed", "temperatures": [1.0]}, "hybrid", "sweeps of hybrid$"),
        ({"temperatures": [6.0]}, "metropolis", "above 2 T_c"),
        ({"sampler": "hybrid"}, "hybrid", "named"),
    ],
)
def test_auto_takes_the_sampler_that_short_pilots_found_faster(given, sampler, words):
    found = choose(dataset(**given), "x")
    assert found.name == sampler
    assert re.search(words, found.reason)


def test_where_both_are_slow_the_cheaper_one_is_taken(monkeypatch):
    taus = {"swendsen_wang": 30.0, "hybrid": 14.0}
    monkeypatch.setattr(equilibration, "pilot", lambda _, __, sampler, *___: Pilot(taus[sampler], 64, True))
    assert choose(dataset(), "x").name == "hybrid"
    taus["hybrid"] = 16.0
    assert choose(dataset(), "x").name == "swendsen_wang"


def test_a_pilot_that_would_take_too_long_ends_with_advice(monkeypatch):
    monkeypatch.setattr(equilibration, "PILOT_UPDATES", 100 * 64 * 64)
    with pytest.raises(KadanoffError, match=r"swendsen_wang did not .*sampler: hybrid"):
        kadanoff.simulate(8, 1.0, 4, "skewed", sampler="swendsen_wang")


def test_the_starts_that_are_compared_are_cold_and_critical():
    temperatures = [4.0, 0.5, 2.3, 1.0, 3.0]
    assert [temperatures[place] for place in compared_places(temperatures)] == [0.5, 1.0, 2.3]
    grid = np.round(np.arange(0.01, 4.005, 0.01), 2).tolist()
    assert [grid[place] for place in compared_places(grid)] == [0.01, 1.14, 2.27]


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ({"size": 16, "boundary": "skewed"}, "wall"),
        ({"size": 16, "boundary": "antiperiodic"}, "wall"),
        ({"size": 16}, "order"),
        ({"size": 16, "coupling": -1.0}, "order"),
    ],
)
def test_from_random_spins_and_from_order_the_squared_order_becomes_the_same(arguments, start):
    def difference(sampler, sweeps, temperature=1.8):
        both = [
            squared_order(dataset(**arguments), "x", sampler, temperature, sweeps, each) for each in ("hot", "ground")
        ]
        return abs(both[0].sigmas(both[1]))

    assert (squared_order(dataset(**arguments), "x", "hybrid", 1.8, 0, "ground").mean == 1) == (start == "order")
    assert difference("hybrid", 64) < 4
    assert difference("metropolis", 2) > 4  # the negative control: far too short
