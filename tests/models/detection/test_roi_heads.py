import math

import pytest
import torch
from torch import Tensor, nn

from resdet.config.schema import DetectionTestConfig, RoIConfig
from resdet.models.build.detector import build_postprocess, build_roi_heads
from resdet.models.detection.roi_heads import RoIHeads
from resdet.structures import Target, TargetBatch

CLASSES = 3


def build_heads(top: int = 100, **options: float) -> RoIHeads:
    torch.manual_seed(0)
    postprocess = build_postprocess(DetectionTestConfig(detections_per_image=top))
    return build_roi_heads(RoIConfig(pooled_size=4, **options), nn.Conv2d(6, 5, 1), CLASSES, 1 / 16, postprocess)


def target(boxes: list[list[float]], labels: list[int], ignore: list[bool] | None = None) -> TargetBatch:
    flags = torch.tensor(ignore or [False] * len(labels), dtype=torch.bool)
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return TargetBatch.from_targets([Target(rows, torch.tensor(labels, dtype=torch.int64), (64, 96), ignore=flags)])


def test_the_ground_truth_is_a_candidate_and_background_is_label_k() -> None:
    heads = build_heads(batch_size_per_image=8, positive_fraction=0.5)
    proposals = [torch.tensor([[50.0, 0, 90, 40], [0.0, 0, 10, 10]])]
    regions = heads.sample_regions(proposals, target([[10, 10, 40, 40]], [2]))
    assert regions.labels.tolist() == [CLASSES, CLASSES, 2]
    assert regions.boxes[0].tolist() == [*proposals[0].tolist(), [10, 10, 40, 40]]
    assert regions.target_boxes.tolist() == [[10, 10, 40, 40]]


def test_positives_are_at_most_their_share_and_negatives_fill() -> None:
    heads = build_heads(batch_size_per_image=8, positive_fraction=0.25)
    objects = [[0, 0, 20 + i, 20] for i in range(6)]
    far = torch.tensor([[60.0, 40, 60 + i, 60] for i in range(1, 20)])
    regions = heads.sample_regions([far], target(objects, [0, 1, 2, 0, 1, 2]))
    assert len(regions.labels) == 8
    assert int((regions.labels < CLASSES).sum()) == 2


def test_the_defaults_are_those_of_fast_rcnn() -> None:
    """512 regions an image, a quarter of them positive, from an IoU of 0.5 on."""
    far = torch.tensor([[50.0, 0, 51 + i / 20, 40] for i in range(600)])
    near, half = torch.tensor([[10.0, 10, 40, 40]]).expand(200, 4), torch.tensor([[10.0, 10, 40, 25]])
    objects = target([[10, 10, 40, 40]], [2])
    regions = build_heads().sample_regions([torch.cat([far, near])], objects)
    assert len(regions.labels) == 512
    assert int((regions.labels == 2).sum()) == 128
    regions = build_heads().sample_regions([torch.cat([half, half - torch.tensor([0.0, 0, 0, 1])])], objects)
    assert regions.labels.tolist() == [2, CLASSES, 2]  # the half, a little less, and the object itself


def test_losses_by_hand() -> None:
    heads = build_heads(batch_size_per_image=8, positive_fraction=0.5)
    features = torch.randn(1, 6, 4, 6)
    regions = heads.sample_regions([torch.tensor([[50.0, 0, 90, 40]])], target([[10, 10, 40, 40]], [1]))
    logits, deltas = heads(features, regions.boxes, regions.sizes)
    losses = heads.losses(features, regions)
    rows = zip(logits.tolist(), (CLASSES, 1), strict=True)
    chosen = [math.log(sum(math.exp(value) for value in row)) - row[label] for row, label in rows]
    assert losses["loss_roi_cls"].item() == pytest.approx(sum(chosen) / 2, rel=1e-5)
    d = deltas[1, 1].abs()  # the region is the object itself: the target deltas are 0
    assert losses["loss_roi_box"].item() == pytest.approx((0.5 * d * d).sum().item() / 2, rel=1e-5)


def test_no_object_at_all_keeps_every_loss_in_the_graph() -> None:
    heads = build_heads()
    losses = heads.losses(torch.randn(1, 6, 4, 6), heads.sample_regions([torch.tensor([[0.0, 0, 9, 9]])], target([], [])))
    assert losses["loss_roi_box"].item() == 0
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in heads.parameters())


def test_no_region_at_all() -> None:
    heads = build_heads()
    features = torch.randn(1, 6, 4, 6)
    losses = heads.losses(features, heads.sample_regions([torch.zeros(0, 4)], target([], [])))
    assert sum(losses.values()).item() == 0
    sum(losses.values()).backward()
    (found,) = heads.detect(features, [torch.zeros(0, 4)], [(64, 96)])
    assert len(found) == 0


def test_a_crowd_region_is_no_background() -> None:
    heads = build_heads()
    inside = torch.tensor([[10.0, 10, 30, 30], [70.0, 40, 90, 60]])
    regions = heads.sample_regions([inside], target([[0, 0, 40, 40]], [0], [True]))
    assert regions.boxes[0].tolist() == [[70, 40, 90, 60]]


def test_images_of_different_many_proposals_and_objects_are_each_as_if_alone() -> None:
    heads = build_heads()  # everything is drawn
    objects = [([[10, 10, 40, 40], [50, 0, 90, 40]], [1, 2]), ([], []), ([[5, 5, 30, 30]], [0])]
    proposals = [
        torch.tensor([[0.0, 0, 20, 20]]),
        torch.tensor([[0.0, 0, 9, 9], [10, 10, 40, 40], [5, 5, 30, 30]]),
        torch.tensor([[6.0, 5, 30, 30], [60, 40, 90, 60]]),
    ]
    targets = [
        Target(torch.tensor(boxes).float().view(-1, 4), torch.tensor(labels).long(), (64, 96)) for boxes, labels in objects
    ]
    regions = heads.sample_regions(proposals, TargetBatch.from_targets(targets))
    alone = [heads.sample_regions([boxes], target(*found)) for boxes, found in zip(proposals, objects, strict=True)]
    assert [boxes.tolist() for boxes in regions.boxes] == [each.boxes[0].tolist() for each in alone]
    assert regions.labels.tolist() == [label for each in alone for label in each.labels.tolist()]
    assert regions.target_boxes.tolist() == [box for each in alone for box in each.target_boxes.tolist()]
    assert [len(boxes) for boxes in regions.boxes] == [3, 3, 3]  # and no padding
    assert regions.labels.tolist() == [3, 1, 2, 3, 3, 3, 0, 3, 0]


@pytest.mark.parametrize("counts", [(20, 20), (20, 5), (0, 20)])
def test_each_image_keeps_its_own_regions(counts: tuple[int, int]) -> None:
    """Where each gives as many as are drawn, and where one has fewer."""
    proposals = [torch.tensor([[x, 40.0, x + 9, 60]]).repeat(count, 1) for x, count in zip((0.0, 50.0), counts, strict=True)]
    nothing = [Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (64, 96))] * 2
    found = build_heads(batch_size_per_image=8).sample_regions(proposals, TargetBatch.from_targets(nothing)).boxes
    for boxes, own in zip(found, proposals, strict=True):
        assert torch.equal(boxes, own[:8])


def test_a_label_beyond_the_classes_is_named() -> None:
    box = torch.tensor([[0.0, 0, 9, 9]])
    targets = [Target(box, torch.tensor([label]), (64, 96), path=f"{label}.jpg") for label in (2, 3, 0)]
    with pytest.raises(ValueError, match=r"3\.jpg: label 3, but the detector has 3 classes"):
        build_heads().sample_regions([torch.zeros(0, 4)] * 3, TargetBatch.from_targets(targets))


def naive_detections(boxes: Tensor, scores: Tensor, heads: RoIHeads, size: tuple[int, int]) -> list[tuple[float, int]]:
    rows = []
    for label in range(CLASSES):
        kept: list[tuple[float, list[float]]] = []
        for score, box in sorted(zip(scores[:, label].tolist(), boxes[:, label].tolist(), strict=True), reverse=True):
            x1, y1, x2, y2 = (min(max(v, 0.0), size[1 - i % 2]) for i, v in enumerate(box))
            if score <= heads.postprocess.score_thresh:
                continue
            for _, (a1, b1, a2, b2) in kept:
                inter = max(0.0, min(x2, a2) - max(x1, a1)) * max(0.0, min(y2, b2) - max(y1, b1))
                union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - inter
                if inter / union > heads.postprocess.nms_thresh:
                    break
            else:
                kept.append((score, [x1, y1, x2, y2]))
        rows += [(score, label) for score, _ in kept]
    return sorted(rows, reverse=True)[: heads.postprocess.detections_per_image]


@pytest.mark.parametrize("top", [5, 100])
def test_detections_equal_the_definition(top: int) -> None:
    heads = build_heads(top)
    generator = torch.Generator().manual_seed(2)
    corner = torch.rand(40, CLASSES, 2, generator=generator) * 60 - 5
    boxes = torch.cat([corner, corner + 6 + torch.rand(40, CLASSES, 2, generator=generator) * 30], dim=2)
    scores = torch.rand(40, CLASSES, generator=generator).pow(3)
    found = heads.postprocess(boxes, scores, (64, 96))
    expected = naive_detections(boxes, scores, heads, (64, 96))
    assert found.labels.tolist() == [label for _, label in expected]
    torch.testing.assert_close(found.scores, torch.tensor([score for score, _ in expected]))


def test_non_finite_boxes_are_dropped() -> None:
    heads = build_heads()
    boxes = torch.tensor([[[0.0, 0, 10, 10]] * CLASSES, [[0.0, torch.nan, 10, 10]] * CLASSES])
    found = heads.postprocess(boxes, torch.full((2, CLASSES), 0.5), (64, 96))
    assert len(found) == CLASSES
    assert torch.isfinite(found.boxes).all()
