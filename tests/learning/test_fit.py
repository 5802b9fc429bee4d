from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.backends import cudnn
from torch.nn.functional import avg_pool2d, mse_loss

from kadanoff.errors import KadanoffError
from kadanoff.learning import processor
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.learning.fit import Fit, fit
from kadanoff.learning.processor import fast_precision
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Epoch, Pair, Settings, Source, Training
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


class Stream:
    """New data in every epoch."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, epoch: int) -> Pair:
        self.asked.append(epoch)
        return data(33, 100 + epoch)


@pytest.mark.parametrize(
    ("name", "last", "changes"),
    [("drawn", 1, {}), ("cnn", 3, {}), ("mlp", 5, {}), ("cnn", 3, {"schedule": "linear"})],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_killed_and_resumed_gives_the_same_bytes(
    name: str, last: int, changes: dict, streamed: bool, tmp_path: Path
) -> None:
    whole, settings, source = fresh(name), replace(SETTINGS, **changes), Stream() if streamed else TRAIN
    expected = train(whole, settings, source)

    def kill(epoch: Epoch) -> None:
        if epoch.epoch > last:
            raise Killed

    with pytest.raises(Killed):
        train(fresh(name), settings, source, on_epoch=kill, checkpoint=tmp_path, checkpoint_seconds=0)
    resumed = fresh(name, seed=9)  # its initial weights must not matter any more
    seen: list[int] = []
    again = Stream() if streamed else TRAIN
    result = train(resumed, settings, again, on_epoch=lambda epoch: seen.append(epoch.epoch), checkpoint=tmp_path)
    assert seen == list(range(1, 7))  # those before the kill are told again
    assert not isinstance(again, Stream) or again.asked == list(range(last + 1, 7))
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


def test_other_settings_in_the_checkpoint(tmp_path: Path) -> None:
    train(fresh("exact"), checkpoint=tmp_path)
    with pytest.raises(KadanoffError, match="the checkpoint is of another training, with the settings"):
        train(fresh("exact"), replace(SETTINGS, batch_size=8), checkpoint=tmp_path)


def test_divergence_is_an_error() -> None:
    message = r"the training loss is \w+ in epoch 1: the training diverged. Lower learning_rate \(it is 1e\+30\)"
    with pytest.raises(KadanoffError, match=message):
        train(fresh("drawn"), replace(SETTINGS, learning_rate=1e30))


def test_a_batch_that_does_not_fit_is_named() -> None:
    def full(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(KadanoffError, match="batch_size is 16: the memory of cpu is too small"):
        train(fresh("exact"), loss=full)


@pytest.mark.parametrize("part", ["training", "validation"])
def test_empty_or_unequal_data(part: str) -> None:
    for broken in ((TRAIN[0][:0], TRAIN[1][:0]), (TRAIN[0], TRAIN[1][:7])):
        pairs = (broken, VALIDATION) if part == "training" else (TRAIN, broken)
        with pytest.raises(KadanoffError, match=f"the {part} set has"):
            fit(fresh(), *pairs, SETTINGS, device="cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_gpu_repeats_itself_and_learns_what_the_cpu_does(
    name: str, precision: str, compiled: bool, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, learning_rate=0.01, precision=precision, compile=compiled)
    first, again = fresh(name), fresh(name)
    found = fit(first, TRAIN, VALIDATION, settings, device="cuda")
    assert fit(again, TRAIN, VALIDATION, settings, device="cuda") == found
    assert written(first, tmp_path) == written(again, tmp_path)
    tolerance = 1e-3 if precision == "float32" else 0.3
    assert found.best.validation_loss == pytest.approx(train(fresh(name), settings).best.validation_loss, rel=tolerance)


# --- torch.compile, and what a GPU needs to repeat itself -------------------------------------------------


def test_a_compiled_network_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(SETTINGS, epochs=1, batch_size=65)
    plain, compiled = fresh(), fresh()
    expected = train(plain, settings)
    monkeypatch.setattr(processor, "COMPILED", "cpu")
    monkeypatch.setattr(processor, "BACKEND", "aot_eager")  # its graphs of both passes, without machine code of its own
    assert train(compiled, replace(settings, compile=True)) == expected
    assert written(compiled, tmp_path) == written(plain, tmp_path)


def test_on_a_cpu_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("it is compiled"))
    assert train(fresh(), replace(SETTINGS, compile=True)) == train(fresh())


def test_spins_stay_bytes_until_their_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds, batches = set(), Training._batches

    def seen(self: Training, pair: Pair, order: torch.Tensor):
        for inputs, targets in batches(self, pair, order):
            kinds.add((pair[0].dtype, inputs.dtype))
            yield inputs, targets

    monkeypatch.setattr(Training, "_batches", seen)
    train(fresh())
    assert kinds == {(torch.int8, torch.float32)}


@pytest.mark.parametrize(("device", "strict"), [("cuda", True), ("cpu", False)])
def test_a_gpu_is_asked_to_repeat_itself_and_nothing_is_left_behind(device: str, strict: bool) -> None:
    def flags() -> tuple[bool, ...]:
        on, filled = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
        return on, torch.is_deterministic_algorithms_warn_only_enabled(), filled, cudnn.deterministic, cudnn.allow_tf32

    before = flags()
    with processor.repeatable(torch.device(device)):
        assert flags() == (strict, strict, not strict, True, False)
        assert not cudnn.benchmark
    assert flags() == before


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


# --- new data in every epoch -----------------------------------------------------------------------------


def test_a_source_is_asked_once_an_epoch(tmp_path: Path) -> None:
    source, streamed, fixed = Stream(), fresh("exact"), fresh("exact")
    train(streamed, source=source)
    assert source.asked == [1, 2, 3, 4, 5, 6]
    train(fixed, source=data(33, 101))
    assert written(streamed, tmp_path) != written(fixed, tmp_path)


def test_a_source_that_runs_dry_is_an_error() -> None:
    with pytest.raises(KadanoffError, match="the training set has 0 inputs"):
        train(fresh("exact"), source=lambda epoch: data(33, 1) if epoch < 3 else (TRAIN[0][:0], TRAIN[1][:0]))


# --- bfloat16 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_layers_compute_in_the_precision_and_weights_stay_float32(precision: str) -> None:
    network, inside, outside = fresh(), set(), set()
    network.register_forward_hook(lambda *given: inside.add(given[2].dtype))

    def seen(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        outside.add(outputs.dtype)
        return mse_loss(outputs, targets)

    result = train(network, replace(SETTINGS, precision=precision, learning_rate=0.01, epochs=3), loss=seen)
    assert inside == {getattr(torch, precision)}
    assert outside == {torch.float32}
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}
    assert result.best.validation_loss < 0.8 * result.history[0].validation_loss


def test_bfloat16_is_another_training_and_nearly_the_same(tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=2, learning_rate=0.01)
    full, half, again = fresh(), fresh(), fresh()
    expected, found = train(full, settings), train(half, replace(settings, precision="bfloat16"))
    train(again, replace(settings, precision="bfloat16"))
    assert written(again, tmp_path) == written(half, tmp_path) != written(full, tmp_path)
    assert found.best.validation_loss == pytest.approx(expected.best.validation_loss, rel=0.3)


@pytest.mark.parametrize(
    ("known", "expected"), [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16"), ({}, "float32")]
)
def test_auto_is_bfloat16_on_processors_that_compute_in_it(known: dict, expected: str, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert fast_precision("auto", torch.device("cpu")) == expected


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_asks_gpus_for_what_is_not_emulated(native: bool, expected: str, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation)
    assert fast_precision("auto", torch.device("cuda")) == expected
