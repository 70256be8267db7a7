from __future__ import annotations

import pytest
import torch
from torch import nn

from resdet.engine.optimizer import build_sgd
from resdet.errors import ConfigError


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    (group,) = build_sgd(model, 0.1, 0.9, 1e-4).param_groups
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in model[1].parameters()]


def test_update_follows_the_formula() -> None:
    model = nn.Linear(3, 1, bias=False)
    optimizer = build_sgd(model, lr=0.1, momentum=0.9, weight_decay=0.01)
    weight, velocity = model.weight.detach().double().clone(), torch.zeros(1, 3, dtype=torch.float64)
    for scale in (1.0, -2.0, 0.5):
        model.weight.grad = torch.full((1, 3), scale)
        optimizer.step()
        velocity = 0.9 * velocity + scale + 0.01 * weight
        weight = weight - 0.1 * velocity
    torch.testing.assert_close(model.weight.detach().double(), weight, rtol=1e-6, atol=1e-6)


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(ConfigError, match="every parameter of Linear is frozen"):
        build_sgd(nn.Linear(2, 2).requires_grad_(False), 0.1, 0.9, 0)


def test_decay_can_spare_norms_and_biases() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    optimizer = build_sgd(model, lr=0.1, momentum=0, weight_decay=0.5, decay_norm_and_bias=False)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, value in model.named_parameters():
        factor = 1 - 0.1 * 0.5 if name in ("0.weight", "3.weight") else 1
        torch.testing.assert_close(value.detach(), before[name] * factor, msg=name)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(before)


def test_a_step_is_one_pass_where_torch_has_a_kernel_for_it() -> None:
    plain, elsewhere, complex_numbers = nn.Linear(2, 2), nn.Linear(2, 2, device="meta"), nn.Linear(2, 2, dtype=torch.complex64)
    for model, fused in (
        (plain, True),
        (elsewhere, False),
        (complex_numbers, False),
        (nn.Sequential(plain, elsewhere), False),
        (nn.Sequential(plain, nn.Linear(2, 2, dtype=torch.float64)), True),
    ):
        assert build_sgd(model, 0.1, 0.9, 1e-4).defaults["fused"] is fused


def test_resuming_with_another_memory_layout_changes_no_number() -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(3, 4, 3, bias=False)
    gradients = torch.randn(3, *model.weight.shape)
    optimizer = build_sgd(model, lr=0.1, momentum=0.9, weight_decay=0.01)
    for gradient in gradients[:2]:
        model.weight.grad = gradient.clone()
        optimizer.step()
    other = nn.Conv2d(3, 4, 3, bias=False).to(memory_format=torch.channels_last)
    other.load_state_dict(model.state_dict())
    resumed = build_sgd(other, lr=0.1, momentum=0.9, weight_decay=0.01)
    resumed.load_state_dict(optimizer.state_dict())
    model.weight.grad = gradients[2].clone()
    other.weight.grad = gradients[2].clone(memory_format=torch.channels_last)
    optimizer.step()
    resumed.step()
    assert other.weight.stride() != model.weight.stride()
    assert torch.equal(other.weight, model.weight)
