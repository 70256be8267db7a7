"""Two networks side by side: each mistake that one makes in porting weights is found where it is, and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from resdet.analysis.differences import conclude_differences, first_difference, layer_differences
from resdet.models.backbones.registry import create_backbone


def pair() -> tuple[nn.Module, nn.Module]:
    """Our network and torchvision's with the same weights."""
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=5)
    for part in theirs.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 2)
    ours = create_backbone("resnet18", num_classes=5)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 3, 64, 64)


def test_the_same_network_gives_the_same_in_every_layer(images: Tensor) -> None:
    ours, theirs = pair()
    found = layer_differences(ours.train(), theirs.train(), images)
    assert len(found) == 20 + 20 + 1  # convolutions, normalizations, fc
    assert first_difference(found) is None
    assert max(each.given for each in found) < 1e-5
    assert conclude_differences(found).startswith("the 41 layers give the same, to ")
    assert ours.training
    assert not any(part._forward_hooks for part in (*ours.modules(), *theirs.modules()))


def weights_of_another(network: nn.Module) -> None:
    network.layer2[0].conv2.weight.data.mul_(1.5)


def another_stride(network: nn.Module) -> None:
    network.layer3[0].conv1.stride, network.layer3[0].conv2.stride = (1, 1), (2, 2)


def another_epsilon(network: nn.Module) -> None:
    network.layer1[1].bn1.eps = 0.1


def statistics_forgotten(network: nn.Module) -> None:
    network.bn1.running_mean.zero_()
    network.bn1.running_var.fill_(1)


def no_pooling(network: nn.Module) -> None:
    network.maxpool = nn.MaxPool2d(3, 2, 0)


def a_bias_too_many(network: nn.Module) -> None:
    network.layer4[1].conv1.bias = nn.Parameter(torch.ones(512))


@pytest.mark.parametrize(
    ("mistake", "layer", "reason"),
    [
        (weights_of_another, "layer2.0.conv2", "weight differs by 0.5"),
        (another_stride, "layer3.0.conv1", "stride (2, 2) and (1, 1)"),
        (another_epsilon, "layer1.1.bn1", "eps 1e-05 and 0.1"),
        (statistics_forgotten, "bn1", "running_mean differs by 1, running_var differs by"),
        (no_pooling, "layer1.0.conv1", "it is the same but takes something else: look at what stands between it and bn1"),
        (a_bias_too_many, "layer4.1.conv1", "bias in one of them alone"),
    ],
)
def test_a_mistake_is_found_where_it_is(mistake: Callable[[nn.Module], None], layer: str, reason: str, images: Tensor) -> None:
    ours, theirs = pair()
    mistake(theirs)
    found = layer_differences(ours, theirs, images)
    first = first_difference(found)
    assert first is not None
    assert first.names == (layer, layer)
    assert reason in conclude_differences(found)


def test_other_pixels_differ_before_the_first_layer(images: Tensor) -> None:
    ours, theirs = pair()
    found = layer_differences(ours, nn.Sequential(nn.Flatten(0, 0), theirs), images * 1)
    assert first_difference(found) is None  # other names: paired by order

    class Swapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = theirs

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x.flip(1))

    text = conclude_differences(layer_differences(ours, Swapped(), images))
    assert "layer 1 of 41, conv1 (there network.conv1), is the first that differs" in text
    assert "look at what comes before it" in text


def test_layers_of_another_shape(images: Tensor) -> None:
    ours, _ = pair()
    wider = create_backbone("resnet18", num_classes=5, width=8)
    first = first_difference(layer_differences(ours, wider, images))
    assert first is not None
    assert (first.names[0], first.given) == ("conv1", float("inf"))
    assert first.reasons == ("out_channels 64 and 8", "weight of (64, 3, 7, 7) and (8, 3, 7, 7) numbers")


def test_the_same_layer_called_in_another_way(images: Tensor) -> None:
    ours, theirs = pair()
    plain = theirs.fc.forward
    theirs.fc.forward = lambda x: 2 * plain(x)
    text = conclude_differences(layer_differences(ours, theirs, images))
    assert "layer 41 of 41, fc, is the first that differs" in text
    assert "it takes the same, and its tensors and settings are the same: look at how it is called" in text
