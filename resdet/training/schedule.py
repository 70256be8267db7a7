"""Turns the schedule section of a run file into a learning rate."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from resdet.engine.lr_schedule import Cosine, Factor, LearningRate, LinearWarmup, Plateau, Steps, WarmupUntilError

if TYPE_CHECKING:
    from resdet.config.schema import OptimizerConfig, ScheduleConfig

_LONGEST_WARMUP = 500


def in_iterations(schedule: ScheduleConfig, images: int, batch: int) -> ScheduleConfig:
    """The same schedule with iterations instead of epochs, and with a number of warm-up iterations in place of -1.

    An epoch is ``images / batch`` iterations; results round up.
    """
    changes: dict[str, Any] = {}
    if schedule.epochs:
        changes |= {"epochs": 0.0, "iterations": math.ceil(schedule.epochs * images / batch)}
    if schedule.milestone_epochs:
        milestones = [max(1, math.ceil(milestone * images / batch)) for milestone in schedule.milestone_epochs]
        changes |= {"milestone_epochs": [], "milestones": milestones}
    if schedule.warmup_iterations < 0:
        changes["warmup_iterations"] = min(changes.get("iterations", schedule.iterations) // 10, _LONGEST_WARMUP)
    return replace(schedule, **changes)


def scaled_rate(optimizer: OptimizerConfig, batch: int) -> float:
    """The learning rate for steps of ``batch`` images: ``lr`` in proportion to the batch that it is for.

    Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.1.
    """
    return optimizer.lr * batch / optimizer.base_batch if optimizer.base_batch else optimizer.lr


def build_schedule(lr: float, schedule: ScheduleConfig) -> LearningRate:
    """The learning rate of a schedule in iterations."""
    policy: Factor = Steps(schedule.milestones, schedule.gamma)
    if schedule.policy == "plateau":
        policy = Plateau(schedule.gamma, schedule.patience, schedule.threshold)
    elif schedule.policy == "cosine":
        policy = Cosine(schedule.iterations)
    warmup: Factor = LinearWarmup(schedule.warmup_iterations, schedule.warmup_factor)
    if schedule.warmup_until_error:
        warmup = WarmupUntilError(schedule.warmup_until_error, schedule.warmup_factor)
    return LearningRate(lr, policy, warmup)
