"""The rules by which a plan chooses, on data made for each."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import box_iou

from resdet.data.formats.coco import read_coco
from resdet.data.transforms.sizes import resized_size
from resdet.errors import ConfigError
from resdet.training.durations import spelled
from resdet.training.plan import choose, parse_budget
from resdet.training.plan.facts import DataFacts, facts_of


def facts(**changes: object) -> DataFacts:
    """100 photos of 480 x 640 with objects a quarter as wide as the photo is high."""
    usual = DataFacts(100, 200, ("a",), 480.0, 4 / 3, np.full(200, 0.25), np.ones(200), 3)
    return dataclasses.replace(usual, **changes)


@pytest.mark.parametrize(
    ("scale", "short_side", "side"),
    [
        (0.25, 480, 320),  # 80 pixels at 320: enough
        (0.1, 480, 320),  # 32 pixels at 320
        (0.08, 480, 400),  # 26 at 320, 32 at 400
        (0.05, 480, 720),  # 32 at 640
        (0.01, 480, 720),  # never 32: as far as 1.5 times the photo's own pixels
        (0.01, 2000, 800),
        (0.01, 64, 320),
    ],
)
def test_the_side_at_which_objects_have_32_pixels(scale: float, short_side: float, side: int) -> None:
    assert choose.wanted_side(facts(scales=np.full(200, scale), short_side=short_side)) == side


def test_nine_of_ten_objects_decide() -> None:
    scales = np.full(100, 0.25)
    scales[:9] = 0.01
    assert choose.wanted_side(facts(scales=scales)) == 320
    scales[:12] = 0.05
    assert choose.wanted_side(facts(scales=scales)) == 720


def test_sides_go_down_to_the_least() -> None:
    sides = [800]
    while (smaller := choose.smaller_side(sides[-1])) is not None:
        sides.append(smaller)
    assert sides == [800, 720, 600, 480, 400, 320, 256]


@pytest.mark.parametrize(("aspect", "limit"), [(1.0, 427), (4 / 3, 427), (1.5, 480), (5.0, 534)])
def test_the_longer_side(aspect: float, limit: int) -> None:
    assert choose.longer_side(facts(aspect=aspect), 320) == limit


@pytest.mark.parametrize("seed", range(5))
def test_an_anchor_of_some_size_overlaps_every_object_by_half(seed: int) -> None:
    """Objects of any usual shape, centred on a position, have an anchor with IoU 0.5 or nearly so."""
    rng = np.random.default_rng(seed)
    scales = np.exp(rng.uniform(np.log(0.1), np.log(0.9), 500))
    ratios = np.exp(rng.uniform(np.log(0.4), np.log(2.5), 500))
    known = facts(scales=scales, ratios=ratios)
    side = 400
    sizes, shapes = choose.anchor_sizes(known, side), choose.anchor_ratios(known)
    assert shapes == [0.5, 1.0, 2.0]

    def boxes(size: np.ndarray, ratio: np.ndarray) -> torch.Tensor:
        wide, high = size / np.sqrt(ratio), size * np.sqrt(ratio)
        return torch.from_numpy(np.stack([-wide / 2, -high / 2, wide / 2, high / 2], axis=1))

    pairs = np.array([(size, ratio) for size in sizes for ratio in shapes])
    best = box_iou(boxes(scales * side, ratios), boxes(*pairs.T)).max(1).values
    middle = (scales >= np.quantile(scales, 0.05)) & (scales <= np.quantile(scales, 0.95))
    assert best[middle].min() > 0.45
    assert (best[middle] >= 0.5).double().mean() > 0.95


def test_anchors_of_objects_of_one_size() -> None:
    sizes = choose.anchor_sizes(facts(), 320)
    assert len(sizes) == 3
    assert sizes[0] == 80
    assert all(1 < large / small <= 2 for small, large in itertools.pairwise(sizes))


@pytest.mark.parametrize(
    ("ratio", "ratios"),
    [
        (1.0, [0.5, 1, 2]),
        (0.25, [0.33, 0.5, 1, 2]),
        (4.0, [0.5, 1, 2, 3]),
        (0.07, [0.08, 0.17, 0.33, 0.5, 1, 2]),
        (13.0, [0.5, 1, 2, 3, 6, 12]),
    ],
)
def test_long_objects_get_anchors_of_their_shape(ratio: float, ratios: list[float]) -> None:
    known = facts(ratios=np.where(np.arange(200) % 5, 1.0, ratio))
    assert choose.anchor_ratios(known) == ratios


@pytest.mark.parametrize(("crowd", "regions"), [(1, 32), (8, 32), (20, 80), (100, 128)])
def test_a_crowd_gets_more_regions(crowd: int, regions: int) -> None:
    assert choose.regions_an_image(facts(crowd=crowd), 32, 128) == regions


def test_steps_fill_the_time_but_not_beyond_use() -> None:
    assert choose.iterations_within(1000, 0.5, 500, 2, epochs=100) == 2000
    assert choose.iterations_within(1000, 0.5, 20, 2, epochs=100) == 1000
    assert choose.iterations_within(1, 0.5, 20, 2, epochs=100) == 20
    assert choose.enough_iterations(100, 2) == 600
    assert choose.enough_iterations(1000, 2) == 1500
    assert choose.enough_iterations(10**6, 2) == 2000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30min", 1800),
        ("30", 1800),
        ("2h", 7200),
        ("1h30min", 5400),
        ("1h 30m", 5400),
        ("45s", 45),
        ("0.5h", 1800),
        ("1d", 86400),
    ],
)
def test_budgets(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "min", "abc", "30 parsecs", "-5min", "0", "1s", "nan", "inf", "9999999h", "1h-5min"])
def test_budgets_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="--budget must be"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45 seconds"), (1680, "28 minutes"), (12600, "3.5 hours"), (259200, "3.0 days")]
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert spelled(seconds) == text


def test_objects_of_long_images_are_measured_as_training_sees_them(tmp_path: Path) -> None:
    """A strip of 1600 x 200 pixels is shrunk to the longer side, and its objects with it."""
    Image.new("RGB", (1600, 200)).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 1600, "height": 200}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [100, 50, 100, 100]}],
        "categories": [{"id": 1, "name": "a"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    known = facts_of(read_coco(tmp_path, tmp_path / "a.json"))
    side = choose.wanted_side(known)
    _, width = resized_size((200, 1600), side, choose.longer_side(known, side))
    assert known.scales * side == pytest.approx(100 * width / 1600, rel=0.01)
