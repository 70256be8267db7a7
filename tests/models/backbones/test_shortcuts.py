"""Shortcut modules, by numbers small enough to check by eye."""

from __future__ import annotations

import torch
from torch import nn

from resdet.models.backbones.shortcuts import PaddedIdentity, make_shortcut


def test_padded_identity_takes_every_second_position_and_adds_zero_channels_on_both_sides() -> None:
    x = torch.arange(2 * 3 * 3, dtype=torch.float32).view(1, 2, 3, 3)
    zero = [[0.0, 0.0], [0.0, 0.0]]
    assert PaddedIdentity(3, 2)(x).tolist() == [[zero, [[0, 2], [6, 8]], [[9, 11], [15, 17]], zero, zero]]


def test_padded_identity_has_the_resolution_of_a_strided_convolution() -> None:
    for height in range(1, 9):
        x = torch.zeros(1, 4, height, 5)
        assert PaddedIdentity(4, 2)(x).shape == nn.Conv2d(4, 8, 3, 2, padding=1)(x).shape


def test_kind_of_each_option() -> None:
    def kind(option: str, in_channels: int, out_channels: int, stride: int) -> str:
        return type(make_shortcut(option, in_channels, out_channels, stride, nn.BatchNorm2d)).__name__

    same, wider, strided = (8, 8, 1), (8, 16, 1), (8, 8, 2)
    assert [kind("A", *shape) for shape in (same, wider, strided)] == ["Identity", "PaddedIdentity", "PaddedIdentity"]
    assert [kind("B", *shape) for shape in (same, wider, strided)] == ["Identity", "Projection", "Projection"]
    assert [kind("C", *shape) for shape in (same, wider, strided)] == ["Projection"] * 3
    assert [kind("none", *shape) for shape in (same, wider, strided)] == ["NoneType"] * 3


def test_projection_is_a_1x1_convolution_without_bias_and_a_norm() -> None:
    conv, norm = make_shortcut("B", 8, 16, 2, nn.BatchNorm2d)
    assert (conv.kernel_size, conv.stride, conv.bias) == ((1, 1), (2, 2), None)
    assert isinstance(norm, nn.BatchNorm2d)


def test_projection_of_a_preactivation_network_is_the_convolution_alone() -> None:
    (conv,) = make_shortcut("C", 8, 8, 1, None)
    assert (conv.kernel_size, conv.stride, conv.bias) == ((1, 1), (1, 1), None)
