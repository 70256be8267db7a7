from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hook_parts import Lines, at

from resdet.engine.hooks import LogHook, ScheduleHook
from resdet.engine.lr_schedule import LearningRate, Plateau, WarmupUntilError
from resdet.engine.run import Progress

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("every", "due"), [(0, [10]), (1, list(range(1, 11))), (4, [4, 8, 10]), (5, [5, 10]), (10, [10]), (11, [10])]
)
def test_due(every: int, due: list[int]) -> None:
    assert [iteration for iteration in range(11) if at(iteration).due(every)] == due


def test_what_a_run_says_before_its_first_step() -> None:
    progress = vars(Progress(3, 10))
    assert math.isnan(progress.pop("score"))  # there was no evaluation
    assert progress == {
        "iteration": 3,
        "iterations": 10,
        "lr": 0,
        "losses": {},
        "data_time": 0,
        "step_time": 0,
        "stopping": False,
        "metrics": {},
    }
    assert progress["stopping"] is False


def test_log_lines_average_their_window() -> None:
    lines, display = Lines(), Lines()
    hook = LogHook([lines], display, every=4, device=CPU, notes={})
    hook.before_train(at(0))
    for iteration in range(1, 11):
        hook.after_step(at(iteration))
    hook.close()
    assert [record["iteration"] for record in lines.records] == [4, 8, 10]
    assert [record["loss"] for record in lines.records] == [5.0, 13.0, 19.0]
    assert [record["eta"] for record in lines.records] == [12.0, 4.0, 0.0]
    assert list(lines.records[0]) == ["iteration", "lr", "loss", "loss_cls", "time", "data_time", "eta", "memory"]
    assert lines.records[0].items() >= {"lr": 0.4, "loss_cls": 2.5, "time": 2.0, "data_time": 0.5}.items()
    assert 10 < lines.records[0]["memory"] < 100_000
    assert display.records == lines.records
    assert display.steps == [(iteration, 2.0 * iteration) for iteration in range(1, 11)]
    assert (lines.closed, display.closed) == (1, 1)


def test_every_line_has_the_times_of_its_own_steps() -> None:
    lines = Lines()
    hook = LogHook([lines], Lines(), every=2, device=CPU, notes={})
    for iteration, (step_time, data_time) in enumerate([(1.0, 0.5), (3.0, 0.25), (10.0, 1.0), (20.0, 3.0)], 1):
        progress = at(iteration)
        progress.step_time, progress.data_time = step_time, data_time
        hook.after_step(progress)
    assert [(record["time"], record["data_time"]) for record in lines.records] == [(2.0, 0.375), (15.0, 2.0)]


def test_the_learning_rate_hears_of_every_step_and_every_evaluation() -> None:
    schedule = LearningRate(0.1, Plateau(patience=1), WarmupUntilError())
    hook = ScheduleHook(schedule)
    progress = at(1, score=0.5)
    progress.losses["error"] = 0.25
    hook.after_step(progress)
    hook.after_step(progress)
    hook.after_evaluation(progress)
    assert schedule.state["warmup"]["errors"] == [0.25, 0.25]
    assert schedule.state["policy"]["best"] == 0.5


def test_memory_is_that_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: (5 + device.index) * 2**20)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 7 * 2**20)
    for device, memory in ((torch.device("cuda", 1), 6.0), (torch.device("mps"), 7.0)):
        lines = Lines()
        LogHook([lines], Lines(), every=1, device=device, notes={}).after_step(at(1))
        assert lines.records[0]["memory"] == memory


def test_log_window_survives_in_the_notes() -> None:
    notes: dict[str, Any] = {}
    broken, resumed = Lines(), Lines()
    for lines, steps in ((broken, (1, 2, 3)), (resumed, (4,))):
        hook = LogHook([lines], Lines(), every=4, device=CPU, notes=notes)
        for iteration in steps:
            hook.after_step(at(iteration))
    assert broken.records == []
    assert [record["loss"] for record in resumed.records] == [5.0]
    assert notes == {"log_window": {}}
