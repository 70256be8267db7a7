"""The detector around its networks: sizes, devices, modes, every improvement alone and all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from close_detections import assert_close_detections, edges_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_detectors import NAMES, picture, same, tiny_detector
from torch import Tensor, nn

from resdet.config.schema import DetectionTestConfig, RoIConfig
from resdet.data.loading.batches import DetectionBatch
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.errors import ConfigError
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector, Improvements, detect_batches, detect_image
from resdet.inference.mode import evaluating
from resdet.inference.multi_scale import ImagePyramid
from resdet.inference.regions import NetworkScorer
from resdet.models.build.detector import build_postprocess, build_roi_heads
from resdet.ops.boxes import mirror_boxes
from resdet.structures import PIXEL_CONVENTIONS, Target


class WholeImage(nn.Module):
    """Finds in every image one object, the whole of it, and remembers how it was called."""

    names = ("thing",)
    pixels = PIXEL_CONVENTIONS["torchvision"]
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.Size, bool, bool]] = []
        self.rpn = OneRegion()
        postprocess = build_postprocess(DetectionTestConfig())
        self.roi_heads = build_roi_heads(RoIConfig(), nn.Conv2d(1, 1, 1), 1, 1.0, postprocess)  # type: ignore[arg-type]
        self.roi_heads.pooler, self.roi_heads.res5, self.roi_heads.predictor = AnyRegion(), nn.Identity(), Undecided()

    def trunk(self, images: Tensor) -> Tensor:
        self.seen += [(image.shape, self.training, torch.is_grad_enabled()) for image in images]
        return images


class OneRegion:
    """Proposes the whole image."""

    test_filter = None

    def predict(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return torch.zeros(1, 1), torch.zeros(1, 1, 4), torch.zeros(1, 4)

    def propose(
        self, logits: Tensor, deltas: Tensor, anchors: Tensor, sizes: Sequence[tuple[int, int]], keep: None
    ) -> list[tuple[Tensor, Tensor]]:
        return [(torch.tensor([[0.0, 0.0, width, height]]), logits[0]) for height, width in sizes]


class AnyRegion(nn.Module):
    def forward(self, features: Tensor, boxes: list[Tensor]) -> Tensor:
        return torch.zeros(len(boxes[0]), 1, 1, 1)


class Undecided(nn.Module):
    """The class and the background are equally likely, and the box is the region."""

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(features), 2), torch.zeros(len(features), 1, 4)


@given(height=st.integers(1, 400), width=st.integers(1, 400), short_side=st.integers(16, 600), max_side=st.integers(16, 1000))
def test_boxes_are_in_pixels_of_the_picture_and_inside_it(height: int, width: int, short_side: int, max_side: int) -> None:
    detector = Detector(WholeImage(), short_side=short_side, max_side=max_side)  # type: ignore[arg-type]
    found = detector.predict(np.zeros((height, width, 3), np.uint8))
    assert found.size == (height, width)
    assert found.boxes[0].tolist() == pytest.approx([0, 0, width, height], rel=1e-6)
    assert found.boxes[0, 2] <= width
    assert found.boxes[0, 3] <= height


def test_the_network_sees_the_resized_picture_in_eval_mode_without_gradients() -> None:
    model = WholeImage()
    detector = Detector(model, short_side=50, max_side=80)  # type: ignore[arg-type]
    detector.predict(np.zeros((100, 200, 3), np.uint8))
    assert model.seen == [((3, 40, 80), False, False)]


def test_threshold_is_inclusive_and_a_list_gives_a_list() -> None:
    detector = Detector(WholeImage(), short_side=32, max_side=64)  # type: ignore[arg-type]
    picture = np.zeros((20, 30, 3), np.uint8)
    assert [len(detector.predict(picture, score_thresh=score)) for score in (0.0, 0.5, 0.51)] == [1, 1, 0]
    assert [len(found) for found in detector.predict([picture, picture])] == [1, 1]
    assert detector.predict([]) == []


def test_batches_keep_ids_original_sizes_and_the_training_mode() -> None:
    model = WholeImage().train()
    targets = [Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (30, 60), image_id=key) for key in (7, 9)]
    images = [torch.zeros(3, 30, 60, dtype=torch.uint8)] * 2
    batch = DetectionBatch(images, targets, [(300, 600), (45, 90)])
    found = list(detect_batches([model], [batch]))  # type: ignore[list-item]
    assert [(item.image_id, item.size, item.boxes.tolist()) for item in found] == [
        (7, (300, 600), [[0, 0, 600, 300]]),
        (9, (45, 90), [[0, 0, 90, 45]]),
    ]
    assert model.training
    assert model.seen[0][1:] == (False, False)


def test_evaluating_restores_the_mode_after_an_error() -> None:
    model = nn.Dropout()
    with pytest.raises(ZeroDivisionError), evaluating(model):
        _ = 1 / model.training
    assert model.training
    model.eval()
    with evaluating(model):
        pass
    assert not model.training


def test_classifier_gives_the_best_first_and_never_more_than_there_are() -> None:
    class Fixed(nn.Module):
        names = ("a", "b", "c")

        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([0.0, 2.0, 1.0]))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape == (1, 3, 24, 24)
            assert images.dtype == torch.uint8
            return self.logits[None]

    classifier = ImageClassifier(Fixed(), short_side=32, crop=24)  # type: ignore[arg-type]
    best = classifier.predict(np.zeros((40, 60, 3), np.uint8))
    assert [name for name, _ in best] == ["b", "c", "a"]
    assert sum(score for _, score in best) == pytest.approx(1)
    assert classifier.predict(np.zeros((40, 60, 3), np.uint8), top=1) == best[:1]


# ----------------------------------------------------------------------------------------------------------- improvements

ALL = Improvements(refine=True, flip=True, short_sides=(32, 64, 128))
POST = {"score_thresh": 0.02, "nms_thresh": 0.3, "vote_iou": 0.5}


def levels(image: Tensor) -> list[Tensor]:
    height, width = image.shape[1:]
    return [image if factor == 1 else picture(0, round(height * factor), round(width * factor)) for factor in (0.5, 1, 2)]


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("test", [{}, POST, {"soft_nms": "gaussian"}])
def test_nothing_switched_on_is_the_model_bit_for_bit(context: bool, test: dict) -> None:
    model = tiny_detector(roi={"context": context}, test=test)
    for seed in range(3):
        image = picture(seed)
        (expected,) = model.detect([image])
        assert len(expected) > 3
        assert same(detect_image([model], image, Improvements()), expected)
        assert same(detect_image([model, model], image, Improvements(), shares=[0.3, 0.9]), expected)


def test_each_improvement_changes_something_and_off_is_the_baseline() -> None:
    """Every choice of switches: those that are off leave no trace, those that are on do."""
    model, image = tiny_detector(test=POST), picture()
    found = {
        (refine, flip, scales): detect_image(
            [model], image, Improvements(refine, flip), pyramid=levels(image) if scales else []
        )
        for refine, flip, scales in product((False, True), repeat=3)
    }
    assert same(found[False, False, False], model.detect([image])[0])
    different = list(found.values())
    assert not any(same(a, b) for index, a in enumerate(different) for b in different[:index])


@pytest.mark.parametrize("scales", [False, True])
def test_the_mirrored_picture_gets_the_mirrored_detections(scales: bool) -> None:
    """With the mirror image the two sides are equal, at every scale: only which of them comes first is another."""
    model, image = tiny_detector(), picture()
    regions = torch.tensor([[10.0, 10, 50, 50], [40, 5, 90, 60], [0, 20, 30, 40]])
    pyramid = levels(image) if scales else []
    found = detect_image([model], image, Improvements(flip=True), pyramid=pyramid, proposals=regions)
    turned = [level.flip(-1) for level in pyramid]
    mirrored = detect_image(
        [model], image.flip(-1), Improvements(flip=True), pyramid=turned, proposals=mirror_boxes(regions, 96)
    )
    assert len(found) > 3
    back = replace(mirrored, boxes=mirror_boxes(mirrored.boxes, 96))
    assert_close_detections(back, found, edges=edges_of(model.roi_heads.postprocess))


@pytest.mark.parametrize("test", [POST, {**POST, "soft_nms": "linear"}])
@pytest.mark.parametrize("seed", range(3))
def test_everything_together(seed: int, test: dict) -> None:
    members = [
        tiny_detector(1, roi={"context": True}, test=test),
        tiny_detector(2, backbone={"name": "resnet50", "width": 4, "pixels": "msra", "stride_in_1x1": True}),
    ]
    image = picture(seed)
    found = detect_image(members, image, ALL, pyramid=levels(image), shares=[2.0, 1.0])
    assert len(found) > 5
    assert found.names == tuple(NAMES)
    assert found.boxes.isfinite().all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= torch.tensor([96, 64, 96, 64])).all()
    assert (found.scores[:-1] >= found.scores[1:]).all()
    assert ((found.scores > 0.02) & (found.scores <= 1)).all()


@pytest.mark.parametrize("improvements", [Improvements(), ALL])
def test_no_proposals_and_no_detections(improvements: Improvements) -> None:
    image = picture()
    for context in (False, True):
        blind = tiny_detector(rpn={"min_size": 1000.0}, roi={"context": context})
        assert len(detect_image([blind, blind], image, improvements, pyramid=levels(image))) == 0
    strict = tiny_detector(test={"score_thresh": 1.0, "vote_iou": 0.5})
    assert len(detect_image([strict], image, improvements, pyramid=levels(image))) == 0


def test_precomputed_proposals_take_the_place_of_the_rpn() -> None:
    model, image = tiny_detector(), picture()
    regions = torch.tensor([[10.0, 10, 50, 50], [40, 5, 90, 60]])
    (expected,) = model.roi_heads.detect(model.trunk(model.pixels.normalize(image)[None]), [regions], [(64, 96)], NAMES)
    assert same(detect_image([model], image, Improvements(), proposals=regions), expected)
    target = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (64, 96))
    batch = DetectionBatch([image], [target], [(64, 96)], proposals=[regions], pyramid=[[image]])
    assert same(next(detect_batches([model], [batch])), expected)
    assert len(detect_image([model], image, ALL, proposals=torch.zeros(0, 4))) == 0


def test_the_detector_makes_the_pyramid_that_its_batches_have() -> None:
    model, pixels = tiny_detector(test=POST), picture(3, 90, 130)
    detector = Detector(model, short_side=60, max_side=80, improvements=ALL)
    found = detector.predict(pixels.permute(1, 2, 0).numpy())
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    target = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (90, 130))
    resized, _ = DetectionTestTransform(60, 80)(image, target)
    assert resized.shape == (3, 55, 80)
    pyramid = ImagePyramid((32, 64, 128), 60, 80)(image)
    assert [tuple(level.shape[1:]) for level in pyramid] == [(30, 43), (59, 85), (118, 171)]
    batch = DetectionBatch([resized], [target], [(90, 130)], pyramid=[pyramid])
    (expected,) = detect_batches([model], [batch], ALL)
    assert len(found) > 3
    assert same(found, expected)


def test_more_proposals_where_they_are_asked_for() -> None:
    detector = Detector(tiny_detector(1), tiny_detector(2), short_side=64, max_side=96)
    before = [replace(model.rpn.test_filter) for model in detector.models]
    assert detector.propose_at_least(20) == 20  # what they propose already
    assert [model.rpn.test_filter for model in detector.models] == before
    assert detector.propose_at_least(30) == 20
    expected = replace(before[0], pre_nms_top_n=600, post_nms_top_n=30)
    assert [model.rpn.test_filter for model in detector.models] == [expected] * 2
    assert detector.propose_at_least(1) == 30
    assert len(NetworkScorer(detector.models[0], picture(0), ()).propose()) == 30


def test_scales_must_increase() -> None:
    with pytest.raises(ConfigError, match=r"option 'model\.test\.short_sides' must increase, got \[600, 400\]"):
        Improvements(short_sides=(600, 400))


def test_scores_and_boxes_are_float32_under_autocast() -> None:
    model, image = tiny_detector(test=POST, rpn={"post_nms_top_n_test": 5}), picture(0, 32, 48)
    improvements, pyramid = Improvements(refine=True), levels(image)[:2]
    with torch.autocast("cpu", torch.bfloat16):
        found = detect_image([model, model], image, improvements, pyramid=pyramid)
    assert (found.boxes.dtype, found.scores.dtype) == (torch.float32, torch.float32)
    exact = detect_image([model, model], image, improvements, pyramid=pyramid)
    assert not same(found, exact)
    assert found.scores[0].item() == pytest.approx(exact.scores[0].item(), abs=0.1)
