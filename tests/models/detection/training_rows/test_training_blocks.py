"""A twin of a trunk trains as the plain layers do, and runs them where it computes nothing on rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_networks import assert_same_step, frozen_network, set_recompute, step

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.preact_blocks import PreactBlock
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.split import freeze_stages, split_c4
from resdet.models.detection.training_rows import block as block_module
from resdet.models.detection.training_rows.block import TrainingBlock
from resdet.models.detection.training_rows.conv import tensor_misfit
from resdet.models.detection.training_rows.trunk import TrainingTrunk
from resdet.models.detection.training_rows.twin import training_kernel, training_twin
from resdet.ops.kernels import Kernels

PLAIN = Kernels("torch")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"shortcut": "A"}),
        ("resnet18", {"shortcut": "B"}),
        ("resnet50", {"shortcut": "B", "stride_in_1x1": True}),
        ("resnet50", {"shortcut": "C"}),
        ("plain18", {}),
        ("preact_resnet18", {}),
        ("resnext50_32x4d", {"width": 16}),
        ("wide_resnet50_2", {}),
        ("resnet50d", {}),
    ],
)
@pytest.mark.parametrize("freeze_at", [0, 2])
@pytest.mark.parametrize("recompute", [False, True])
def test_trunk_trains_as_the_plain_layers(name: str, options: dict[str, object], freeze_at: int, recompute: bool) -> None:
    trunk, head = split_c4(frozen_network(name, **options))
    freeze_stages(trunk, head, freeze_at)
    x = torch.randn(2, 3, 49, 70, dtype=torch.float64)
    expected = step(trunk.train(), x)
    set_recompute(trunk, recompute)
    twin = training_twin(trunk, PLAIN)
    assert type(twin) is TrainingTrunk
    blocks = [part for part in twin.modules() if isinstance(part, ResidualBlock)]
    assert len(blocks) > 5
    # a pre-activation block is the network's own
    assert all(isinstance(block, TrainingBlock) != isinstance(block, PreactBlock) for block in blocks)
    assert all(block.recompute == recompute for block in blocks)
    assert_same_step(step(twin, x), expected)


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The convolutions that are computed on rows from now on."""
    seen: list[nn.Module] = []
    written = block_module.conv_on_rows

    def counted(rows: Tensor, conv: nn.Conv2d, *others: Any, **named: Any) -> Tensor:
        seen.append(conv)
        return written(rows, conv, *others, **named)

    monkeypatch.setattr(block_module, "conv_on_rows", counted)
    return seen


def test_elsewhere_the_plain_layers_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_steps(monkeypatch)
    block = training_twin(split_c4(frozen_network("resnet18"))[0].layer1[0].float(), PLAIN)
    x = torch.randn(1, 8, 6, 6)
    block(x)
    assert len(seen) == 2
    with torch.no_grad():  # proposals made between steps are those of the step, bit for bit
        assert not tensor_misfit(x)
    assert "bfloat16" in tensor_misfit(x.bfloat16())
    assert "meta" in tensor_misfit(x.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert tensor_misfit(x) == "autocast"
        assert block(x).dtype == torch.bfloat16
    assert len(seen) == 2


def test_a_compiled_twin_is_made_of_plain_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_steps(monkeypatch)
    block = training_twin(split_c4(frozen_network("resnet18"))[0].layer1[0].float(), PLAIN)
    x = torch.randn(1, 8, 6, 6)
    found = torch.compile(block, backend="eager", fullgraph=True)(x)
    assert not seen
    torch.testing.assert_close(found, block(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", [create_backbone("resnet18", width=8), nn.Linear(3, 3), frozen_network("resnet18").half()])
def test_networks_without_frozen_blocks_in_32_bits_are_their_own_twins(network: nn.Module) -> None:
    assert training_kernel(network, PLAIN) is None
    assert training_twin(network, PLAIN) is network
