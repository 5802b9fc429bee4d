import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import avg_pool2d, mse_loss

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, load_state, save_model
from kadanoff.learning.fit import LAST_GOOD, Fit, fit
from kadanoff.learning.processor import fast_precision
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Epoch, Loss, Pair, Settings, Source, Training
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


def train(network: nn.Module, settings: Settings = SETTINGS, source: Source = TRAIN, **options) -> Fit:
    return fit(network, source, VALIDATION, settings, device="cpu", **options)


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
    losses = [epoch.validation_loss for epoch in result.history]
    assert result.metrics() == {
        "epochs": 12,
        "best_epoch": losses.index(min(losses)) + 1,
        "best_validation_loss": min(losses),
        "last_validation_loss": losses[-1],
    }
    assert not network.training
    with torch.no_grad():
        loss = mse_loss(network(VALIDATION[0].float()), VALIDATION[1])
    assert loss.item() == pytest.approx(result.best.validation_loss, rel=1e-5)


def test_losses_are_means_over_configurations_in_batches_of_any_size() -> None:
    pair = TRAIN[0][:5], torch.arange(5.0)[:, None, None, None].expand(5, 1, 4, 4)  # batches of 2, 2 and 1, unlike
    network = fresh("exact")
    with torch.no_grad():
        loss = mse_loss(network(pair[0].float()), pair[1]).item()
    result = fit(network, pair, pair, Settings(seed=0, epochs=1, batch_size=2, learning_rate=0.0), device="cpu")
    assert result.best.validation_loss == pytest.approx(loss, rel=1e-6)
    assert result.best.train_loss == pytest.approx(loss, rel=1e-6)


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


# --- optimizers ------------------------------------------------------------------------------------------


def nothing(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return 0 * outputs.mean()


def test_adamw_decays_weights_apart_from_the_gradient_and_adam_as_a_part_of_it() -> None:
    settings = replace(SETTINGS, epochs=1, batch_size=100, weight_decay=0.5)
    before, decayed, stepped = fresh("exact"), fresh("exact"), fresh("exact")
    train(decayed, replace(settings, optimizer="adamw"), loss=nothing)
    train(stepped, settings, loss=nothing)
    weight = before.layers[0].weight.detach()
    torch.testing.assert_close(decayed.layers[0].weight.detach(), weight * (1 - 0.1 * 0.5))
    # the first step of Adam is the learning rate, whatever the size of the gradient
    torch.testing.assert_close(stepped.layers[0].weight.detach(), weight - 0.1 * weight.sign(), rtol=1e-5, atol=1e-6)


def test_without_weight_decay_both_are_adam(tmp_path: Path) -> None:
    for decay, alike in ((0.0, True), (0.1, False)):
        settings = replace(SETTINGS, weight_decay=decay)
        adam, adamw = fresh(), fresh()
        train(adam, settings)
        train(adamw, replace(settings, optimizer="adamw"))
        assert (written(adam, tmp_path) == written(adamw, tmp_path)) == alike


def test_a_linear_schedule_falls_evenly_to_a_hundredth_and_survives_a_kill(tmp_path: Path) -> None:
    settings = replace(SETTINGS, schedule="linear", learning_rate=0.01)
    whole, resumed = fresh(), fresh(seed=9)
    expected = train(whole, settings)
    rates = [epoch.learning_rate for epoch in expected.history]
    assert rates == pytest.approx([0.01 * (1 - 0.99 * index / 5) for index in range(6)])

    def kill(epoch: Epoch) -> None:
        if epoch.epoch > 3:
            raise Killed

    with pytest.raises(Killed):
        train(fresh(), settings, on_epoch=kill, checkpoint=tmp_path, checkpoint_seconds=0)
    assert train(resumed, settings, checkpoint=tmp_path) == expected
    assert written(resumed, tmp_path) == written(whole, tmp_path)


# --- new data in every epoch -----------------------------------------------------------------------------


class Stream:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, epoch: int) -> Pair:
        self.asked.append(epoch)
        return data(33, 100 + epoch)


def test_a_source_is_asked_once_an_epoch(tmp_path: Path) -> None:
    source, streamed, again, fixed = Stream(), fresh(), fresh(), fresh()
    expected = train(streamed, source=source)
    assert source.asked == [1, 2, 3, 4, 5, 6]
    assert train(again, source=Stream()) == expected
    train(fixed, source=data(33, 101))
    assert written(streamed, tmp_path) == written(again, tmp_path) != written(fixed, tmp_path)


def test_a_source_that_gives_the_same_pair_is_that_pair(tmp_path: Path) -> None:
    streamed, fixed = fresh(), fresh()
    assert train(streamed, source=lambda _: TRAIN) == train(fixed)
    assert written(streamed, tmp_path) == written(fixed, tmp_path)


@pytest.mark.parametrize("last", [1, 4])
def test_a_resumed_training_asks_from_where_it_stopped(last: int, tmp_path: Path) -> None:
    whole, resumed, source = fresh(), fresh(seed=9), Stream()
    expected = train(whole, source=Stream())

    def kill(epoch: Epoch) -> None:
        if epoch.epoch > last:
            raise Killed

    with pytest.raises(Killed):
        train(fresh(), source=Stream(), on_epoch=kill, checkpoint=tmp_path, checkpoint_seconds=0)
    assert train(resumed, source=source, checkpoint=tmp_path) == expected
    assert source.asked == list(range(last + 1, 7))
    assert written(resumed, tmp_path) == written(whole, tmp_path)


def test_a_source_that_runs_dry_is_an_error() -> None:
    with pytest.raises(KadanoffError, match="the training set has 0 inputs"):
        train(fresh(), source=lambda epoch: data(33, 1) if epoch < 3 else (TRAIN[0][:0], TRAIN[1][:0]))


# --- bfloat16 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_layers_compute_in_the_precision_and_weights_stay_float32(precision: str) -> None:
    network, inside, outside = fresh(), set(), set()
    network.register_forward_hook(lambda *given: inside.add(given[2].dtype))

    def seen(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        outside.add(outputs.dtype)
        return mse_loss(outputs, targets)

    result = train(network, replace(SETTINGS, precision=precision, learning_rate=0.01), loss=seen)
    assert inside == {getattr(torch, precision)}
    assert outside == {torch.float32}
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}
    assert result.best.validation_loss < 0.8 * result.history[0].validation_loss


def test_bfloat16_is_another_training_and_nearly_the_same(tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=2, learning_rate=0.01)
    full, half, again = fresh(), fresh(), fresh()
    expected, found = train(full, settings), train(half, replace(settings, precision="bfloat16"))
    assert train(again, replace(settings, precision="bfloat16")) == found
    assert written(again, tmp_path) == written(half, tmp_path) != written(full, tmp_path)
    assert found.best.validation_loss == pytest.approx(expected.best.validation_loss, rel=0.3)
    assert found.best.validation_loss != expected.best.validation_loss


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, "float32"),
        ({"architecture": "aarch64"}, "float32"),
    ],
)
def test_auto_is_bfloat16_on_processors_that_compute_in_it(known: dict, expected: str, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    device = torch.device("cpu")
    assert fast_precision("auto", device) == expected
    assert [fast_precision(name, device) for name in ("float32", "bfloat16")] == ["float32", "bfloat16"]


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_asks_gpus_for_what_is_not_emulated(native: bool, expected: str, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation)
    assert fast_precision("auto", torch.device("cuda")) == expected


# --- what goes wrong -------------------------------------------------------------------------------------

BATCHES, VALIDATIONS = 5, 2  # an epoch has as many of TRAIN and VALIDATION


def spoiled(place: int, value: float = float("nan")) -> Loss:
    """The mean squared error, but `value` from batch `place` on, counted from 0."""
    calls = iter(range(1000))
    return lambda outputs, targets: mse_loss(outputs, targets) + (value if next(calls) >= place else 0)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (2 * (BATCHES + VALIDATIONS) + 1, float("nan"), "the training loss is nan in epoch 3, batch 2 of 5: the"),
        (2 * (BATCHES + VALIDATIONS), float("inf"), "the training loss is inf in epoch 3, batch 1 of 5: the"),
        (2 * (BATCHES + VALIDATIONS) + BATCHES, float("nan"), "the validation loss is nan in epoch 3: the"),
    ],
)
def test_a_loss_that_is_no_number_is_named_and_the_best_weights_are_kept(
    place: int, value: float, words: str, tmp_path: Path
) -> None:
    expected, network, checked = fresh(), fresh(), fresh()
    best = train(expected, replace(SETTINGS, epochs=2)).best.epoch
    with pytest.raises(KadanoffError) as caught:
        train(network, loss=spoiled(place, value))
    start = rf"{words} training diverged. Lower learning_rate (it is 0.1). "
    assert str(caught.value) == f"{start}The network holds its weights after epoch {best}."
    assert written(network, tmp_path) == written(expected, tmp_path)
    folder = tmp_path / "checkpoint"
    with pytest.raises(KadanoffError) as caught:
        train(checked, loss=spoiled(place, value), checkpoint=folder, checkpoint_seconds=0)
    assert str(caught.value) == f"{start}The weights after epoch {best} are kept in {folder / LAST_GOOD}."
    kept = load_file(folder / LAST_GOOD)
    assert kept.keys() == expected.state_dict().keys()
    assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in kept.items())


@pytest.mark.parametrize("seconds", [0, 1000])
def test_after_a_divergence_the_training_can_go_on(seconds: float, tmp_path: Path) -> None:
    whole, resumed = fresh(), fresh(seed=9 if not seconds else 0)
    expected = train(whole)
    spoiling = spoiled(2 * (BATCHES + VALIDATIONS) + 1)
    with pytest.raises(KadanoffError, match="diverged"):
        train(fresh(), loss=spoiling, checkpoint=tmp_path, checkpoint_seconds=seconds)
    state = load_state(tmp_path, torch.device("cpu"))
    assert (state is None) == bool(seconds)
    if state is not None:
        assert len(state["history"]) == 2
        assert all(torch.isfinite(tensor).all() for tensor in state["network"].values())
    assert train(resumed, checkpoint=tmp_path) == expected
    assert written(resumed, tmp_path) == written(whole, tmp_path)


def test_nothing_is_kept_of_a_first_epoch_that_diverges(tmp_path: Path) -> None:
    with pytest.raises(KadanoffError, match=r"nan in epoch 1, batch 1 of 5: .* No epoch had ended before\.$"):
        train(fresh(), loss=spoiled(0), checkpoint=tmp_path, checkpoint_seconds=0)
    assert not list(tmp_path.iterdir())


class Narrow(nn.Module):
    """Has memory for so many configurations at once, from the epoch `since` on."""

    def __init__(self, room: int, layer: nn.Module | None = None, since: Callable[[], bool] = lambda: True) -> None:
        super().__init__()
        self.room, self.since = room, since
        self.layers = nn.Sequential(fresh("exact"), layer or nn.Identity())
        self.held: weakref.ref | None = None

    def forward(self, spins: torch.Tensor) -> torch.Tensor:
        assert self.held is None or self.held() is None, "what did not fit is still there"
        if len(spins) > self.room and self.since():
            activations = torch.zeros(3)
            self.held = weakref.ref(activations)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.layers(spins)


@pytest.mark.parametrize(
    ("batch_size", "room", "fits"), [(16, 12, 8), (16, 8, 8), (16, 5, 4), (1000, 40, 32), (16, 1, 1)]
)
def test_what_does_not_fit_names_a_batch_that_does(batch_size: int, room: int, fits: int) -> None:
    with pytest.raises(KadanoffError) as caught:
        train(Narrow(room), replace(SETTINGS, batch_size=batch_size))
    assert str(caught.value) == (
        f"batch_size is {batch_size}, for which the memory of cpu is too small; batch_size: {fits} would fit. No epoch "
        "had ended before."
    )
    assert train(Narrow(room), replace(SETTINGS, batch_size=fits)).history
    with pytest.raises(KadanoffError, match="too small"):
        train(Narrow(room), replace(SETTINGS, batch_size=4 * fits))


@pytest.mark.parametrize("network", [Narrow(0), Narrow(1, nn.BatchNorm2d(1))], ids=["none", "normalized"])
def test_where_nothing_fits_a_smaller_network_is_advised(network: Narrow) -> None:
    def pooled(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return mse_loss(outputs.mean((2, 3)), targets.mean((2, 3)))

    pair = TRAIN[0][:, :, :2, :2], TRAIN[1][:, :, :1, :1]  # batch normalization refuses a single number
    with pytest.raises(KadanoffError, match="not even one configuration fits: take a smaller network"):
        fit(network, pair, pair, SETTINGS, loss=pooled, device="cpu")


def test_what_was_trained_before_the_memory_ended_is_kept(tmp_path: Path) -> None:
    history: list[Epoch] = []
    expected, network = Narrow(100), Narrow(5, since=lambda: len(history) == 2)
    best = train(expected, replace(SETTINGS, epochs=2)).best.epoch
    with pytest.raises(KadanoffError) as caught:
        train(network, on_epoch=history.append, checkpoint=tmp_path, checkpoint_seconds=0)
    assert "batch_size: 4 would fit" in str(caught.value)
    assert str(caught.value).endswith(f"The weights after epoch {best} are kept in {tmp_path / LAST_GOOD}.")
    kept, own = load_file(tmp_path / LAST_GOOD), network.state_dict()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(kept[name], tensor)
        assert torch.equal(own[name], tensor)
    assert train(Narrow(100), checkpoint=tmp_path) == train(Narrow(100))
