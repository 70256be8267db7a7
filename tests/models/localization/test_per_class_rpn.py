from __future__ import annotations

import math

import pytest
import torch
from tiny_localizers import tiny_rpn
from torch import Tensor, nn

from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone, list_backbones
from resdet.models.detection.anchors import AnchorGrid
from resdet.models.detection.box_coder import BoxCoder
from resdet.models.localization.body import network_body
from resdet.models.localization.per_class_head import PerClassHead
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.structures import PIXEL_CONVENTIONS

WHITE = torch.full((2, 3, 8, 16), 255, dtype=torch.uint8)


class Brightness(nn.Module):
    """The mean of each 8 x 8 cell."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 8).mean(1, keepdim=True)


def by_hand(batch: int = 8) -> PerClassRPN:
    """One channel, two positions 8 pixels apart, one anchor of 8 x 8 around each, two classes."""
    head = PerClassHead(1, 1, 2)
    pixels = PIXEL_CONVENTIONS["torchvision"]
    white = torch.tensor([(1 - mean) / std for mean, std in zip(pixels.mean, pixels.std, strict=True)]).mean().item()
    with torch.no_grad():
        head.common_cls.weight.zero_()
        head.common_reg.weight.zero_()
        head.cls.weight.copy_(torch.tensor([0.5, -2.0]).view(2, 1, 1, 1) / white)
        head.reg.weight.copy_(torch.tensor([0.0, 0, 0, 0, 0.1, 0, 0, 0.2]).view(8, 1, 1, 1) / white)
    grid = AnchorGrid(torch.tensor([[-4.0, -4, 4, 4]]), 8)
    return PerClassRPN(
        Brightness(),
        head,
        grid,
        pixels=pixels,
        names=("a", "b"),
        batch_size_per_image=batch,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.3,
        smooth_l1_beta=0.0,
        coder=BoxCoder(),
    )


def test_the_losses_of_two_images_by_hand() -> None:
    """White images: class 0 says logit 0.5 and no change, class 1 logit -2 and dx = 0.1, dh = 0.2, at both anchors.

    The anchors are (-4, -4, 4, 4) and (4, -4, 12, 4). Image 0, of class 0, has the second as its box; image 1, of class 1, the
    first one, a quarter narrower: both have one positive and one negative.
    """
    rpn = by_hand()
    boxes = [torch.tensor([[4.0, -4, 12, 4]]), torch.tensor([[-4.0, -4, 2, 4]])]
    losses = rpn.losses(WHITE, torch.tensor([0, 1]), boxes)

    def entropy(logit: float, positive: bool) -> float:
        return math.log(1 + math.exp(-logit if positive else logit))

    expected = (entropy(0.5, True) + entropy(0.5, False) + entropy(-2, True) + entropy(-2, False)) / 4
    assert losses["loss_rpn_cls"].item() == pytest.approx(expected, rel=1e-5)
    # image 0: no change is right; image 1: dx must be -1 / 8, dw log(6 / 8), said are dx 0.1 and dh 0.2
    l1 = abs(0.1 + 1 / 8) + abs(math.log(6 / 8)) + 0.2
    assert losses["loss_rpn_box"].item() == pytest.approx(l1 / 4, rel=1e-5)


def test_the_best_anchor_of_a_box_is_positive_however_little_they_overlap() -> None:
    """A box of a quarter of the second anchor's area: an IoU of 0.25, which would make a negative of any other anchor."""
    rpn = by_hand()
    losses = rpn.losses(WHITE[:1], torch.tensor([0]), [torch.tensor([[4.0, -4, 8, 0]])])
    expected = (math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(0.5))) / 2  # one positive, one negative, both of logit 0.5
    assert losses["loss_rpn_cls"].item() == pytest.approx(expected, rel=1e-5)
    # dx and dy -2 / 8, dw and dh log(4 / 8), said is no change
    assert losses["loss_rpn_box"].item() == pytest.approx((2 * 0.25 + 2 * math.log(2)) / 2, rel=1e-5)


def test_an_image_without_a_box_gives_no_sample_and_a_connected_loss() -> None:
    rpn = by_hand()
    boxes = [torch.tensor([[4.0, -4, 12, 4]]), torch.zeros(0, 4)]
    alone = rpn.losses(WHITE[:1], torch.tensor([0]), boxes[:1])
    both = rpn.losses(WHITE, torch.tensor([0, 1]), boxes)
    for name, value in alone.items():
        torch.testing.assert_close(both[name], value)
    nothing = rpn.losses(WHITE, torch.tensor([0, 1]), [torch.zeros(0, 4)] * 2)
    assert {name: value.item() for name, value in nothing.items()} == {"loss_rpn_cls": 0, "loss_rpn_box": 0}
    sum(nothing.values()).backward()
    assert all(not parameter.grad.any() for parameter in rpn.parameters())


def test_only_the_class_of_an_image_is_trained() -> None:
    rpn = by_hand()
    rpn.losses(WHITE[:1], torch.tensor([1]), [torch.tensor([[4.0, -4, 12, 6]])])["loss_rpn_cls"].backward()
    # one positive and one negative of equal logits: a gradient, that of the sigmoid's excess over one half
    assert rpn.head.cls.bias.grad.tolist() == pytest.approx([0, 1 / (1 + math.exp(2)) - 0.5], abs=1e-6)


def test_the_outputs_are_those_of_the_network_and_its_layers() -> None:
    rpn = tiny_rpn()
    images = torch.randint(256, (2, 3, 64, 96), dtype=torch.uint8)
    classes = torch.tensor([[2, 0], [1, 1]])
    logits, deltas, anchors = rpn(images, classes)
    assert (logits.shape, deltas.shape, anchors.shape) == ((2, 2, 24), (2, 2, 24, 4), (24, 4))
    features = rpn.body(rpn.pixels.normalize(images))
    third = rpn.head.cls(features)[0, 8:] + rpn.head.common_cls(features)[0]  # (A, H, W)
    torch.testing.assert_close(logits[0, 0].view(2, 3, 4), third.permute(1, 2, 0))
    # the anchors of position (1, 2), at pixel (32, 64)
    centre = (anchors.view(2, 3, 4, 4)[1, 2, :, :2] + anchors.view(2, 3, 4, 4)[1, 2, :, 2:]) / 2
    torch.testing.assert_close(centre, torch.tensor([[64.0, 32.0]]).expand(4, 2))


@pytest.mark.parametrize("name", ["resnet18", "preact_resnet18", "plain18", "cifar_resnet20"])
def test_a_body_is_the_network_without_its_classifier(name: str) -> None:
    torch.manual_seed(0)
    resnet = create_backbone(name, num_classes=2, width=4).eval()
    keys = [key for key in resnet.state_dict() if not key.startswith("fc.")]
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = resnet.forward_features(image)
        body = network_body(resnet, 0)
        torch.testing.assert_close(body(image), expected)
    assert list(body.state_dict()) == keys
    assert expected.shape[-1] == 64 // resnet.spec.stride


def test_the_stride_is_that_of_the_map() -> None:
    assert {name for name in list_backbones() if create_stride(name) == 32} == {
        name for name in list_backbones() if not name.startswith("cifar")
    }


def create_stride(name: str) -> int:
    with torch.device("meta"):
        return create_backbone(name).spec.stride


@pytest.mark.parametrize(("stages", "first"), [(0, "conv1.weight"), (1, "layer1.0.conv1.weight"), (5, None)])
def test_frozen_stages_do_not_train(stages: int, first: str | None) -> None:
    body = network_body(create_backbone("resnet18", width=4), stages)
    trained = [name for name, parameter in body.named_parameters() if parameter.requires_grad]
    assert (trained[0] if trained else None) == first


def test_more_frozen_stages_than_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'freeze_at' must be in 0 … 4 for cifar_resnet20, got 5"):
        network_body(create_backbone("cifar_resnet20"), 5)
