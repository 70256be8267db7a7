"""The fully convolutional network against the network itself and against loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from rounding import ALGEBRA, assert_near
from torch import nn

from resdet.inference.dense import score_map, training_window
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.resnet import ResNet


def network(name: str, **options: Any) -> ResNet:
    """A narrow network in float64, in eval mode, with BN statistics that are not the initial ones."""
    torch.manual_seed(0)
    made = create_backbone(name, num_classes=7, width=4, **options).double()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    nn.init.normal_(made.fc.bias)
    return made.eval()


NETWORKS = [
    ("resnet18", {}, 64, 2),
    ("resnet18", {"shortcut": "A"}, 65, 3),
    ("resnet50", {"stride_in_1x1": True}, 96, 3),
    ("plain18", {}, 64, 2),
    ("cifar_resnet20", {}, 32, 8),
    ("cifar_resnet20", {}, 30, 8),
]


@pytest.mark.parametrize(("name", "options", "crop", "window"), NETWORKS)
@torch.no_grad()
def test_at_the_training_size_it_is_the_network_itself(name: str, options: dict[str, Any], crop: int, window: int) -> None:
    resnet = network(name, **options)
    assert training_window(resnet.spec, crop) == window
    images = torch.randn(3, 3, crop, crop, dtype=torch.float64)
    found = score_map(resnet, images, window)
    assert found.shape == (3, 7, 1, 1)
    assert_near(found[:, :, 0, 0], resnet(images), ALGEBRA)


@pytest.mark.parametrize("size", [(128, 128), (97, 230), (224, 64), (65, 64)])
@pytest.mark.parametrize(("name", "crop"), [("resnet18", 64), ("resnet18", 70), ("cifar_resnet20", 32)])
@torch.no_grad()
def test_larger_images_against_loops(name: str, crop: int, size: tuple[int, int]) -> None:
    resnet = network(name)
    window = training_window(resnet.spec, crop)
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    features = resnet.forward_features(images)
    rows, columns = (max(1, side - window + 1) for side in features.shape[2:])
    found = score_map(resnet, images, window)
    assert found.shape == (2, 7, rows, columns)
    for image in range(2):
        for y in range(rows):
            for x in range(columns):
                seen = features[image, :, y : y + window, x : x + window]
                vector = torch.stack([channel.sum() / channel.numel() for channel in seen])
                expected = resnet.fc.weight @ vector + resnet.fc.bias
                assert_near(found[image, :, y, x], expected, ALGEBRA)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (33, 400)])
@torch.no_grad()
def test_a_map_smaller_than_the_window_is_averaged_whole(size: tuple[int, int]) -> None:
    resnet = network("resnet18")
    images = torch.randn(1, 3, *size, dtype=torch.float64)
    found = score_map(resnet, images, 7)
    assert found.shape[2:] == (1, max(1, -(-size[1] // 32) - 6))
    if size[1] <= 224:
        assert_near(found[:, :, 0, 0], resnet(images), ALGEBRA)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "cifar_resnet20"])
def test_the_stride_and_the_window_are_those_of_real_maps(name: str) -> None:
    resnet = network(name).float()
    stride = resnet.spec.stride
    assert stride == (4 if name.startswith("cifar") else 32)
    with torch.no_grad():
        for side in (31, 32, 33, 64, 95, 224):
            features = resnet.forward_features(torch.zeros(1, 3, side, side))
            assert features.shape[-1] == training_window(resnet.spec, side) == -(-side // stride)
