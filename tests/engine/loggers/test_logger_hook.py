"""What loggers get, read back from TensorBoard's events; and that a failing logger ends nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from shown_runs import CURVE, lines_and_evaluation, logged_run
from tensorboard.backend.event_processing import event_accumulator

from resdet.engine.loggers.hook import LOGGERS, LoggerHook, logger_hook
from resdet.engine.loggers.logger import curves_picture, histogram
from resdet.errors import ConfigError, DataError


def events(folder: Path) -> event_accumulator.EventAccumulator:
    everything = dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0)
    found = event_accumulator.EventAccumulator(str(folder), everything)
    found.Reload()
    return found


def test_tensorboard_events_read_back(tmp_path: Path) -> None:
    lines_and_evaluation(LoggerHook({"tensorboard": LOGGERS["tensorboard"]}), logged_run(tmp_path))
    found = events(tmp_path)
    tags = found.Tags()
    assert set(tags["scalars"]) == {"train/lr", "train/loss", "eval/bbox/AP", "eval/score"}
    assert [(event.step, event.value) for event in found.Scalars("train/loss")] == [(4, 0.25), (8, 0.125)]
    assert tags["images"] == ["pictures/a"]
    (picture,) = found.Images("pictures/a")
    assert (picture.step, picture.width, picture.height) == (8, 20, 10)
    weights = found.Histograms("weights/0.weight")[0].histogram_value
    assert (weights.num, weights.min, weights.max) == (6, -0.5, 2.0)
    scores = found.Histograms("detections/score")[0].histogram_value
    assert scores.num == 3
    # three detections of 0.9, 0.8 and 0.3, of which the second is wrong, of four objects
    curve = found.Tensors("precision_recall/cat")[0].tensor_proto
    values = np.array(curve.float_val).reshape(6, 101)
    assert values[:, 0].tolist() == pytest.approx([2, 1, 0, 2, 2 / 3, 1 / 2])
    assert values[:, 85].tolist() == pytest.approx([1, 0, 0, 3, 1, 1 / 4])
    assert values[:, 100].tolist() == [0, 0, 0, 4, 0, 0]


def test_a_resumed_run_hides_what_came_after_its_state(tmp_path: Path) -> None:
    for start, last in ((0, 12), (8, 10)):
        hook, run = LoggerHook({"tensorboard": LOGGERS["tensorboard"]}), logged_run(tmp_path)
        run.iteration = start
        hook.before_train(run)
        for run.iteration in range(start + 1, last + 1):
            hook.after_log(run, {"iteration": run.iteration, "loss": float(last)})
        hook.close()
    steps = [(event.step, event.value) for event in events(tmp_path).Scalars("train/loss")]
    assert steps == [*((step, 12) for step in range(1, 9)), (9, 10), (10, 10)]


class Failing:
    """A logger that fails in one of its methods."""

    def __init__(self, where: str) -> None:
        self.where, self.calls = where, []

    def __getattr__(self, name: str) -> Any:
        def act(*_: object) -> None:
            self.calls.append(name)
            print("to standard output")
            if name == self.where:
                raise OSError("no\nnetwork")

        return act


@pytest.mark.parametrize("where", ["make", "scalars", "pictures", "curves", "histograms", "close"])
def test_a_failing_logger_is_told_once_and_ends_nothing(where: str, tmp_path: Path, capsys, caplog) -> None:
    failing, good = Failing(where), Failing("nowhere")

    def make(_: object) -> Any:
        if where == "make":
            raise OSError("no\nnetwork")
        return failing

    with caplog.at_level(logging.WARNING):
        lines_and_evaluation(LoggerHook({"bad": make, "good": lambda _: good}), logged_run(tmp_path))
    told = "run.loggers: bad has failed, and gets no more of this run, which goes on: no network"
    assert [record.getMessage() for record in caplog.records] == [told]
    assert good.calls == ["scalars", "scalars", "scalars", "histograms", "pictures", "curves", "close"]
    assert failing.calls == ([] if where == "make" else good.calls[: good.calls.index(where) + 1])
    assert capsys.readouterr().out == ""


def test_pictures_that_are_gone_end_nothing(tmp_path: Path, caplog) -> None:
    run, good = logged_run(tmp_path), Failing("nowhere")
    run.task.shown = lambda: (_ for _ in ()).throw(DataError("a.jpg: no such image file"))  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING):
        lines_and_evaluation(LoggerHook({"good": lambda _: good}), run)
    assert [record.getMessage().rpartition(": a")[2] for record in caplog.records] == [".jpg: no such image file"]
    assert good.calls == ["scalars", "scalars", "scalars", "close"]


def test_what_is_not_installed_is_told_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resdet.engine.loggers.hook.find_spec", lambda name: None if name != "tensorboard" else object())
    with pytest.raises(ConfigError) as caught:
        logger_hook(["tensorboard", "wandb", "trackio"])
    assert caught.value.problems == tuple(
        f"option 'run.loggers': {name} needs a package that is not installed: pip install 'resdet[{name}]'"
        for name in ("wandb", "trackio")
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 1, 2, 3, float("nan"), float("inf")], ([1, 1, 1, 1], 0, 3)), ([2.0, 2, 2], ([3], 1.5, 2.5))],
)
def test_histograms_are_numpys(values: list[float], expected: tuple[list[int], float, float]) -> None:
    counts, edges = histogram(torch.tensor(values))
    finite = np.array([value for value in values if np.isfinite(value)])
    numpys = np.histogram(finite, 64, (expected[1], expected[2]))
    assert [int(count) for count in counts if count] == expected[0]
    assert (counts == numpys[0]).all()
    assert edges == pytest.approx(numpys[1], abs=1e-12)
    with pytest.raises(ValueError, match="at least one finite value"):
        histogram(torch.tensor([float("nan")]))


def test_the_picture_of_curves_shows_each(tmp_path: Path) -> None:
    picture = curves_picture({"cat": CURVE})
    assert isinstance(picture, Image.Image)
    assert picture.mode == "RGB"
    assert (np.asarray(curves_picture({})) != np.asarray(picture)[: curves_picture({}).height]).any()
