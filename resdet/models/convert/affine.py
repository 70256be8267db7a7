"""Layers ``y = s x + t`` of Caffe's networks as BN, and biases before them."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from resdet.errors import DataError
from resdet.models.backbones.weights.read import WeightsFile

_FROZEN_EPS = 1e-5  # of every BN here and in the toolkits converted from
_NORM = re.compile(r"(.*)(?:bn(\d)|downsample\.1)\.weight")


def fold_biases(file: WeightsFile, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state without biases of convolutions: ``s (w x + b) + t = s (w x) + (s b + t)`` with the BN's affine s and t.

    Caffe's ResNet-50 has one in its first convolution, of about 1e-9.

    Raises:
        DataError: a bias of another shape than its BN.
    """
    folded = dict(state)
    for key in [key for key in state if re.fullmatch(r".*(conv\d|downsample\.0)\.bias", key)]:
        layer = key.removesuffix(".bias")
        norm = f"{layer[:-1]}1" if layer.endswith("downsample.0") else f"{layer[:-5]}bn{layer[-1]}"
        bias = folded.pop(key)
        parts = [folded[name] for name in (f"{norm}.{part}" for part in ("running_mean", "bias", "weight")) if name in folded]
        if any(part.shape != bias.shape for part in parts):
            raise DataError(f"{file.path}: {key} of shape {tuple(bias.shape)} does not fit {norm}, {tuple(parts[0].shape)}")
        if f"{norm}.running_mean" in folded:
            folded[f"{norm}.running_mean"] = folded[f"{norm}.running_mean"] - bias
        elif f"{norm}.bias" in folded and f"{norm}.weight" in folded:
            folded[f"{norm}.bias"] = folded[f"{norm}.bias"] + folded[f"{norm}.weight"] * bias
    return folded


def fill_statistics(state: dict[str, Tensor]) -> tuple[str, ...]:
    """Give an affine layer ``y = s x + t`` the statistics that make BN with weight s and bias t just that, in place.

    ``(x - mean) / sqrt(var + eps) * s + t`` with mean 0 and var 1 - eps: the sum var + eps is exactly 1 in float32.

    Returns:
        The names that were added.
    """
    added = []
    for key in [key for key in state if _NORM.fullmatch(key)]:
        layer = key.removesuffix("weight")
        for name, value in (("running_mean", 0.0), ("running_var", 1 - _FROZEN_EPS)):
            if f"{layer}{name}" not in state:
                state[f"{layer}{name}"] = torch.full_like(state[key], value)
                added.append(f"{layer}{name}")
    return tuple(added)
