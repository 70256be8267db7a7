"""Changes the number of iterations of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from resdet.data.sources.classification import build_classification_dataset
from resdet.training.schedule import in_iterations

if TYPE_CHECKING:
    from resdet.config.schema import ClassificationRunConfig, RunConfig, ScheduleConfig


def budgeted(config: ClassificationRunConfig, iterations: int | None, overrides: Sequence[str] = ()) -> ClassificationRunConfig:
    """The same run in so many ``iterations``, evaluated and logged as often as a short run needs.

    Args:
        config: the config of the run.
        iterations: at least 1; None returns the config unchanged.
        overrides: the ``key.path=value`` that the config was made with; when they set how often it evaluates or logs, this
            stays.

    Raises:
        ConfigError, DataError: with every problem of the training data, which gives the length of an epoch.
    """
    if iterations is None:
        return config
    images = len(build_classification_dataset(config.data.train))
    schedule = at_budget(in_iterations(config.schedule, images, config.run.batch), iterations)
    quick = quick_looks(config.run, iterations)
    said = [key for key in ("eval_every", "log_every") if any(text.startswith(f"run.{key}=") for text in overrides)]
    return replace(config, schedule=schedule, run=replace(quick, **{key: getattr(config.run, key) for key in said}))


def at_budget(schedule: ScheduleConfig, iterations: int) -> ScheduleConfig:
    """The same schedule in so many ``iterations``, at least 1: milestones and linear warm-up move in proportion, rounded.

    Args:
        schedule: in iterations, not in epochs.
        iterations: the iterations of the result. Milestones that fall together become one.
    """
    share = iterations / schedule.iterations
    return replace(
        schedule,
        iterations=iterations,
        milestones=sorted({max(1, round(milestone * share)) for milestone in schedule.milestones}),
        warmup_iterations=round(schedule.warmup_iterations * share),
    )


def quick_looks(run: RunConfig, iterations: int) -> RunConfig:
    """The same run with ten evaluations and at least fifty log lines, so that even a short run gives a useful curve."""
    return replace(run, eval_every=max(1, iterations // 10), log_every=max(1, min(run.log_every, iterations // 50)))
