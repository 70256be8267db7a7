import math

import torch
from torch.nn import functional as F

from resdet.config.schema import RPNConfig
from resdet.models.build.detector import build_rpn
from resdet.models.detection.anchors import AnchorGrid, cell_anchors
from resdet.models.detection.matcher import BETWEEN, match
from resdet.models.detection.rpn import RPN, RPNHead
from resdet.structures import Target, TargetBatch


def small_rpn(**options: float) -> RPN:
    torch.manual_seed(0)
    anchors = AnchorGrid(cell_anchors([16.0, 32.0], [1.0]), stride=16)
    counts = {"pre_nms_top_n_train": 100, "post_nms_top_n_train": 20, "pre_nms_top_n_test": 100, "post_nms_top_n_test": 5}
    return build_rpn(RPNConfig(**counts, **options), anchors, 8)


def image(*boxes: list[float], ignore: list[bool] | None = None) -> Target:
    flags = torch.tensor(ignore if ignore is not None else [False] * len(boxes), dtype=torch.bool)
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Target(rows, torch.zeros(len(boxes), dtype=torch.int64), (64, 96), ignore=flags)


def target(*boxes: list[float], ignore: list[bool] | None = None) -> TargetBatch:
    return TargetBatch.from_targets([image(*boxes, ignore=ignore)])


def test_head_order_is_the_grids() -> None:
    head = RPNHead(4, 3)
    features = torch.randn(2, 4, 5, 6)
    logits, deltas = head(features)
    hidden = F.relu(head.conv(features))
    raw_logits, raw_deltas = head.objectness(hidden), head.deltas(hidden)
    assert logits.shape == (2, 5 * 6 * 3)
    assert deltas.shape == (2, 5 * 6 * 3, 4)
    for y, x, a in ((0, 0, 0), (4, 5, 2), (2, 3, 1)):
        row = (y * 6 + x) * 3 + a
        assert logits[1, row] == raw_logits[1, a, y, x]
        assert torch.equal(deltas[1, row], raw_deltas[1, 4 * a : 4 * a + 4, y, x])


def test_losses_by_hand_when_every_anchor_is_drawn() -> None:
    rpn = small_rpn(batch_size_per_image=1000, positive_fraction=0.5)
    logits, deltas = torch.randn(1, 48, requires_grad=True), torch.randn(1, 48, 4, requires_grad=True)
    anchors = rpn.anchors(4, 6)
    box = [24.0, 24.0, 40.0, 40.0]  # the 16-pixel anchor at (2, 2)
    losses = rpn.losses(logits, deltas, anchors, target(box))
    overlaps = []
    for x1, y1, x2, y2 in anchors.tolist():
        side = max(0.0, min(x2, 40) - max(x1, 24)) * max(0.0, min(y2, 40) - max(y1, 24))
        overlaps.append(side / ((x2 - x1) * (y2 - y1) + 256 - side))
    expected, count, positives = 0.0, 0, []
    for index, overlap in enumerate(overlaps):
        if overlap >= 0.7 or overlap < 0.3:
            z = logits[0, index].item()
            expected += math.log1p(math.exp(-z)) if overlap >= 0.7 else math.log1p(math.exp(z))
            count += 1
        if overlap >= 0.7:
            positives.append(index)
    assert len(positives) == 1
    torch.testing.assert_close(losses["loss_rpn_cls"].item(), expected / count, rtol=1e-5, atol=1e-6)
    d = deltas[0, positives[0]].abs()  # the anchor is the box: the target is 0
    smooth = torch.where(d < 1 / 9, 0.5 * d * d * 9, d - 0.5 / 9).sum() / count
    torch.testing.assert_close(losses["loss_rpn_box"], smooth)


def test_an_empty_image_has_both_losses_in_the_graph() -> None:
    rpn = small_rpn()
    features = torch.randn(1, 8, 4, 6, requires_grad=True)
    _, losses = rpn(features, [(64, 96)], target())
    assert set(losses) == {"loss_rpn_cls", "loss_rpn_box"}
    assert losses["loss_rpn_box"].item() == 0
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in rpn.parameters())


def test_losses_of_several_images_are_their_mean_by_samples() -> None:
    rpn = small_rpn(batch_size_per_image=1000)  # everything is drawn
    logits, deltas = torch.randn(3, 48), torch.randn(3, 48, 4)
    anchors = rpn.anchors(4, 6)
    own = [
        image([24.0, 24, 40, 40], [0, 0, 30, 30]),
        image(),
        image([50.0, 10, 90, 60], [60.0, 0, 70, 9], ignore=[False, True]),
    ]
    together = rpn.losses(logits, deltas, anchors, TargetBatch.from_targets(own))
    batches = [TargetBatch.from_targets([each]) for each in own]
    alone = [rpn.losses(logits[i, None], deltas[i, None], anchors, each) for i, each in enumerate(batches)]
    matches = [
        match(anchors, each.boxes, fg_iou_thresh=0.7, bg_iou_thresh=0.3, keep_best=True, ignore=each.ignore) for each in batches
    ]
    counts = [int((found != BETWEEN).sum()) for found in matches]
    assert len(set(counts)) == 3  # so that a plain mean would be another one
    for name, value in together.items():
        expected = sum(losses[name] * count for losses, count in zip(alone, counts, strict=True)) / sum(counts)
        torch.testing.assert_close(value, expected)


def test_crowds_do_not_become_background() -> None:
    rpn = small_rpn(batch_size_per_image=1000)
    logits, deltas = torch.zeros(1, 48), torch.zeros(1, 48, 4)
    anchors = rpn.anchors(4, 6)
    crowd = [-20.0, -20.0, 116.0, 84.0]  # anchors reach beyond the image, so must the crowd
    logits[0] = 50.0  # costs 50 for every background anchor that is drawn
    whole = rpn.losses(logits, deltas, anchors, target())["loss_rpn_cls"]
    ignored = rpn.losses(logits, deltas, anchors, target(crowd, ignore=[True]))["loss_rpn_cls"]
    assert whole.item() == 50
    assert ignored.item() == 0


def test_train_and_test_filters() -> None:
    rpn = small_rpn()
    features = torch.randn(2, 8, 4, 6)
    for training, most in ((True, 20), (False, 5)):
        proposals, losses = rpn.train(training)(features, [(64, 96), (50, 70)])
        assert losses == {}
        assert [len(p) <= most for p in proposals] == [True, True]
        assert proposals[1][:, 2].max() <= 70
        assert proposals[1][:, 3].max() <= 50
        assert not proposals[0].requires_grad
