import numpy as np
import pytest

import kadanoff
from kadanoff.phases.baselines import BASELINES, Predictor, best, fit_baselines
from kadanoff.phases.bayes import bayes_limit, region_distributions
from kadanoff.phases.features import pseudo_likelihood
from kadanoff.phases.microstates import Images
from kadanoff.phases.regions import region
from kadanoff.phases.scores import macro_f1
from kadanoff.spins.boundary import Lattice

TEMPERATURES = np.concatenate(
    [np.linspace(*edges, 6) for edges in ((0.2, 1.05), (1.06, 2.11), (2.12, 2.32), (2.33, 4.0))]
)


@pytest.fixture(scope="module")
def images():
    """Train, validation and test images of a 16 x 16 torus, 20, 20 and 60 of each temperature."""
    found = kadanoff.simulate(
        16, TEMPERATURES, 100, sampler="swendsen_wang", sweeps=40, seed=7, workers=1, allow_unequilibrated=True
    )
    return [part(found, chosen) for chosen in (slice(0, 20), slice(20, 40), slice(40, 100))]


def part(found, chosen):
    spins, energies = found.spins[:, chosen], found.energy[:, chosen]
    temperatures = np.repeat(found.temperatures, spins.shape[1])
    chains = np.arange(len(temperatures))
    return Images(spins.reshape(-1, 16, 16), region(temperatures), temperatures, energies.ravel(), chains)


@pytest.fixture(scope="module")
def fitted(images):
    return fit_baselines(*images[:2], seed=1)


def test_baselines_come_near_the_limit_and_not_above(images, fitted):
    test = images[2]
    counts = np.bincount(test.labels).tolist()
    limit = bayes_limit(*region_distributions(Lattice.of(16), TEMPERATURES), counts).macro_f1
    names = ["energy thresholds", "pseudo-likelihood thresholds", "logistic regression", "gradient boosting"]
    assert list(fitted) == list(BASELINES) == names
    error = 0.5 / np.sqrt(len(test))  # of a fraction, at most
    for name, predictor in fitted.items():
        predicted = predictor(test)
        assert predicted.dtype == np.int64
        near = (
            0.12 if name == "pseudo-likelihood thresholds" else 0.06
        )  # it sees 14 x 14 sites, and no bond of the edge
        assert limit - near < macro_f1(test.labels, predicted) < limit + 3 * error


def test_baselines_learn_nothing_from_labels_that_tell_nothing(images):
    # negative control
    train, validation, test = images
    labels = np.random.default_rng(1).permuted(train.labels)
    shuffled = Images(train.spins, labels, train.temperatures, train.energies, train.chains)
    for predictor in fit_baselines(shuffled, validation, seed=1).values():
        assert macro_f1(test.labels, predictor(test)) < 0.45


def test_energy_thresholds_are_three_and_see_the_energy_alone(images, fitted):
    predictor, test = fitted["energy thresholds"], images[2]
    assert predictor.estimator.get_n_leaves() == 4
    other = Images(test.spins[::-1], test.labels, test.temperatures, test.energies, test.chains)
    assert np.array_equal(predictor(other), predictor(test))
    assert not np.array_equal(fitted["logistic regression"](other), fitted["logistic regression"](test))
    order = np.argsort(test.energies)
    assert np.all(np.diff(predictor(test)[order]) >= 0)


def test_thresholds_of_the_pseudo_likelihood_see_the_spins_alone(images, fitted):
    predictor, test = fitted["pseudo-likelihood thresholds"], images[2]
    assert predictor.estimator.get_n_leaves() == 4
    other = Images(test.spins, test.labels, test.temperatures, test.energies[::-1], test.chains)
    assert np.array_equal(predictor(other), predictor(test))
    assert np.array_equal(predictor(test.augmented(1)), predictor(test))
    order = np.argsort(-pseudo_likelihood(test.spins))  # from cold to hot
    assert np.all(np.diff(predictor(test)[order]) >= 0)
    other = Images(test.spins[::-1], test.labels, test.temperatures, test.energies, test.chains)
    assert not np.array_equal(predictor(other), predictor(test))  # negative control


def test_boosting_learns_from_few_images_too(images):
    train, validation, test = images
    few = train[np.linspace(0, len(train) - 1, 40).astype(int)]
    scores = {
        name: macro_f1(test.labels, predicted(test))
        for name, predicted in fit_baselines(few, validation, seed=1).items()
    }
    assert scores["gradient boosting"] > max(scores.values()) - 0.1  # with 20 images a leaf 0.2 less


def test_the_best_is_that_of_the_validation_set(images, fitted):
    def scored(*values):
        return {str(place): Predictor("", None, value) for place, value in enumerate(values)}

    assert best(scored(0.7, 0.9, 0.8)) == "1"
    assert best(scored(0.7, 0.9, 0.9)) == "1"  # of equals the simplest
    for predictor in fitted.values():
        assert predictor.validation == macro_f1(images[1].labels, predictor(images[1]))
