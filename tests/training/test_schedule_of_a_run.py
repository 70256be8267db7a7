"""From the options of a schedule to learning rates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resdet.config.schema import DetectionRunConfig, OptimizerConfig, ScheduleConfig
from resdet.engine.lr_schedule import Cosine, LinearWarmup, Plateau, Steps, WarmupUntilError
from resdet.training.schedule import build_schedule, in_iterations, scaled_rate


def test_an_epoch_is_every_image_once() -> None:
    schedule = ScheduleConfig(epochs=90, milestone_epochs=[30, 60, 80], iterations=7)
    found = in_iterations(schedule, images=1_281_167, batch=256)  # ImageNet
    assert (found.iterations, found.milestones) == (450_411, [150_137, 300_274, 400_365])
    assert (found.epochs, found.milestone_epochs) == (0, [])


@given(images=st.integers(1, 2000), batch=st.integers(1, 300), epochs=st.floats(0.01, 20))
def test_so_many_iterations_show_so_many_epochs_and_one_less_does_not(images: int, batch: int, epochs: float) -> None:
    found = in_iterations(ScheduleConfig(epochs=epochs), images, batch).iterations
    assert found * batch >= epochs * images * (1 - 1e-9)
    assert (found - 1) * batch < epochs * images
    assert found >= 1


def test_a_schedule_in_iterations_stays_as_it_is() -> None:
    schedule = ScheduleConfig(iterations=100, milestones=[50], warmup_iterations=3)
    assert in_iterations(schedule, 10, 2) == schedule


def test_each_option_has_its_part() -> None:
    rate = build_schedule(0.1, ScheduleConfig(iterations=10, milestones=[4], gamma=0.5, warmup_iterations=2, warmup_factor=0.5))
    assert (rate.policy, rate.warmup) == (Steps([4], 0.5), LinearWarmup(2, 0.5))
    assert [rate(iteration) for iteration in (0, 1, 2, 3, 4)] == pytest.approx([0.05, 0.075, 0.1, 0.1, 0.05])
    assert build_schedule(0.1, ScheduleConfig(iterations=10, policy="cosine")).policy == Cosine(10)
    plateau = build_schedule(0.1, ScheduleConfig(policy="plateau", gamma=0.2, patience=3, threshold=0.01)).policy
    assert isinstance(plateau, Plateau)
    assert (plateau.gamma, plateau.patience, plateau.threshold) == (0.2, 3, 0.01)
    warmup = build_schedule(0.1, ScheduleConfig(warmup_until_error=0.8, warmup_factor=0.1)).warmup
    assert isinstance(warmup, WarmupUntilError)
    assert (warmup.error, warmup.factor) == (0.8, 0.1)


@pytest.mark.parametrize(("images", "batch", "epochs"), [(50_000, 24, 60), (50_000, 24, 15), (50_000, 128, 64)])
def test_whole_epochs_that_come_out_even_are_not_rounded_up(images: int, batch: int, epochs: int) -> None:
    assert images * epochs % batch == 0
    found = in_iterations(ScheduleConfig(epochs=2.0 * epochs, milestone_epochs=[epochs]), images, batch)
    assert (found.iterations, found.milestones) == (2 * images * epochs // batch, [images * epochs // batch])


@pytest.mark.parametrize(("iterations", "warmup"), [(3, 0), (19, 1), (2000, 200), (90_000, 500)])
def test_a_detector_warms_up_over_a_tenth_of_its_iterations(iterations: int, warmup: int) -> None:
    schedule = DetectionRunConfig().schedule
    schedule.iterations = iterations
    assert in_iterations(schedule, images=10, batch=2).warmup_iterations == warmup
    schedule.epochs, schedule.iterations = iterations / 5, 7
    assert in_iterations(schedule, images=10, batch=2).warmup_iterations == warmup
    assert in_iterations(ScheduleConfig(iterations=iterations), images=10, batch=2).warmup_iterations == 0


def test_a_learning_rate_is_for_its_batch() -> None:
    assert [scaled_rate(OptimizerConfig(lr=0.02, base_batch=16), batch) for batch in (2, 16, 64)] == [0.0025, 0.02, 0.08]
    assert scaled_rate(OptimizerConfig(lr=0.02), 2) == 0.02
