"""From an image and classes to boxes: views, ensembles, votes, the second stage, and loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_detectors
import torch
from PIL import Image
from tiny_localizers import NAMES, tiny_localizer, tiny_rpn, written
from torch import Tensor
from torchvision.ops import nms

import resdet
from resdet.config.localization import LocalizerTestConfig
from resdet.data.loading.region_crops import warp_region
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.errors import ConfigError, DataError
from resdet.inference.load_localizer import load_localizers, make_localizer
from resdet.inference.localizer import Localizer, best_box
from resdet.inference.localizer_views import LocalizerViews
from resdet.models.detection.box_coder import BoxCoder

CPU = torch.device("cpu")


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)


def localizer(*models: Any, kind: str = "dense", sides: tuple[int, ...] = (64,), crop: int = 64, **options: Any) -> Localizer:
    return make_localizer(models, LocalizerTestConfig(views=kind, short_sides=list(sides), **options), crop)


def decoded(rpn: Any, pixels: Tensor, label: int) -> tuple[Tensor, Tensor]:
    """Boxes and probabilities of one class by the full computation of all classes."""
    with torch.no_grad():
        features = rpn.body(rpn.pixels.normalize(pixels[None]))
        logits, deltas = rpn.head(features)
    anchors = rpn.anchors(features.shape[-2], features.shape[-1])
    return BoxCoder().decode(deltas[0, label], anchors), 1 / (1 + torch.exp(-logits[0, label]))


def test_the_best_box_is_what_nms_keeps_first_and_its_neighbours_vote() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [2, 0, 12, 10], [6, 0, 16, 10], [40, 40, 50, 50]])
    scores = torch.tensor([0.6, 0.2, 0.3, 0.9, 0.5])
    # the fourth is best; the third overlaps it by 60 / 140, too little; the fifth is far
    box, score = best_box(boxes, scores, (60, 60), 0.5)
    assert (box.tolist(), score) == (pytest.approx([6, 0, 16, 10]), pytest.approx(0.9))
    scores[3] = 0.1
    # now the first: the second overlaps it by 0.8, the third by 80 / 120
    box, score = best_box(boxes, scores, (60, 60), 0.5)
    assert box.tolist() == pytest.approx([0.3 * 2 / 1.1, 0, 10 + 0.3 * 2 / 1.1, (6 + 0.2 * 8 + 3) / 1.1])
    assert score == pytest.approx(0.6)
    assert int(nms(boxes, scores, 0.3)[0]) == 0
    assert best_box(boxes, scores, (60, 60), 0.0)[0].tolist() == [0, 0, 10, 10]


@pytest.mark.parametrize(
    "boxes",
    [torch.zeros(0, 4), torch.tensor([[5.0, 5, 5, 9]]), torch.tensor([[1.0, 1, float("nan"), 9]])],
    ids=["none", "empty", "nan"],
)
def test_without_a_candidate_the_image_is_the_box(boxes: Tensor) -> None:
    box, score = best_box(boxes, torch.full((len(boxes),), 0.7), (30, 40), 0.5)
    assert (box.tolist(), score) == ([0, 0, 40, 30], 0)


def test_one_view_of_one_network() -> None:
    rpn, image = tiny_rpn(), noise(96, 64)
    pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())
    found, scores = localizer(rpn, vote_iou=0.0).localize(image, [2, 0])
    for place, label in enumerate((2, 0)):
        boxes, probabilities = decoded(rpn, pixels, label)
        best = int(probabilities.argmax())
        expected = torch.minimum(boxes[best].clamp(min=0), torch.tensor([96.0, 64, 96, 64]))
        torch.testing.assert_close(found[place], expected)
        torch.testing.assert_close(scores[place], probabilities[best])


def test_dense_at_the_size_of_the_crop_is_the_one_crop() -> None:
    rpn, image = tiny_rpn(), noise(64, 64)
    dense, center = (localizer(rpn, kind=kind).localize(image, [0, 1, 2]) for kind in ("dense", "center"))
    for one, other in zip(dense, center, strict=True):
        assert torch.equal(one, other)


def test_boxes_are_in_pixels_of_the_original_image() -> None:
    rpn, large = tiny_rpn(), noise(192, 128)
    small = LocalizerViews("dense", (64,), 64)(large)[0].pixels
    reduced = Image.fromarray(small.permute(1, 2, 0).numpy())
    ours, theirs = localizer(rpn).localize(large, [0, 1]), localizer(rpn, sides=(0,)).localize(reduced, [0, 1])
    torch.testing.assert_close(ours[0], 2 * theirs[0])
    assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("size", [(96, 64), (65, 64), (70, 101), (40, 30)], ids=str)
def test_the_centre_is_that_of_the_classifier(size: tuple[int, int]) -> None:
    image = noise(*size)
    for short_side in (0, 64, 81):
        (view,) = LocalizerViews("center", (short_side,), 64)(image)
        expected = ClassificationTestTransform(short_side, 64)(image)
        assert view.pixels.shape == (3, 64, 64)
        if min(size) >= 64 or short_side:
            assert torch.equal(view.pixels, expected)


def test_boxes_of_a_crop_are_moved_clipped_and_scaled() -> None:
    # 200 x 100, resized to 100 x 50; the square of 40 begins at (30, 5)
    (view,) = LocalizerViews("center", (50,), 40)(noise(200, 100))
    assert view.corner == (30, 5)
    found = view.on_image(torch.tensor([[0.0, 0, 40, 40], [-10, 10, 20, 90]]))
    assert found.tolist() == [[60, 10, 140, 90], [60, 30, 100, 90]]
    # 20 x 10 without resizing: the black frame is no part of the image
    (framed,) = LocalizerViews("center", (0,), 40)(noise(20, 10))
    assert framed.on_image(torch.tensor([[0.0, 0, 40, 40]])).tolist() == [[0, 0, 20, 10]]
    assert framed.pixels[:, :14].sum() == 0


def test_several_scales_join_their_candidates() -> None:
    rpn, image = tiny_rpn(), noise(96, 64)
    single = [localizer(rpn, sides=(side,), vote_iou=0.0).localize(image, [1]) for side in (64, 96)]
    boxes, scores = localizer(rpn, sides=(64, 96), vote_iou=0.0).localize(image, [1])
    best = max(single, key=lambda found: float(found[1][0]))
    assert torch.equal(boxes, best[0])
    assert torch.equal(scores, best[1])


def test_networks_of_the_same_anchors_are_averaged_anchor_by_anchor() -> None:
    image = noise(96, 64)
    pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())
    first, second = tiny_rpn(1), tiny_rpn(2)
    alone, twice = localizer(first).localize(image, [0]), localizer(first, first).localize(image, [0])
    torch.testing.assert_close(alone, twice)
    limit = torch.tensor([96.0, 64, 96, 64])
    members = [
        (torch.minimum(boxes.clamp(min=0), limit), scores) for boxes, scores in (decoded(m, pixels, 0) for m in (first, second))
    ]
    boxes, scores = ((members[0][part] + members[1][part]) / 2 for part in (0, 1))
    expected, score = best_box(boxes, scores, (64, 96), 0.5)
    found = localizer(first, second).localize(image, [0])
    torch.testing.assert_close(found[0][0], expected)
    assert found[1].item() == pytest.approx(score, rel=1e-5)


def test_candidates_of_other_anchors_are_joined() -> None:
    image = noise(96, 64)
    members = [tiny_rpn(1), tiny_rpn(2, anchors={"sizes": [48], "ratios": [1]})]
    single = [localizer(member, vote_iou=0.0).localize(image, [0]) for member in members]
    boxes, scores = localizer(*members, vote_iou=0.0).localize(image, [0])
    best = max(single, key=lambda found: float(found[1][0]))
    assert torch.equal(boxes, best[0])
    assert torch.equal(scores, best[1])


def test_an_ensemble_is_of_one_stage_and_the_same_classes() -> None:
    for other in (tiny_localizer(stage="rcnn"), tiny_rpn(names=("a", "b", "c"))):
        with pytest.raises(ConfigError, match="must be of one stage, and of the same classes"):
            localizer(tiny_rpn(), other)


def test_proposals_are_the_best_after_nms() -> None:
    rpn, image = tiny_rpn(), noise(96, 64)
    finder = localizer(rpn, proposals=5, nms_thresh=0.4)
    (boxes, scores), _ = finder.propose(finder.views(image), [1, 0])
    all_boxes, all_scores = finder._candidates([rpn], finder.views(image), [1])[0]
    order = all_scores.argsort(descending=True).tolist()
    kept: list[int] = []
    for index in order:  # greedy, in plain numbers
        x1, y1, x2, y2 = all_boxes[index].tolist()
        area = (x2 - x1) * (y2 - y1)
        overlaps = []
        for other in kept:
            a1, b1, a2, b2 = all_boxes[other].tolist()
            inner = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
            overlaps.append(inner / (area + (a2 - a1) * (b2 - b1) - inner))
        if min(x2 - x1, y2 - y1) >= 1 and all(overlap <= 0.4 for overlap in overlaps):
            kept.append(index)
    assert 1 < len(boxes) <= 5
    assert torch.equal(boxes, all_boxes[kept[:5]])
    assert torch.equal(scores, all_scores[kept[:5]])


def test_the_second_stage_scores_and_refines_the_proposals() -> None:
    model, image = tiny_localizer(4, stage="rcnn"), noise(96, 64)
    finder = localizer(model, proposals=4, vote_iou=0.0)
    found, scores = finder.localize(image, [2, 1])
    proposals = finder.propose(finder.views(image), [2, 1])
    for place, label in enumerate((2, 1)):
        references = proposals[place][0]
        squares = torch.stack([warp_region(image, tuple(box), 64) for box in references.tolist()])
        with torch.no_grad():
            logits, deltas = model.regions(squares, torch.full((len(squares),), label))
        best = int(logits.argmax())
        box = BoxCoder((10.0, 10.0, 5.0, 5.0)).decode(deltas[best, None], references[best, None])[0]
        torch.testing.assert_close(found[place], torch.minimum(box.clamp(min=0), torch.tensor([96.0, 64, 96, 64])))
        torch.testing.assert_close(scores[place], torch.sigmoid(logits[best]))


def test_second_stages_score_the_union_of_their_proposals() -> None:
    image, members = noise(96, 64), [tiny_localizer(seed, stage="rcnn") for seed in (4, 5)]
    both = localizer(*members, proposals=3)
    union = [torch.cat([localizer(member, proposals=3).propose(both.views(image), [0])[0][0] for member in members])]
    found = both.propose(both.views(image), [0])[0][0]
    assert torch.equal(found, union[0])
    alone, twice = (localizer(*models, proposals=3).localize(image, [0, 1]) for models in ([members[0]], [members[0]] * 2))
    torch.testing.assert_close(alone, twice, rtol=1e-4, atol=1e-4)


def test_no_class_no_box_and_labels_out_of_range() -> None:
    finder = localizer(tiny_rpn())
    boxes, scores = finder.localize(noise(64, 64), [])
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))
    with pytest.raises(ValueError, match=r"classes must be labels in 0 … 2, got \[3, -1\]"):
        finder.localize(noise(64, 64), [3, 0, -1])


@pytest.mark.parametrize("stage", ["rpn", "rcnn"])
def test_a_network_without_a_finite_box_answers_with_the_image(stage: str) -> None:
    model = tiny_localizer(stage=stage)
    rpn = model.rpn if stage == "rcnn" else model
    torch.nn.init.constant_(rpn.head.reg.bias, float("nan"))
    boxes, scores = localizer(model).localize(noise(96, 64), [0])
    assert (boxes.tolist(), scores.tolist()) == ([[0, 0, 96, 64]], [0])


@pytest.mark.parametrize(
    ("kind", "sides", "crop", "message"),
    [
        ("whole", (64,), 64, "'views' must be one of dense, center, got 'whole'"),
        ("dense", (), 64, "'short_sides' must be at least one number"),
        ("dense", (64, -1), 64, "each at least 0"),
        ("center", (64,), 0, "'crop' must be at least 1, got 0"),
    ],
)
def test_views_out_of_range(kind: str, sides: tuple[int, ...], crop: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LocalizerViews(kind, sides, crop)


def test_load_makes_a_localizer_of_a_model_file(tmp_path: Path) -> None:
    model, image = tiny_rpn(), noise(96, 64)
    path = written(tmp_path / "a.safetensors", model, crop=48, test={"short_sides": [64]})
    finder = resdet.load(path, device="cpu")
    assert finder.names == NAMES
    assert (finder.views, finder.vote_iou) == (LocalizerViews("dense", (64,), 48), 0.5)
    changed = resdet.load(path, device="cpu", test={"views": "center", "vote_iou": 0.0})
    assert (changed.views.kind, changed.vote_iou) == ("center", 0)
    expected = localizer(model).localize(image, [2, 0])
    found = finder.predict(image, ["emu", "cat"])
    order = expected[1].argsort(descending=True)
    assert torch.equal(found.boxes, expected[0][order])
    assert [found.names[label] for label in found.labels] == [["emu", "cat"][place] for place in order]
    with pytest.raises(ConfigError, match=r"unknown class 'emus' \(did you mean 'emu'\?\)"):
        finder.predict(image, ["emus"])
    with pytest.raises(ConfigError, match=r"model.test: unknown option 'view'"):
        resdet.load(path, device="cpu", test={"view": "center"})
    with pytest.raises(ConfigError, match=r"holds a localizer, which must be told classes"):
        resdet.predict(path, image, device="cpu")


def test_an_ensemble_from_files(tmp_path: Path) -> None:
    image, models = noise(96, 64), [tiny_rpn(1), tiny_rpn(2)]
    paths = [
        written(tmp_path / f"{number}.safetensors", model, test={"short_sides": [64]}) for number, model in enumerate(models)
    ]
    found = load_localizers(paths, CPU).localize(image, [0, 1, 2])
    for mine, theirs in zip(found, localizer(*models).localize(image, [0, 1, 2]), strict=True):
        assert torch.equal(mine, theirs)
    other = written(tmp_path / "c.safetensors", tiny_localizer(stage="rcnn"), stage="rcnn")
    with pytest.raises(ConfigError, match=r"0.safetensors, .*c.safetensors: an ensemble of localizers must be of one stage"):
        load_localizers([paths[0], other], CPU)


def test_an_ensemble_with_other_tasks(tmp_path: Path) -> None:
    ours, detector = written(tmp_path / "a.safetensors", tiny_rpn()), tmp_path / "b.safetensors"
    tiny_detectors.written(detector, tiny_detectors.tiny_detector())
    with pytest.raises(ConfigError, match=r"a.safetensors: holds a localization model; an ensemble is of detectors"):
        resdet.load([detector, ours], device="cpu")
    with pytest.raises(ConfigError, match=r"b.safetensors: must be a localizer, holds a model of task 'detection'"):
        resdet.load([ours, detector], device="cpu")


def test_a_card_without_the_crop(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", tiny_rpn(), crop=0)
    with pytest.raises(DataError, match=r"a.safetensors: its card: 'test.crop' must be 1 … 16384 pixels, got 0"):
        load_localizers([path], CPU)
