from __future__ import annotations

import math

import pytest
import torch
from tiny_localizers import tiny_localizer
from torch import Tensor, nn

from resdet.models.detection.box_coder import BOX_REG_WEIGHTS, BoxCoder
from resdet.models.localization.per_class_head import PerClassHead
from resdet.models.localization.rcnn import RegionNet
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention


class Colours(nn.Module):
    """The pixels are the map."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def by_hand() -> RegionNet:
    """Two classes; the first looks at red alone, the second at green alone."""
    head = PerClassHead(3, 1, 2)
    with torch.no_grad():
        head.common_cls.weight.zero_()
        head.common_reg.weight.zero_()
        head.cls.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]).view(2, 3, 1, 1))
        head.reg.weight.zero_()
        head.reg.weight[4, 1] = 1.0  # the dx of the second class
    pixels = PixelConvention("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 255)
    return RegionNet(Colours(), head, pixels=pixels, side=4, smooth_l1_beta=1.0, coder=BoxCoder(BOX_REG_WEIGHTS))


def test_the_losses_of_three_regions_by_hand() -> None:
    # the map is averaged: half of the pixels have the value, half have none
    regions = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    regions[0, 0, :2], regions[1, 1, :2], regions[2, 0, :2] = 2, 4, 6
    labels, positive = torch.tensor([0, 1, 0]), torch.tensor([True, True, False])
    references = torch.tensor([[0.0, 0, 10, 10]] * 3)
    boxes = torch.tensor([[0.0, 0, 10, 10], [1.0, 0, 11, 10], [5.0, 5, 5, 5]])
    losses = by_hand().losses(regions, labels, positive, references, boxes)
    # logits: red 1, twice green 2 = 4, red 3
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-4)) + math.log(1 + math.exp(3))) / 3
    assert losses["loss_rcnn_cls"].item() == pytest.approx(expected, rel=1e-6)
    # the second region: dx said 2, wanted 10 * 0.1 = 1: an error of beta, half of its square
    assert losses["loss_rcnn_box"].item() == pytest.approx(0.5 / 3, rel=1e-5)


def test_a_batch_of_negatives_has_a_connected_box_loss_of_zero() -> None:
    net = by_hand()
    regions = torch.full((2, 3, 4, 4), 9, dtype=torch.uint8)
    losses = net.losses(regions, torch.tensor([0, 1]), torch.zeros(2, dtype=torch.bool), torch.ones(2, 4), torch.ones(2, 4))
    assert losses["loss_rcnn_box"].item() == 0
    losses["loss_rcnn_box"].backward()
    assert not net.head.reg.weight.grad.any()


def test_refined_boxes_are_decoded_from_the_regions() -> None:
    model = tiny_localizer(stage="rcnn")
    with torch.no_grad():
        model.regions.head.reg.weight.zero_()
        model.regions.head.common_reg.weight.zero_()
        model.regions.head.reg.bias.copy_(torch.tensor([0.0, 0, 0, 0, 10, 0, 0, 5 * math.log(2), 0, 0, 0, 0]))
    regions = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    references = torch.tensor([[10.0, 10, 30, 20], [0.0, 0, 8, 8]])
    with torch.no_grad():
        boxes, scores = model.refine(regions, torch.tensor([1, 2]), references)
    # class 1 moves by one width and doubles the height; class 2 stays
    torch.testing.assert_close(boxes, torch.tensor([[30.0, 5, 50, 25], [0.0, 0, 8, 8]]))
    assert scores.shape == (2,)
    assert ((scores > 0) & (scores < 1)).all()


def test_a_region_is_seen_by_the_layers_of_its_class_alone() -> None:
    model = tiny_localizer(stage="rcnn")
    regions = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    net = model.regions
    pooled = net.body(PIXEL_CONVENTIONS["torchvision"].normalize(regions)).mean((2, 3))
    head, point = net.head, pooled[:, :, None, None]
    expected = (head.cls(point) + head.common_cls(point))[0, :, 0, 0]
    boxes = head.reg(point).view(3, 4) + head.common_reg(point).view(1, 4)
    for label in range(3):
        logits, deltas = net(regions, torch.tensor([label]))
        torch.testing.assert_close(logits[0], expected[label])
        torch.testing.assert_close(deltas[0], boxes[label])


def test_the_rpn_does_not_train() -> None:
    model = tiny_localizer(stage="rcnn")
    assert not any(parameter.requires_grad for parameter in model.rpn.parameters())
    assert all(parameter.requires_grad for parameter in model.regions.parameters())


def test_it_says_the_side_of_the_regions_that_it_takes() -> None:
    assert by_hand().side == 4


def test_both_stages_together_are_what_their_parts_are() -> None:
    model = tiny_localizer(stage="rcnn")
    assert model.body is model.regions.body
    assert model.names == model.rpn.names == ("cat", "dog", "emu")
    assert model.pixels == model.regions.pixels
