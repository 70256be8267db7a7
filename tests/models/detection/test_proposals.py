import torch

from resdet.models.detection.box_coder import BoxCoder
from resdet.models.detection.proposals import ProposalFilter, select_proposals
from resdet.ops.iou import box_iou

TEN = ProposalFilter(10, 10, 0.7, 0.0)


def naive(
    logits: torch.Tensor, deltas: torch.Tensor, anchors: torch.Tensor, size: tuple[int, int], keep: ProposalFilter
) -> list:
    """Decode everything, then walk down the scores: the definition, with numbers instead of tensors."""
    boxes = BoxCoder().decode(deltas, anchors)
    ranked = logits.argsort(descending=True).tolist()[: keep.pre_nms_top_n]
    kept: list[list[float]] = []
    for index in ranked:
        x1, y1, x2, y2 = boxes[index].tolist()
        x1, x2 = (min(max(value, 0.0), size[1]) for value in (x1, x2))
        y1, y2 = (min(max(value, 0.0), size[0]) for value in (y1, y2))
        if x2 - x1 <= keep.min_size or y2 - y1 <= keep.min_size:
            continue
        box = torch.tensor([[x1, y1, x2, y2]])
        if not kept or box_iou(box, torch.tensor(kept)).max() <= keep.nms_thresh:
            kept.append([x1, y1, x2, y2])
    return kept[: keep.post_nms_top_n]


def test_equals_the_definition() -> None:
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(120, 2, generator=generator) * 140 - 20
    anchors = torch.cat([corner, corner + 5 + torch.rand(120, 2, generator=generator) * 60], dim=1)
    logits, deltas = torch.randn(120, generator=generator), torch.randn(120, 4, generator=generator) * 0.3
    for keep in (ProposalFilter(120, 50, 0.7, 0.0), ProposalFilter(40, 10, 0.5, 8.0), ProposalFilter(1000, 1, 0.0, 0.0)):
        boxes, scores = select_proposals(logits, deltas, anchors, BoxCoder(), (90, 110), keep)
        expected = naive(logits, deltas, anchors, (90, 110), keep)
        torch.testing.assert_close(boxes, torch.tensor(expected))
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_non_finite_predictions_are_dropped() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [20.0, 20, 30, 30], [40.0, 40, 50, 50]])
    deltas = torch.zeros(3, 4)
    deltas[1, 0] = torch.nan
    logits = torch.tensor([1.0, 2.0, torch.inf])
    boxes, _ = select_proposals(logits, deltas, anchors, BoxCoder(), (64, 64), TEN)
    assert boxes.tolist() == [[0.0, 0.0, 10.0, 10.0]]


def test_no_proposal_is_an_empty_tensor() -> None:
    outside = torch.tensor([[100.0, 100, 120, 120]])
    boxes, scores = select_proposals(torch.ones(1), torch.zeros(1, 4), outside, BoxCoder(), (64, 64), TEN)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)
