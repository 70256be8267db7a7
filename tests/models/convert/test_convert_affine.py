"""Affine layers and biases of Caffe's networks, against the layers themselves in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rounding import ALGEBRA, assert_near
from torch import Tensor
from torch.nn import functional as F

from resdet.errors import DataError
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.convert.affine import fill_statistics, fold_biases

EPS = 1e-5  # of BN


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64) + 0.5


def folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return fold_biases(WeightsFile(Path("w.pkl"), state, None), state)


# a convolution's bias, and the layer that it goes into
PLACES = [("conv1", "bn1"), ("layer1.0.conv3", "layer1.0.bn3"), ("layer2.0.downsample.0", "layer2.0.downsample.1")]


@pytest.mark.parametrize(("conv", "norm"), PLACES)
@pytest.mark.parametrize("statistics", [False, True])
def test_a_bias_goes_into_the_layer_after_it(conv: str, norm: str, statistics: bool) -> None:
    weight, bias, x = random(4, 3, 3, 3), random(4) - 1, random(2, 3, 5, 5)
    layer = {"weight": random(4) + 1, "bias": random(4) - 2}
    if statistics:
        layer |= {"running_mean": random(4) + 3, "running_var": random(4) + 4}

    def computed(state: dict[str, Tensor]) -> Tensor:
        y = F.conv2d(x, state[f"{conv}.weight"], state.get(f"{conv}.bias"))
        scale, shift = (state[f"{norm}.{part}"][:, None, None] for part in ("weight", "bias"))
        if not statistics:
            return scale * y + shift
        mean, variance = (state[f"{norm}.running_{part}"][:, None, None] for part in ("mean", "var"))
        return scale * (y - mean) / (variance + EPS).sqrt() + shift

    before = {f"{conv}.weight": weight, f"{conv}.bias": bias, **{f"{norm}.{part}": value for part, value in layer.items()}}
    kept = {name: value.clone() for name, value in before.items()}
    after = folded(before)
    assert set(after) == set(before) - {f"{conv}.bias"}
    assert_near(computed(after), computed(before), ALGEBRA)
    assert all(torch.equal(before[name], value) for name, value in kept.items())  # the file's own are left alone
    changed = f"{norm}.running_mean" if statistics else f"{norm}.bias"
    assert [name for name in after if not torch.equal(after[name], before[name])] == [changed]


def test_other_biases_are_left_alone() -> None:
    state = {"bn1.bias": random(4), "fc.bias": random(4), "layer1.0.downsample.1.bias": random(4)}
    assert folded(state) == state


@pytest.mark.parametrize("part", ["running_mean", "bias", "weight"])
def test_a_bias_of_another_shape_than_any_part_of_its_layer(part: str) -> None:
    shapes = {"running_mean": 4, "bias": 4, "weight": 4, part: 5}
    state = {f"bn1.{name}": random(size) for name, size in shapes.items()} | {"conv1.bias": random(4)}
    with pytest.raises(DataError, match=r"^w\.pkl: conv1\.bias of shape \(4,\) does not fit bn1, "):
        folded(state)


def test_an_affine_layer_gets_the_statistics_that_change_nothing() -> None:
    names = ("bn1", "layer3.1.bn2", "layer2.0.downsample.1")
    state = {f"{name}.{part}": torch.randn(3) for name in names for part in ("weight", "bias")}
    others = {
        "conv1.weight": torch.randn(3, 1, 1, 1),
        "layer2.0.downsample.0.weight": torch.randn(3),
        "fc.weight": torch.ones(3),
    }
    state |= others
    expected = [f"{name}.{part}" for name in names for part in ("running_mean", "running_var")]
    assert list(fill_statistics(state)) == expected
    assert set(state) == {*others, *expected, *(f"{name}.{part}" for name in names for part in ("weight", "bias"))}
    x = torch.randn(5, 3)
    for name in names:
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        assert mean.dtype == variance.dtype == torch.float32
        assert not mean.any()
        assert (variance + torch.tensor(EPS) == 1).all()
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        torch.testing.assert_close(F.batch_norm(x, mean, variance, weight, bias, eps=EPS), weight * x + bias)


@pytest.mark.parametrize("part", ["running_mean", "running_var"])
def test_statistics_that_are_there_are_kept(part: str) -> None:
    state = {"bn1.weight": torch.ones(2), f"bn1.{part}": torch.tensor([3.0, 4.0])}
    (other,) = {"running_mean", "running_var"} - {part}
    assert fill_statistics(state) == (f"bn1.{other}",)
    assert state[f"bn1.{part}"].tolist() == [3, 4]
