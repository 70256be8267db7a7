"""Which two scales a region is pooled at, the pyramid's pixels, and the maximum of the two features."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from close_detections import BOXES, SCORES
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_detectors import picture, tiny_detector
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import roi_align

from resdet.inference.multi_scale import ImagePyramid, Level, merged_features, select_adjacent_scales
from resdet.inference.regions import NetworkScorer

FRAME = (600, 800)
PYRAMID = [(side, side * 4 // 3) for side in (300, 600, 1200)]


def selected(box: list[float], size: tuple[int, int], levels: list[tuple[int, int]]) -> tuple[int, int]:
    lower, upper = select_adjacent_scales(torch.tensor([box]), size, levels)
    assert lower.dtype == upper.dtype == torch.int64
    return int(lower), int(upper)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (1.0, (1, 2)),  # smaller than 224 at the largest scale: the two largest
        (111.9, (1, 2)),
        (112.0, (1, 2)),  # 224 at the largest scale exactly
        (112.1, (1, 2)),
        (223.9, (1, 2)),
        (224.0, (1, 2)),  # 224 at the middle scale exactly: it is the lower of the two
        (224.1, (0, 1)),
        (447.9, (0, 1)),
        (448.0, (0, 1)),  # 224 at the smallest scale exactly
        (590.0, (0, 1)),  # larger than 224 at the smallest scale: the two smallest
    ],
)
def test_boundaries(side: float, expected: tuple[int, int]) -> None:
    assert selected([3, 5, 3 + side, 5 + side], FRAME, PYRAMID) == expected
    # the area counts, not the shape
    assert selected([0, 0, side * 2, side / 2], FRAME, PYRAMID) == expected


@pytest.mark.parametrize("box", [[0.0, 0, 0, 0], [5.0, 5, 5, 50], [0.0, 0, 800, 600]])
def test_degenerate_boxes_and_short_pyramids(box: list[float]) -> None:
    assert selected(box, FRAME, PYRAMID[:1]) == (0, 0)
    assert selected(box, FRAME, PYRAMID[:2]) == (0, 1)
    lower, upper = select_adjacent_scales(torch.zeros(0, 4), FRAME, PYRAMID)
    assert lower.shape == upper.shape == (0,)


@given(
    width=st.floats(1, 1000),
    height=st.floats(1, 1000),
    sides=st.lists(st.integers(16, 1500), min_size=2, max_size=7, unique=True).map(sorted),
)
def test_the_two_bracket_the_box_or_are_an_end(width: float, height: float, sides: list[int]) -> None:
    """Of all pairs of neighbours the one whose interval, in log scale, holds s* or is nearest to it."""
    levels = [(side, 2 * side) for side in sides]
    box = torch.tensor([[0, 0, width, height]])
    wanted = math.log(600 * 224 / math.sqrt(float(box[0, 2]) * float(box[0, 3])))  # the shorter side at which it is 224²
    logs = [math.log(side) for side in sides]

    def distance(pair: int) -> float:
        return max(logs[pair] - wanted, wanted - logs[pair + 1], 0.0)

    nearest = min(map(distance, range(len(sides) - 1)))
    lower, upper = selected([0, 0, width, height], (600, 1200), levels)
    assert upper == lower + 1
    assert distance(lower) <= nearest + 1e-9


def test_the_pyramid_is_resized_from_the_original() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (150, 400, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    levels = ImagePyramid((40, 60, 120), 60, 120)(image)
    # the longer side is the limit: 120 at 60, so 80 at 40 and 240 at 120
    assert [tuple(level.shape) for level in levels] == [(3, 30, 80), (3, 45, 120), (3, 90, 240)]
    for level in levels:
        resized = image.resize((level.shape[2], level.shape[1]), Image.Resampling.BILINEAR)
        assert np.array_equal(level.permute(1, 2, 0).numpy(), np.asarray(resized))


def regions_of_many_sizes() -> Tensor:
    return torch.tensor([[0.0, 0, 90, 60], [10, 10, 40, 50], [60, 20, 95, 63], [3, 3, 12, 14]])


@pytest.mark.parametrize("context", [False, True])
def test_features_are_the_maximum_of_two_scales(context: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both scales by hand, from the network's modules: pooling, conv5, average, maximum, the two layers."""
    monkeypatch.setattr("resdet.inference.multi_scale.CANONICAL_AREA", 30 * 30)
    model = tiny_detector(roi={"context": context})
    heads = model.roi_heads
    images = [picture(height=round(64 * factor), width=round(96 * factor)) for factor in (0.5, 1.0, 2.0)]
    base, regions = picture(), regions_of_many_sizes()
    scorer = NetworkScorer(model, base, images)

    def conv5(level: int, box: Tensor) -> Tensor:
        factor = (0.5, 1.0, 2.0)[level]
        features = model.trunk(model.pixels.normalize(base if level == 1 else images[level])[None])
        return heads.res5(roi_align(features, [box[None] * factor], 14, 1 / 16, 0, aligned=True))[0].mean((1, 2))

    def feature(box: Tensor) -> Tensor:
        side = math.sqrt(float((box[2] - box[0]) * (box[3] - box[1])))
        pair = (0, 1) if side > 30 else (1, 2)
        return torch.maximum(conv5(pair[0], box), conv5(pair[1], box))

    with torch.no_grad():
        rows = torch.stack([feature(box) for box in regions])
        if context:
            rows = torch.cat([rows, feature(torch.tensor([0.0, 0, 96, 64])).expand_as(rows)], dim=1)
        logits = F.linear(rows, heads.predictor.cls_score.weight, heads.predictor.cls_score.bias)
        deltas = F.linear(rows, heads.predictor.bbox_pred.weight, heads.predictor.bbox_pred.bias).reshape(-1, 3, 4)
        found = scorer.score(regions)
    torch.testing.assert_close(found.scores, logits.softmax(1)[:, :3], rtol=0, atol=SCORES)
    torch.testing.assert_close(found.boxes, heads.coder.decode(deltas, regions[:, None]), rtol=0, atol=BOXES)


def test_both_sides_of_an_image_have_their_own_factor() -> None:
    """An image that rounding has stretched: x and y of a region are scaled apart."""
    model, seen = tiny_detector(), []
    heads, pool = model.roi_heads, model.roi_heads.pooler.forward
    heads.pooler.forward = lambda features, boxes: (seen.append(boxes[0]), pool(features, boxes))[1]
    level = Level(torch.zeros(1, model.trunk.out_channels, 4, 6), (50, 192))
    with torch.no_grad():
        merged_features(heads, [level], torch.tensor([[8.0, 16, 48, 32]]), (100, 96))
    assert seen[0].tolist() == [[16, 8, 96, 16]]


def test_one_scale_of_the_image_s_own_size_is_the_image() -> None:
    model, image, regions = tiny_detector(), picture(), regions_of_many_sizes()
    with torch.no_grad():
        plain, pyramid = NetworkScorer(model, image), NetworkScorer(model, image, [image])
        assert torch.equal(plain.propose(), pyramid.propose())
        for ours, theirs in zip(vars(plain.score(regions)).values(), vars(pyramid.score(regions)).values(), strict=True):
            assert torch.equal(ours, theirs)


def test_proposals_come_from_the_image_s_own_scale() -> None:
    model, image = tiny_detector(), picture()
    levels = [picture(height=32, width=48), picture(height=128, width=192)]
    with torch.no_grad():
        assert torch.equal(NetworkScorer(model, image, levels).propose(), NetworkScorer(model, image).propose())
        assert NetworkScorer(model, image, levels).score(torch.zeros(0, 4)).boxes.shape == (0, 3, 4)
