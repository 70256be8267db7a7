from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from plain_task import PlainTask, plain_run
from rounding import assert_near, network
from torch import Tensor, nn
from toy_run import ToyBatch, toy_batches, toy_model, toy_step

from resdet.engine.optimizer import build_sgd
from resdet.engine.precision import Precision
from resdet.engine.run import Hook, Progress
from resdet.engine.seed import step_seed
from resdet.engine.train_loop import Interrupted, train
from resdet.errors import TrainingError

Step = Callable[[nn.Module, ToyBatch], dict[str, Tensor]]

# four steps, forward and backward through two layers, of sums of at most 4 * 6 * 6 numbers
ROUNDING = network(4 * 4, 4 * 6 * 6, torch.float32)


class Recorder(Hook):
    """Remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.seen: list[dict[str, Any]] = []

    def before_train(self, progress: Progress) -> None:
        self.calls.append(f"before {progress.iteration}")

    def after_step(self, progress: Progress) -> None:
        self.calls.append(f"after {progress.iteration}")
        self.seen.append(vars(progress).copy())

    def on_interrupt(self, progress: Progress) -> None:
        self.calls.append(f"interrupt {progress.iteration}")

    def close(self) -> None:
        self.calls.append("close")


def run(
    step: Step,
    model: nn.Module,
    hook: Hook,
    iterations: int = 4,
    optimizer: torch.optim.Optimizer | None = None,
    **options: Any,
) -> None:
    task = PlainTask(model, step, options.pop("batches", toy_batches))
    optimizer = optimizer or build_sgd(model, lr=1.0, momentum=0.9, weight_decay=1e-2)
    rate = lambda iteration: 0.1 / (iteration + 1)  # noqa: E731
    train(plain_run(task, optimizer, rate, iterations=iterations, seed=7, hooks=[hook], **options))


def fresh() -> nn.Module:
    torch.manual_seed(0)
    return toy_model()


@pytest.mark.parametrize("clip_norm", [0.0, 0.05])
def test_equals_steps_written_out(clip_norm: float) -> None:
    model, recorder = fresh().eval(), Recorder()
    run(toy_step, model, recorder, clip_norm=clip_norm)

    expected, losses = fresh(), []
    velocity = [torch.zeros_like(parameter) for parameter in expected.parameters()]
    for iteration, batch in zip(range(4), toy_batches(0), strict=False):
        torch.manual_seed(step_seed(7, iteration))
        loss = sum(value for name, value in toy_step(expected, batch).items() if name != "error")
        gradients = torch.autograd.grad(loss, list(expected.parameters()))
        norm = torch.sqrt(sum(gradient.square().sum() for gradient in gradients))
        scale = min(1.0, clip_norm / float(norm)) if clip_norm else 1.0
        with torch.no_grad():
            for parameter, speed, gradient in zip(expected.parameters(), velocity, gradients, strict=True):
                speed.mul_(0.9).add_(scale * gradient + 1e-2 * parameter)
                parameter.sub_(0.1 / (iteration + 1) * speed)
        losses.append(loss.item())

    for name, tensor in expected.state_dict().items():
        assert_near(model.state_dict()[name], tensor, ROUNDING, name)
    assert recorder.calls == ["before 0", "after 1", "after 2", "after 3", "after 4", "close"]
    assert [seen["losses"]["loss"] for seen in recorder.seen] == pytest.approx(losses, rel=ROUNDING)
    assert [seen["lr"] for seen in recorder.seen] == [0.1, 0.05, 0.1 / 3, 0.025]
    for seen in recorder.seen:
        assert seen["losses"]["loss"] == pytest.approx(seen["losses"]["loss_cls"] + seen["losses"]["loss_size"])
        assert 0 <= seen["data_time"] < seen["step_time"]


def without_noise(model: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
    """A step whose losses are means over the images and which draws nothing."""
    logits = model(batch.images)
    return {
        "loss_cls": nn.functional.cross_entropy(logits, batch.labels),
        "error": (logits.argmax(1) != batch.labels).float().mean(),
    }


@pytest.mark.parametrize("parts", [2, 3, 4, 9])
def test_parts_of_a_batch_give_the_step_of_the_whole(parts: int) -> None:
    whole, cut = ((fresh().eval(), Recorder()) for _ in range(2))
    for (model, recorder), accumulate in ((whole, 1), (cut, parts)):
        model.train = lambda mode=True, model=model: model  # type: ignore[method-assign]  # BN would see the parts
        run(without_noise, model, recorder, clip_norm=0.1, accumulate=accumulate)
    for name, tensor in whole[0].state_dict().items():
        assert_near(cut[0].state_dict()[name], tensor, ROUNDING, name)
    for one, other in zip(whole[1].seen, cut[1].seen, strict=True):
        assert one["losses"] == pytest.approx(other["losses"], rel=ROUNDING)


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_gradients_are_cut_at_their_own_size_in_every_format(name: str) -> None:
    """fp16 scales the loss, and its gradients with it; how long they are is asked of the unscaled ones."""
    model, x = nn.Linear(4, 1, bias=False), torch.tensor([[2.0, -4.0, 4.0, 8.0]])  # of length 10
    before = model.weight.detach().clone()
    run(
        lambda model, batch: {"loss": model(x).float().sum() / 1024},  # powers of two survive every format
        model,
        Hook(),
        iterations=1,
        optimizer=build_sgd(model, lr=1.0, momentum=0.0, weight_decay=0.0),
        clip_norm=5 / 1024,
        precision=Precision(name, torch.device("cpu")),
    )
    # half as long; torch adds 1e-6 to the length that it divides by
    torch.testing.assert_close(before - model.weight, 0.1 * x / 2048, rtol=1e-3, atol=1e-7)


def test_only_losses_are_minimized_and_everything_is_told() -> None:
    model, recorder = fresh(), Recorder()

    def step(model: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
        loss = model(batch.images).square().mean()
        return {"loss_cls": loss, "error": 1e9 * loss.detach()}

    run(step, model, recorder)
    for seen in recorder.seen:
        assert seen["losses"]["loss"] == seen["losses"]["loss_cls"]
        assert seen["losses"]["error"] == pytest.approx(1e9 * seen["losses"]["loss"], rel=1e-5)


def test_a_start_in_the_middle_draws_what_the_whole_run_draws() -> None:
    drawn: dict[int, list[float]] = {0: [], 2: []}
    for start, values in drawn.items():
        model = fresh()

        def step(model: nn.Module, batch: ToyBatch, values: list[float] = values) -> dict[str, Tensor]:
            values.append(float(torch.rand(())))
            return {"loss": model(batch.images).square().mean()}

        run(step, model, Hook(), start=start)
    assert drawn[0][2:] == drawn[2]
    assert len(set(drawn[0])) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_loss_that_is_not_finite(value: float) -> None:
    model, recorder = fresh(), Recorder()

    def step(model: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
        loss = model(batch.images).square().mean()
        return {"loss_cls": loss, "loss_box": loss * (value if batch.iteration == 2 else 1.0)}

    weights = []
    recorder.after_step = lambda progress: weights.append(model[0].weight.detach().clone())  # type: ignore[method-assign]
    with pytest.raises(TrainingError) as caught:
        run(step, model, recorder)
    message = str(caught.value)
    assert f"iteration 3: the loss is not finite (loss {value}, loss_cls " in message
    assert f"loss_box {value})" in message
    assert "learning rate 0.0333333, images image_2_0.png, image_2_1.png, image_2_2.png, image_2_3.png;" in message
    assert len(caught.value.problems) == 1
    assert torch.equal(model[0].weight, weights[-1])  # the broken step did not reach the weights
    assert recorder.calls[-1] == "close"


def test_opposite_infinities_are_not_finite() -> None:
    model = fresh()

    def step(model: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
        loss = model(batch.images).square().mean()
        return {"loss_cls": loss + float("inf"), "loss_box": loss - float("inf")}

    with pytest.raises(TrainingError, match=r"loss nan, loss_cls inf, loss_box -inf"):
        run(step, model, Hook())


def test_batches_that_end() -> None:
    def two(start: int) -> Iterator[ToyBatch]:
        return itertools.islice(toy_batches(start), 2)

    with pytest.raises(TrainingError, match="the batches ended before iteration 3"):
        run(toy_step, fresh(), Hook(), batches=two)


def test_errors_of_a_step_close_the_hooks_and_put_the_handlers_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    model, recorder = fresh(), Recorder()

    def step(model: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
        raise KeyError(batch.iteration)

    with pytest.raises(KeyError):
        run(step, model, recorder)
    assert recorder.calls == ["before 0", "close"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def signalling(at: int, *numbers: signal.Signals) -> Step:
    def step(model: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
        if batch.iteration == at:
            for number in numbers:
                os.kill(os.getpid(), number)
        return toy_step(model, batch)

    return step


@pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGTERM, signal.SIGTERM)])
def test_signal_finishes_the_step_and_saves(numbers: tuple[signal.Signals, ...], capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    model, recorder = fresh(), Recorder()
    with pytest.raises(Interrupted, match=f"stopped by {numbers[0].name} after iteration 2; --resume continues") as caught:
        run(signalling(1, *numbers), model, recorder)
    assert caught.value.exit_status == 130
    assert recorder.calls == ["before 0", "after 1", "after 2", "interrupt 2", "close"]
    assert [seen["stopping"] for seen in recorder.seen] == [False, True]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert f"{numbers[0].name}: saving after this step" in capfd.readouterr().err


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_one_more_sigint_stops_at_once(first: signal.Signals) -> None:
    before = signal.getsignal(signal.SIGINT)
    model, recorder = fresh(), Recorder()
    with pytest.raises(KeyboardInterrupt):
        run(signalling(1, first, signal.SIGINT), model, recorder)
    assert recorder.calls == ["before 0", "after 1", "close"]
    assert signal.getsignal(signal.SIGINT) == before


def test_signal_before_the_first_step_takes_none() -> None:
    model, recorder = fresh(), Recorder()
    recorder.before_train = lambda progress: os.kill(os.getpid(), signal.SIGINT)  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="after iteration 2"):
        run(toy_step, model, recorder, start=2)
    assert recorder.calls == ["interrupt 2", "close"]


def test_training_off_the_main_thread_installs_no_handlers() -> None:
    model, recorder, seen = fresh(), Recorder(), []

    def step(model: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
        seen.append(signal.getsignal(signal.SIGINT))
        return toy_step(model, batch)

    thread = threading.Thread(target=run, args=(step, model, recorder))
    thread.start()
    thread.join()
    assert recorder.calls[-2:] == ["after 4", "close"]
    assert set(seen) == {signal.getsignal(signal.SIGINT)}
