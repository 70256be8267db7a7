"""Nobody hangs: whatever happens to one process, all end within seconds, with its message and its exit status."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import pytest
import torch
from in_ranks import Ended, ended_ranks, timed
from plain_task import PlainTask, plain_run
from torch import Tensor, nn

from resdet.distributed.ranks import Ranks
from resdet.engine.optimizer import build_sgd
from resdet.engine.run import Hook, Run
from resdet.engine.train_loop import train
from resdet.errors import ConfigError, DataError

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "engine"))  # noqa: PTH118, PTH120
from toy_run import ToyBatch, toy_batches, toy_model, toy_step

SECONDS = 10.0


def ended(function: Any, *args: Any, world: int = 2, patience: float = 60.0) -> list[Ended]:
    """How the processes end; fails when they take longer than they may."""
    seconds, found = timed(lambda: ended_ranks(world, function, *args, patience=patience))
    assert seconds < SECONDS + (patience if patience < SECONDS else 0)
    return found


def fail(ranks: Ranks, error: Any, who: int, others: str) -> None:
    """One process fails in a step, the others ask for its numbers or work on their own."""
    ranks.doing("iteration 7")
    ranks.sum([1.0])
    if ranks.rank == who:
        raise error
    if others == "work":
        time.sleep(100)
    ranks.sum([1.0])


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("others", ["ask", "work"])
def test_an_error_of_one_process_ends_all(who: int, others: str) -> None:
    found = ended(fail, DataError(["a.jpg: cut off", "b.jpg: no image"]), who, others, world=3)
    assert [each.status for each in found] == [3, 3, 3]
    told = [each.errors for each in found if "error" in each.errors]
    assert told == [f"error: rank {who}, iteration 7: a.jpg: cut off\nerror: rank {who}, iteration 7: b.jpg: no image\n"]


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ZeroDivisionError("by nought"), 1, "ZeroDivisionError: by nought"),
        (torch.OutOfMemoryError("CUDA out of memory"), 1, "out of memory"),
        (MemoryError(), 1, "MemoryError"),
    ],
)
def test_an_error_that_nobody_expected(error: Exception, status: int, text: str) -> None:
    found = ended(fail, error, 1, "ask")
    assert [each.status for each in found] == [status, status]
    assert text in found[1].errors
    assert "rank 1, iteration 7: " in found[1].errors
    assert "Traceback" not in found[0].errors


def fail_alike(ranks: Ranks) -> None:
    raise ConfigError("option 'run.batch' must be at least 1")


def test_an_error_of_all_is_told_once() -> None:
    found = ended(fail_alike, world=3)
    assert [each.status for each in found] == [2, 2, 2]
    assert "".join(each.errors for each in found) == "error: option 'run.batch' must be at least 1\n"


def hang(ranks: Ranks) -> None:
    ranks.doing("iteration 7")
    ranks.sum([1.0])
    if ranks.rank == 1:
        ranks.doing("iteration 8, a.jpg")
        time.sleep(100)
    ranks.sum([1.0])


def test_a_process_that_hangs() -> None:
    found = ended(hang, patience=2.0)
    assert [each.status for each in found] == [1, 1]
    assert found[0].errors == "error: rank 0 at iteration 7 has waited 2 s for rank 1 (iteration 8, a.jpg)\n"
    assert found[1].errors == ""


def die(ranks: Ranks, who: int) -> None:
    ranks.doing("iteration 7")
    ranks.sum([1.0])
    if ranks.rank == who:
        os.kill(os.getpid(), signal.SIGKILL)
    ranks.sum([1.0])


@pytest.mark.parametrize("who", [0, 1])
def test_a_process_that_is_killed(who: int) -> None:
    found = ended(die, who)
    assert found[who].status == -signal.SIGKILL
    assert found[1 - who].status == 1
    assert found[1 - who].errors.startswith(f"error: rank {1 - who}, iteration 7: another process is gone (")


class Calls(Hook):
    """Remembers the steps, and who was to save."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def after_step(self, run: Run) -> None:
        self.calls.append(f"step {run.iteration}")

    def on_interrupt(self, run: Run) -> None:
        self.calls.append(f"save {run.iteration}")

    def on_failure(self, run: Run) -> str:
        return f"told by rank {run.ranks.rank}"


def toy_training(ranks: Ranks, step: Any) -> None:
    """Steps of the toy network, of which each process takes batches of its own."""
    torch.manual_seed(0)
    model = toy_model()
    task = PlainTask(model, lambda network, batch: step(ranks, network, batch), toy_batches)
    hook = Calls()
    run = plain_run(task, build_sgd(model, 0.1, 0.9, 0), lambda _: 0.1, iterations=20, seed=7, hooks=[hook], ranks=ranks)
    try:
        train(run)
    finally:
        print(hook.calls[-2:], file=sys.stderr)


def diverging(ranks: Ranks, network: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
    losses = toy_step(network, batch)
    if ranks.rank == 1 and batch.iteration == 3:
        losses["loss_size"] = losses["loss_size"] * float("nan")
    return losses


def test_a_loss_that_is_not_finite_stops_all_before_their_weights() -> None:
    found = ended(toy_training, diverging)
    assert [each.status for each in found] == [1, 1]
    (told,) = [each.errors for each in found if "error: " in each.errors]
    assert "iteration 4: the loss is not finite (loss nan, loss_cls " in told
    assert told.count("image_3_0.png, image_3_1.png, image_3_2.png, image_3_3.png") == 1  # those of rank 1 alone
    assert "told by rank 0" in told
    assert all("['step 2', 'step 3']" in each.errors for each in found)


def interrupted(ranks: Ranks, network: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
    if ranks.rank == 1 and batch.iteration == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    return toy_step(network, batch)


def test_a_signal_to_one_process_stops_all_after_the_same_step() -> None:
    found = ended(toy_training, interrupted)
    assert [each.status for each in found] == [130, 130]
    assert all("['step 4', 'save 4']" in each.errors for each in found)
    told = "".join(each.errors for each in found)
    assert told.count("stopped by SIGTERM after iteration 4; --resume continues from there") == 1


def unreadable(ranks: Ranks, network: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
    if ranks.rank == 1 and batch.iteration == 3:
        raise DataError("a.jpg: cut off")
    return toy_step(network, batch)


def test_the_message_of_a_step_has_rank_and_iteration() -> None:
    found = ended(toy_training, unreadable)
    assert [each.status for each in found] == [3, 3]
    assert "error: rank 1, iteration 4: a.jpg: cut off" in found[1].errors
