"""A twin for a GPU trains as the plain layers do. Its steps are computed here by torch's own kernels, on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from training_networks import assert_same_step, frozen_network, losses_step, set_recompute, step, training_detector

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.preact_blocks import PreactBlock
from resdet.models.backbones.split import freeze_stages, split_c4
from resdet.models.detection.training_rows import on_gpu
from resdet.models.detection.training_rows.on_gpu import GPUBlock, GPUTrunk
from resdet.models.detection.training_rows.twin import gpu_twin
from resdet.ops.frozen_bn import FrozenBatchNorm2d


@pytest.fixture
def as_on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_gpu, "_fits", lambda x: True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"shortcut": "A"}),
        ("resnet18", {"shortcut": "B"}),
        ("resnet50", {"shortcut": "C", "stride_in_1x1": True}),
        ("plain18", {}),
        ("preact_resnet18", {}),
        ("resnext50_32x4d", {"width": 16}),
        ("resnet50d", {}),
    ],
)
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.usefixtures("as_on_gpu")
def test_trunk_trains_as_the_plain_layers(name: str, options: dict[str, object], recompute: bool) -> None:
    trunk, head = split_c4(frozen_network(name, **options))
    freeze_stages(trunk, head, 2)
    x = torch.randn(2, 3, 49, 70, dtype=torch.float64)
    expected = step(trunk.train(), x)
    set_recompute(trunk, recompute)
    twin = gpu_twin(trunk)
    assert type(twin) is GPUTrunk
    blocks = [part for part in twin.modules() if isinstance(part, ResidualBlock)]
    assert all(isinstance(block, GPUBlock) != isinstance(block, PreactBlock) for block in blocks)
    assert_same_step(step(twin, x), expected)


@pytest.mark.usefixtures("as_on_gpu")
def test_a_detectors_losses_and_gradients() -> None:
    plain = training_detector()
    assert_same_step(losses_step(gpu_twin(plain)), losses_step(plain))


@pytest.mark.usefixtures("as_on_gpu")
def test_statistics_that_change_are_seen() -> None:
    """Weights that are loaded, and statistics that are set, in a network that has trained before."""
    trunk, _ = split_c4(frozen_network("resnet18"))
    twin, x = gpu_twin(trunk), torch.randn(1, 3, 33, 33, dtype=torch.float64)
    before = step(twin, x)
    for part in trunk.modules():
        if isinstance(part, FrozenBatchNorm2d):
            part.running_mean += 0.5
            part.weight *= 1.5
    after = step(twin, x)
    assert_same_step(after, step(trunk, x))
    assert not torch.equal(after[0], before[0])


def test_on_a_cpu_the_plain_layers_run(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk, _ = split_c4(frozen_network("resnet18"))
    monkeypatch.setattr(on_gpu, "scaled_conv", None)
    gpu_twin(trunk)(torch.randn(1, 3, 33, 33, dtype=torch.float64))


def test_without_frozen_bn_it_is_the_network_itself() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert gpu_twin(network) is network
