from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, mse_loss

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.learning.fit import Fit, fit
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Epoch, Pair, Settings, Training
from kadanoff.networks.registry import build

SETTINGS = Settings(seed=1, epochs=6, batch_size=16, plateau_patience=0, learning_rate=0.1)
NETWORKS = ("drawn", "cnn", "mlp", "exact")


class Killed(Exception):
    pass


def data(count: int, seed: int) -> Pair:
    spins = torch.randint(0, 2, (count, 1, 8, 8), generator=torch.Generator().manual_seed(seed), dtype=torch.int8)
    spins = spins * 2 - 1
    return spins, avg_pool2d(spins.float(), 2)


TRAIN, VALIDATION = data(65, 0), data(20, 1)  # 65: a last batch of one, if batches were not evened out


def fresh(name: str = "cnn", seed: int = 0) -> nn.Module:
    with seeded(seed):
        return build(name, block=2, size=8)


def train(network: nn.Module, settings: Settings = SETTINGS, **options) -> Fit:
    return fit(network, TRAIN, VALIDATION, settings, device="cpu", **options)


def written(network: nn.Module, folder: Path) -> bytes:
    save_model(folder / "weights", network, Recipe("cnn", {}))
    return (folder / "weights").read_bytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_same_seed_same_bytes(name: str, tmp_path: Path) -> None:
    first, again, other = fresh(name), fresh(name), fresh(name)
    assert train(first) == train(again)
    train(other, replace(SETTINGS, seed=2))
    assert written(first, tmp_path) == written(again, tmp_path) != written(other, tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("last", [1, 3, 5])
def test_killed_and_resumed_gives_the_same_bytes(name: str, last: int, tmp_path: Path) -> None:
    whole = fresh(name)
    expected = train(whole)

    def kill(epoch: Epoch) -> None:
        if epoch.epoch > last:
            raise Killed

    with pytest.raises(Killed):
        train(fresh(name), on_epoch=kill, checkpoint=tmp_path, checkpoint_seconds=0)
    resumed = fresh(name, seed=9)  # its initial weights must not matter any more
    seen: list[int] = []
    result = train(resumed, on_epoch=lambda epoch: seen.append(epoch.epoch), checkpoint=tmp_path)
    assert seen == list(range(1, 7))  # those before the kill are told again
    assert result == expected
    assert written(resumed, tmp_path) == written(whole, tmp_path)


def test_finished_training_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = fresh(), fresh(seed=9)
    expected = train(first, checkpoint=tmp_path)
    monkeypatch.setattr(Training, "advance", lambda *_: pytest.fail("an epoch ran again"))
    assert train(again, checkpoint=tmp_path) == expected
    assert written(first, tmp_path) == written(again, tmp_path)


def test_nothing_is_left_behind() -> None:
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    state = torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32, torch.get_num_threads()
    train(fresh())
    assert torch.equal(torch.rand(3), expected)
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32, torch.get_num_threads()) == state


def test_best_validation_weights_are_kept() -> None:
    network = fresh("mlp")
    result = train(network, replace(SETTINGS, epochs=12))
    assert result.best == min(result.history, key=lambda epoch: epoch.validation_loss)
    assert result.best.epoch < 12  # at this learning rate the last epoch is not the best
    assert not network.training
    with torch.no_grad():
        loss = mse_loss(network(VALIDATION[0].float()), VALIDATION[1])
    assert loss.item() == pytest.approx(result.best.validation_loss, rel=1e-5)


def test_exact_reaches_machine_precision() -> None:
    network = fresh("exact")
    result = train(network, Settings(seed=0, learning_rate=0.1, weight_decay=0.0, batch_size=8))
    assert result.best.validation_loss < 1e-10
    torch.testing.assert_close(network.layers[0].weight, torch.full((1, 1, 2, 2), 0.25), atol=1e-6, rtol=0)


def test_plateau_lowers_the_learning_rate_and_early_stopping_ends() -> None:
    def constant(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return 0 * outputs.mean() + 1

    settings = replace(SETTINGS, epochs=50, learning_rate=1.0, plateau_patience=1, early_stopping_patience=7)
    result = train(fresh("exact"), settings, loss=constant)
    assert [epoch.learning_rate for epoch in result.history] == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert result.best.epoch == 1


def test_any_loss() -> None:
    def hinge(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (1 - outputs * targets).relu().mean()

    assert train(fresh(), loss=hinge).best != train(fresh()).best


def test_other_settings_or_network_in_the_checkpoint(tmp_path: Path) -> None:
    train(fresh(), checkpoint=tmp_path)
    with pytest.raises(KadanoffError, match=f"{tmp_path} holds another training: it has the settings"):
        train(fresh(), replace(SETTINGS, batch_size=8), checkpoint=tmp_path)
    with pytest.raises(KadanoffError, match="weights of another network"):
        train(fresh("mlp"), checkpoint=tmp_path)


def test_divergence_is_an_error() -> None:
    with pytest.raises(KadanoffError, match=r"diverged. Lower learning_rate \(it is 1e\+30\)"):
        train(fresh("drawn"), replace(SETTINGS, learning_rate=1e30))


@pytest.mark.parametrize("part", ["training", "validation"])
def test_empty_or_unequal_data(part: str) -> None:
    for broken in ((TRAIN[0][:0], TRAIN[1][:0]), (TRAIN[0], TRAIN[1][:7])):
        pairs = (broken, VALIDATION) if part == "training" else (TRAIN, broken)
        with pytest.raises(KadanoffError, match=f"the {part} set has"):
            fit(fresh(), *pairs, SETTINGS, device="cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta"])
def test_unusable_device(device: str) -> None:
    with pytest.raises(KadanoffError, match=f"device is '{device}'"):
        fit(fresh(), TRAIN, VALIDATION, SETTINGS, device=device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", NETWORKS)
def test_gpu_repeats_itself_too(name: str, tmp_path: Path) -> None:
    first, again = fresh(name), fresh(name)
    expected = fit(first, TRAIN, VALIDATION, SETTINGS, device="cuda")
    assert fit(again, TRAIN, VALIDATION, SETTINGS, device="cuda") == expected
    assert written(first, tmp_path) == written(again, tmp_path)


def test_derived_seeds_are_fixed_and_distinct() -> None:
    assert derived_seed(0, 1) == derived_seed(0, 1)
    assert len({derived_seed(seed, place) for seed in range(20) for place in range(20)}) == 400
