"""The two sibling layers: the classes asked for are rows of the full computation, in values and in gradients."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from rounding import ALGEBRA, assert_near
from torch import Tensor, nn

from resdet.models.localization.per_class_head import PerClassHead


def head_and_features(channels: int, anchors: int, classes: int, images: int) -> tuple[PerClassHead, Tensor]:
    torch.manual_seed(channels + 10 * anchors + 100 * classes)
    head = PerClassHead(channels, anchors, classes).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head, torch.randn(images, channels, 2, 3, dtype=torch.float64, requires_grad=True)


def rows_of_the_full_computation(head: PerClassHead, features: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    logits, deltas = head(features)
    image = torch.arange(len(features))[:, None]
    return logits[image, classes], deltas[image, classes]


@given(data=st.data(), anchors=st.integers(1, 4), classes=st.integers(1, 6), images=st.integers(1, 3), asked=st.integers(1, 4))
def test_gathered_classes_equal_the_full_computation(
    data: st.DataObject, anchors: int, classes: int, images: int, asked: int
) -> None:
    head, features = head_and_features(5, anchors, classes, images)
    label = st.integers(0, classes - 1)  # a class may be asked for twice
    chosen = torch.tensor(
        data.draw(st.lists(st.lists(label, min_size=asked, max_size=asked), min_size=images, max_size=images))
    )
    found = head(features, chosen)
    expected = rows_of_the_full_computation(head, features, chosen)
    weights = [torch.randn_like(each) for each in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape
        assert_near(mine, theirs, ALGEBRA)
    parameters = [features, *head.parameters()]
    gradients = [
        torch.autograd.grad(sum((each * weight).sum() for each, weight in zip(outputs, weights, strict=True)), parameters)
        for outputs in (found, expected)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        assert_near(mine, theirs, ALGEBRA)


def said(layer: nn.Conv2d, row: int, here: Tensor) -> Tensor:
    return layer.weight[row, :, 0, 0] @ here + layer.bias[row]


def test_an_output_is_a_dot_product_with_the_rows_of_its_class_and_its_anchor() -> None:
    anchors, height, width = 3, 2, 3
    head, features = head_and_features(4, anchors, 5, 2)
    classes = torch.tensor([[4, 0], [2, 2]])
    logits, deltas = head(features, classes)
    assert logits.shape == (2, 2, height * width * anchors)
    assert deltas.shape == (2, 2, height * width * anchors, 4)
    for image, place, y, x, anchor in torch.cartesian_prod(*(torch.arange(n) for n in (2, 2, height, width, anchors))).tolist():
        position, label = (y * width + x) * anchors + anchor, int(classes[image, place])  # the order of AnchorGrid
        here = features[image, :, y, x]
        row = label * anchors + anchor
        value = said(head.cls, row, here) + said(head.common_cls, anchor, here)
        torch.testing.assert_close(logits[image, place, position], value)
        for side in range(4):
            value = said(head.reg, row * 4 + side, here) + said(head.common_reg, anchor * 4 + side, here)
            torch.testing.assert_close(deltas[image, place, position, side], value)


def test_at_first_all_classes_say_the_same() -> None:
    torch.manual_seed(0)
    logits, deltas = PerClassHead(4, 3, 5)(torch.randn(2, 4, 2, 3))
    for outputs in (logits, deltas):
        torch.testing.assert_close(outputs, outputs[:, :1].expand_as(outputs), rtol=0, atol=0)
        assert outputs.std() > 0


def test_other_classes_get_no_gradient() -> None:
    head, features = head_and_features(4, 2, 5, 2)
    logits, deltas = head(features, torch.tensor([[1], [3]]))
    (logits.sum() + deltas.sum()).backward()
    touched = head.cls.weight.grad.flatten(1).unflatten(0, (5, -1)).abs().sum((1, 2)) > 0
    assert touched.tolist() == [False, True, False, True, False]
