"""Proposals and detections of a whole batch as a GPU computes them, by interpreted kernels, against those of image after image.

``tests/ops/test_triton_kernels.py`` starts a process for this file.
"""

from __future__ import annotations

import os

import pytest
import torch
from close_detections import assert_close_detections, edges_of
from suppression import on_a_grid
from tiny_detectors import picture, tiny_detector
from torch import Tensor

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("TRITON_INTERPRET=1 is needed", allow_module_level=True)

from resdet.models.detection import on_gpu
from resdet.models.detection.box_coder import BoxCoder
from resdet.models.detection.on_gpu import batched_proposals
from resdet.models.detection.postprocess import Postprocess
from resdet.models.detection.proposals import ProposalFilter, select_proposals

PLACES = [f"resdet.models.detection.{name}.has_gpu_kernels" for name in ("rpn", "postprocess", "prepared.pooling")]


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in PLACES:
        monkeypatch.setattr(place, lambda _: True)


@pytest.mark.parametrize("keep", [ProposalFilter(90, 20, 0.7, 0.0), ProposalFilter(500, 200, 0.5, 12.0)])
def test_proposals(keep: ProposalFilter) -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = [(64, 96), (50, 30), (4, 5)]
    anchors = on_a_grid(150, 80, seed=3)
    logits = torch.randperm(450, generator=generator).view(3, 150).float()
    deltas = torch.randn(3, 150, 4, generator=generator) * 0.3
    logits[0, 3], logits[1, 4], deltas[0, 7, 1] = torch.nan, torch.inf, torch.nan
    found = batched_proposals(logits, deltas, anchors, BoxCoder(), sizes, keep)
    assert len(found) == 3
    for (boxes, scores), own, own_deltas, size in zip(found, logits, deltas, sizes, strict=True):
        expected, expected_scores = select_proposals(own, own_deltas, anchors, BoxCoder(), size, keep)
        assert torch.equal(boxes, expected)
        assert torch.equal(scores, expected_scores)


def test_no_proposals() -> None:
    ((boxes, scores),) = batched_proposals(
        torch.ones(1, 1),
        torch.zeros(1, 1, 4),
        torch.tensor([[90.0, 90, 99, 99]]),
        BoxCoder(),
        [(64, 64)],
        ProposalFilter(9, 9, 0.7, 0.0),
    )
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))


@pytest.mark.parametrize("most", [4096, 40])
@pytest.mark.parametrize("regions", [[0, 40, 1], [0, 0, 0], [25, 25, 25]])
@pytest.mark.parametrize("top", [10, 100])
def test_detections(most: int, regions: list[int], top: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the best few do not tell, and the reference takes an image over."""
    monkeypatch.setattr(on_gpu, "MOST", most)
    generator = torch.Generator().manual_seed(sum(regions))
    count, classes = sum(regions), 3
    boxes = on_a_grid(count * classes, 40, seed=5).view(count, classes, 4)
    scores = torch.randperm(count * classes, generator=generator).view(count, classes).float() / max(count * classes, 1)
    if count:
        boxes[0, 0] = torch.nan
    sizes = [(64, 96), (50, 30), (70, 70)]
    postprocess = Postprocess(0.2, 0.5, top, "none", 0.5, 0.0)
    found = postprocess.of_all(boxes, scores, regions, sizes, ["a", "b", "c"])
    parts = zip(boxes.split(regions), scores.split(regions), sizes, strict=True)
    for mine, (own, own_scores, size) in zip(found, parts, strict=True):
        expected = postprocess(own, own_scores, size, ["a", "b", "c"])
        assert torch.equal(mine.boxes, expected.boxes)
        assert torch.equal(mine.scores, expected.scores)
        assert torch.equal(mine.labels, expected.labels)
        assert (mine.size, mine.names) == (expected.size, expected.names)


@pytest.mark.parametrize("options", [{}, {"soft_nms": "linear"}, {"vote_iou": 0.5}])
def test_choices_that_have_no_kernel_are_made_image_by_image(options: dict[str, object]) -> None:
    chosen = {"soft_nms": "none", "soft_nms_sigma": 0.5, "vote_iou": 0.0, **options}
    postprocess = Postprocess(0.2, 0.5, 10, **chosen)  # type: ignore[arg-type]
    boxes = on_a_grid(20, 40, seed=5)[:, None]
    scores = torch.linspace(0, 1, 20)[:, None]
    (found,) = postprocess.of_all(boxes, scores, [20], [(64, 96)])
    assert torch.equal(found.boxes, postprocess(boxes, scores, (64, 96)).boxes)


def test_a_prepared_detector() -> None:
    model = tiny_detector(rpn={"pre_nms_top_n_test": 70, "post_nms_top_n_test": 6}, roi={"pooled_size": 4})
    images = [picture(0), picture(1, 48, 80)]
    with pytest.MonkeyPatch.context() as patch:
        for place in PLACES:
            patch.setattr(place, lambda _: False)
        expected = model.detect(images)
    pooled: list[Tensor] = []
    prepared = model.prepare()
    prepared.roi_heads.regions.head.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0]))
    for found, wanted in zip(prepared.detect(images), expected, strict=True):
        assert len(found)
        assert_close_detections(found, wanted, edges=edges_of(model.roi_heads.postprocess))
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in pooled)
