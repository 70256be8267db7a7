"""One, two and four processes take the same steps: the same draws, and the same numbers but for rounding."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from coco_files import CocoFiles
from in_ranks import in_ranks
from shared_training import STEPS, Trained, classifier_options, detector_options, localizer_options, trained

# 30 steps of networks of 20 layers in float64, whose roundings of 1e-16 grow with the steps
NEAR = 1e-10


@pytest.fixture
def data(tiny_coco: CocoFiles) -> Path:
    """The tiny COCO data set, and beside it the same with objects of one class in each image."""
    content = tiny_coco.read()
    content["annotations"] = [each for each in content["annotations"] if each["category_id"] == 1 and not each["iscrowd"]]
    (tiny_coco.annotations.parent / "single.json").write_text(json.dumps(content))
    return tiny_coco.annotations.parent


def assert_same_training(found: list[Trained], expected: Trained, near: float) -> None:
    """Fail unless the processes have drawn what one process draws, and computed what it computes."""
    assert set.union(*(each.drawn for each in found)) == expected.drawn
    assert sum(len(each.drawn) for each in found) == len(expected.drawn)
    for each in found:
        assert len(each.losses) == len(expected.losses)
        for step, (own, whole) in enumerate(zip(each.losses, expected.losses, strict=True)):
            assert own.keys() == whole.keys()
            for name, value in own.items():  # the share of wrong answers is a mean in float32
                allowed = max(near, 1e-6) if name == "error" else near
                assert value == pytest.approx(whole[name], rel=allowed, abs=allowed), (step, name)
        for name, tensor in expected.weights.items():
            torch.testing.assert_close(each.weights[name], tensor, rtol=near, atol=near, msg=partial("{}: {}".format, name))
            assert torch.equal(each.weights[name], found[0].weights[name])


@pytest.mark.parametrize(("batch", "accumulate", "worlds", "steps"), [(7, 1, (2, 4), STEPS), (9, 2, (2,), 8)])
def test_classifiers(batch: int, accumulate: int, worlds: tuple[int, ...], steps: int) -> None:
    options = classifier_options(batch=batch, accumulate=accumulate)
    (expected,) = in_ranks(1, trained, options, torch.float64, steps)
    for world in worlds:
        assert_same_training(in_ranks(world, trained, options, torch.float64, steps), expected, NEAR)


@pytest.mark.parametrize(("batch", "accumulate", "worlds", "steps"), [(5, 1, (2, 4), STEPS), (7, 2, (2,), 8)])
def test_detectors(data: Path, batch: int, accumulate: int, worlds: tuple[int, ...], steps: int) -> None:
    options = detector_options(data, batch=batch, accumulate=accumulate)
    (expected,) = in_ranks(1, trained, options, torch.float64, steps)
    assert {kind for _, _, kind, _, _ in expected.drawn} == {"anchors", "regions"}
    assert {step for step, *_ in expected.drawn} == set(range(steps))
    for world in worlds:
        assert_same_training(in_ranks(world, trained, options, torch.float64, steps), expected, NEAR)


def test_localizers(data: Path) -> None:
    options = localizer_options(data)
    (expected,) = in_ranks(1, trained, options)
    assert expected.drawn
    for world in (2, 4):
        assert_same_training(in_ranks(world, trained, options), expected, NEAR)


@pytest.mark.parametrize("kind", ["classifier", "detector", "localizer"])
def test_the_first_step_in_float32(data: Path, kind: str) -> None:
    options: dict[str, Any] = {
        "classifier": classifier_options(),
        "detector": detector_options(data),
        "localizer": localizer_options(data),
    }[kind]
    (expected,) = in_ranks(1, trained, options, torch.float32, 1)
    for world in (2, 4):
        assert_same_training(in_ranks(world, trained, options, torch.float32, 1), expected, 1e-5)


def test_without_shared_statistics_all_processes_have_the_same_network() -> None:
    options = classifier_options(sync_bn=False)
    found = in_ranks(3, trained, options, torch.float64, 8)
    for name, tensor in found[0].weights.items():
        assert all(torch.equal(each.weights[name], tensor) for each in found), name
    (alone,) = in_ranks(1, trained, options, torch.float64, 8)
    assert not torch.allclose(found[0].weights["backbone.fc.weight"], alone.weights["backbone.fc.weight"], rtol=1e-3)
