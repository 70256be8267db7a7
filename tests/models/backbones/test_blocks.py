"""Training on rows gives what the plain layers give, which evaluation mode runs, and so do recomputed blocks."""

from __future__ import annotations

import pytest
import torch
from rounding import ALGEBRA, assert_near
from torch import Tensor, nn

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.rows import trains_on_rows
from resdet.models.backbones.split import freeze_stages, split_c4
from resdet.models.registry import create_backbone
from resdet.ops.frozen_bn import FrozenBatchNorm2d


def frozen_network(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    network = create_backbone(name, width=8, norm=FrozenBatchNorm2d, **options)
    for norm in network.modules():
        if isinstance(norm, FrozenBatchNorm2d):
            for buffer, low, high in ((norm.weight, 0.5, 1.5), (norm.bias, -0.2, 0.2), (norm.running_var, 0.5, 2)):
                buffer.uniform_(low, high)
            norm.running_mean.uniform_(-0.2, 0.2)
    return network.double()


def value_and_gradients(module: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    module.zero_grad()
    result = module(x)
    generator = torch.Generator().manual_seed(1)
    (result * torch.randn(result.shape, generator=generator, dtype=result.dtype)).sum().backward()
    return result.detach(), {name: each.grad.clone() for name, each in module.named_parameters() if each.grad is not None}


def assert_same(found: tuple[Tensor, dict[str, Tensor]], expected: tuple[Tensor, dict[str, Tensor]]) -> None:
    assert_near(found[0], expected[0], ALGEBRA)
    assert found[1].keys() == expected[1].keys()
    assert found[1]
    for name, gradient in expected[1].items():
        assert_near(found[1][name], gradient, ALGEBRA, name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"shortcut": "A"}),
        ("resnet18", {"shortcut": "B"}),
        ("resnet50", {"shortcut": "B", "stride_in_1x1": True}),
        ("resnet50", {"shortcut": "C"}),
        ("plain18", {}),
        ("preact_resnet18", {}),
    ],
)
@pytest.mark.parametrize("freeze_at", [0, 2])
def test_trunk_trains_as_the_plain_layers(name: str, options: dict[str, object], freeze_at: int) -> None:
    trunk, head = split_c4(frozen_network(name, **options))
    freeze_stages(trunk, head, freeze_at)
    x = torch.randn(2, 3, 49, 70, dtype=torch.float64)
    assert trains_on_rows(trunk.train(), x)
    found = value_and_gradients(trunk, x)
    assert not trains_on_rows(trunk.eval(), x)
    assert_same(found, value_and_gradients(trunk, x))


def test_elsewhere_the_plain_layers_run() -> None:
    block, x = nn.Sequential(nn.Conv2d(3, 3, 1), FrozenBatchNorm2d(3)), torch.zeros(1, 3, 4, 4)
    assert trains_on_rows(block, x)
    assert not trains_on_rows(nn.BatchNorm2d(3), x)
    assert not trains_on_rows(block, x.bfloat16())
    assert not trains_on_rows(block, x.to("meta"))
    with torch.no_grad():  # proposals made between steps are those of the step, bit for bit
        assert trains_on_rows(block, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not trains_on_rows(block, x)
    assert not trains_on_rows(block.eval(), x)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "preact_resnet18"])
@pytest.mark.parametrize("frozen", [True, False])
def test_recomputed_blocks_train_as_kept_ones(name: str, frozen: bool) -> None:
    network = frozen_network(name) if frozen else create_backbone(name, width=8).double()
    network.train()
    start = {key: value.clone() for key, value in network.state_dict().items()}
    x = torch.randn(2, 3, 40, 40, dtype=torch.float64)
    runs, states = [], []
    for recompute in (False, True):
        network.load_state_dict(start)
        for block in network.modules():
            if isinstance(block, ResidualBlock):
                block.recompute = recompute
        runs.append(value_and_gradients(network, x))
        states.append({key: value.clone() for key, value in network.state_dict().items()})
    assert_same(runs[1], runs[0])
    for key, value in states[0].items():  # BN has counted the batch once
        assert torch.equal(states[1][key], value), key
    assert frozen or not torch.equal(states[0]["bn1.running_mean"], start["bn1.running_mean"])


def test_recomputed_blocks_keep_their_inputs_alone() -> None:
    network = create_backbone("resnet18", width=8)
    network.train()
    kept = []
    for recompute in (False, True):
        for block in network.modules():
            if isinstance(block, ResidualBlock):
                block.recompute = recompute
        sizes: dict[int, int] = {}

        def note(tensor: Tensor, sizes: dict[int, int] = sizes) -> Tensor:
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            network(torch.randn(2, 3, 64, 64))
        kept.append(sum(sizes.values()))
    assert kept[1] < kept[0]
