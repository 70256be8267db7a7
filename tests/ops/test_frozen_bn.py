"""FrozenBatchNorm2d against nn.BatchNorm2d in eval mode."""

from __future__ import annotations

import pytest
import torch
from rounding import gamma
from torch import nn

from resdet.ops.frozen_bn import FrozenBatchNorm2d, freeze_batch_norm, looks_unloaded


def _trained_norm(channels: int = 5, dtype: torch.dtype = torch.float64) -> nn.BatchNorm2d:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels, eps=1e-3).to(dtype)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.1, 4)
    return norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_batch_norm_in_eval_mode_with_its_input_gradient(dtype: torch.dtype) -> None:
    norm = _trained_norm(dtype=dtype).eval()
    frozen = freeze_batch_norm(norm)
    x = torch.randn(2, 5, 3, 4, dtype=dtype, requires_grad=True)
    upstream = torch.randn(2, 5, 3, 4, dtype=dtype)
    expected, scale = norm(x), (norm.weight.abs() / (norm.running_var + norm.eps).sqrt())[:, None, None]
    (expected_grad,) = torch.autograd.grad(expected, x, upstream)
    for mode in (True, False):
        actual = frozen.train(mode)(x)
        (grad,) = torch.autograd.grad(actual, x, upstream)
        # the scale is three roundings off, x and the mean times it and the sum of three one more each
        terms = (x.abs() + norm.running_mean.abs()[:, None, None]) * scale + norm.bias.abs()[:, None, None]
        assert ((actual - expected).abs() <= 2 * gamma(6, dtype) * terms).all()
        assert ((grad - expected_grad).abs() <= 2 * gamma(4, dtype) * upstream.abs() * scale).all()


def test_nothing_of_it_trains_or_changes() -> None:
    frozen = freeze_batch_norm(_trained_norm())
    before = {key: value.clone() for key, value in frozen.state_dict().items()}
    frozen.train()(torch.randn(2, 5, 3, 3, dtype=torch.float64))
    assert list(frozen.parameters()) == []
    assert list(before) == ["weight", "bias", "running_mean", "running_var"]
    for key, value in frozen.state_dict().items():
        assert torch.equal(value, before[key])


def test_half_precision_stays_half_precision() -> None:
    assert FrozenBatchNorm2d(3)(torch.randn(1, 3, 2, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_it_shows_its_channels_and_eps() -> None:
    assert repr(FrozenBatchNorm2d(3)) == "FrozenBatchNorm2d(3, eps=1e-05)"
    assert repr(freeze_batch_norm(_trained_norm(5))) == "FrozenBatchNorm2d(5, eps=0.001)"


def test_loads_a_batch_norms_state_and_drops_its_counter() -> None:
    norm = _trained_norm()
    network = nn.Sequential(FrozenBatchNorm2d(5).double())
    network.load_state_dict({f"0.{key}": value for key, value in norm.state_dict().items()}, strict=True)
    assert torch.equal(network[0].running_var, norm.running_var)


def test_freeze_replaces_every_batch_norm_and_nothing_else() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 1), nn.Sequential(_trained_norm(dtype=torch.float32), nn.ReLU()))
    weights = [network[1][0].weight.detach().clone(), network[0].weight]
    assert freeze_batch_norm(network) is network
    assert [type(part).__name__ for part in network.modules()] == [
        "Sequential",
        "Conv2d",
        "Sequential",
        "FrozenBatchNorm2d",
        "ReLU",
    ]
    assert torch.equal(network[1][0].weight, weights[0])
    assert network[1][0].eps == 1e-3
    assert network[0].weight is weights[1]


def test_freezing_without_statistics_is_refused() -> None:
    with pytest.raises(ValueError, match="running statistics"):
        freeze_batch_norm(nn.BatchNorm2d(3, track_running_stats=False))


def test_looks_unloaded() -> None:
    fresh, loaded = FrozenBatchNorm2d(2), FrozenBatchNorm2d(2)
    loaded.running_mean.fill_(0.5)
    assert looks_unloaded(nn.Sequential(fresh, FrozenBatchNorm2d(4)))
    assert not looks_unloaded(nn.Sequential(fresh, loaded))
    assert not looks_unloaded(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))
