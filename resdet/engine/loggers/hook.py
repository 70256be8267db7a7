"""The hook that feeds loggers; no mistake of theirs ends a run."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, TextIO

from torch import nn

from resdet.engine.loggers.logger import Histogram, Logger, histogram
from resdet.engine.loggers.mlflow import MlflowLogger
from resdet.engine.loggers.tensorboard import TensorBoardLogger
from resdet.engine.loggers.trackio import TrackioLogger
from resdet.engine.loggers.weights_and_biases import WandbLogger
from resdet.engine.run import Hook, Run
from resdet.errors import ConfigError, ResdetError
from resdet.wording import reason_of

LOGGERS: dict[str, Callable[[Run], Logger]] = {
    "tensorboard": TensorBoardLogger,
    "wandb": WandbLogger,
    "mlflow": MlflowLogger,
    "trackio": TrackioLogger,
}
_log = logging.getLogger(__name__)


class LoggerHook(Hook):
    """Sends log lines and evaluations to loggers, and after an evaluation what there is to look at.

    A logger that fails is told of once and gets nothing more; the run goes on.

    Args:
        loggers: what makes each logger when training begins, by its name.
    """

    def __init__(self, loggers: dict[str, Callable[[Run], Logger]]) -> None:
        self._makers = loggers
        self._loggers: dict[str, Logger] = {}
        self._looks = True

    def before_train(self, run: Run) -> None:
        """Begin, or go on with, the run at each logger."""
        for name, make in self._makers.items():
            try:
                with _told_aside():
                    self._loggers[name] = make(run)
            except Exception as error:  # noqa: BLE001 - of a library and a network that are not ours
                _tell(name, error)

    def after_log(self, run: Run, record: dict[str, Any]) -> None:
        """Log a line of training."""
        values = dict(_numbers({"train": record}))
        values.pop("train/iteration", None)
        self._each(lambda logger: logger.scalars(values, run.iteration))

    def after_evaluation(self, run: Run) -> None:
        """Log the numbers of an evaluation, its pictures and curves, and the weights."""
        values = dict(_numbers({"eval": {**run.metrics, "score": run.score}}))
        self._each(lambda logger: logger.scalars(values, run.iteration))
        if self._loggers and self._looks:
            self._show(run)

    def close(self) -> None:
        """Finish at each logger."""
        self._each(lambda logger: logger.close())
        self._loggers.clear()

    def _show(self, run: Run) -> None:
        try:
            shown = run.task.shown()
        except (ResdetError, OSError) as error:  # of a picture that was there when it was evaluated
            self._looks = False
            _tell("pictures", error)
            return
        histograms = {f"detections/{name}": histogram(each) for name, each in shown.values.items() if each.numel()}
        histograms |= _weights(run.model)
        self._each(lambda logger: logger.histograms(histograms, run.iteration))
        pictures = {f"pictures/{name}": picture for name, picture in shown.pictures.items()}
        if pictures:
            self._each(lambda logger: logger.pictures(pictures, run.iteration))
        if shown.curves:
            self._each(lambda logger: logger.curves(shown.curves, run.iteration))

    def _each(self, act: Callable[[Logger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            try:
                with _told_aside():
                    act(logger)
            except Exception as error:  # noqa: BLE001 - as above
                _tell(name, error)
                del self._loggers[name]


def logger_hook(names: Sequence[str]) -> LoggerHook:
    """The hook for loggers of ``LOGGERS``; a ConfigError names each whose package is not installed."""
    problems = [
        f"option 'run.loggers': {name} needs a package that is not installed: pip install 'resdet[{name}]'"
        for name in names
        if find_spec(name) is None
    ]
    if problems:
        raise ConfigError(problems)
    return LoggerHook({name: LOGGERS[name] for name in names})


def _told_aside() -> contextlib.redirect_stdout[TextIO]:
    """A context in which what loggers print goes to standard error: standard output is for results."""
    return contextlib.redirect_stdout(sys.stderr)


def _tell(name: str, error: Exception) -> None:
    reason = reason_of(error)
    _log.warning("run.loggers: %s has failed, and gets no more of this run, which goes on: %s", name, reason)


def _weights(model: nn.Module) -> dict[str, Histogram]:
    """The weights of the convolutions and layers that train."""
    trained = ((name, each) for name, each in model.named_parameters() if each.requires_grad and each.ndim > 1)
    return {f"weights/{name}": histogram(each) for name, each in trained if bool(each.isfinite().any())}


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The finite numbers of nested dicts, each with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{name}/{key}" if name else str(key))
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        yield name, value
