"""Recomputed blocks train as kept ones, and keep less; plain blocks are plain."""

from __future__ import annotations

import pytest
import torch
from rounding import ALGEBRA, assert_near
from torch import nn
from training_networks import assert_same_step, frozen_network, kept_numbers, set_recompute, step

from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.split import split_c4
from resdet.ops.frozen_bn import FrozenBatchNorm2d


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
        set_recompute(network, recompute)
        runs.append(step(network, x))
        states.append({key: value.clone() for key, value in network.state_dict().items()})
    assert_same_step(runs[1], runs[0])
    for key, value in states[0].items():  # BN has counted the batch once
        assert torch.equal(states[1][key], value), key
    assert frozen or not torch.equal(states[0]["bn1.running_mean"], start["bn1.running_mean"])


def test_recomputed_blocks_keep_their_inputs_alone() -> None:
    network = create_backbone("resnet18", width=8)
    network.train()
    kept = []
    for recompute in (False, True):
        set_recompute(network, recompute)
        kept.append(kept_numbers(network, torch.randn(2, 3, 64, 64)))
    assert kept[1] < kept[0]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "preact_resnet50"])
def test_every_module_of_a_plain_network_is_called(name: str, training: bool) -> None:
    called: list[int] = []
    for part, channels, size in zip(split_c4(frozen_network(name)), (3, None), (64, 4), strict=True):
        part.train(training)
        layers = [module for module in part.modules() if isinstance(module, (nn.Conv2d, FrozenBatchNorm2d, nn.Identity))]
        for layer in layers:
            layer.register_forward_hook(lambda layer, *_: called.append(id(layer)))
        part(torch.randn(1, channels or part.in_channels, size, size, dtype=torch.float64))
        assert len(layers) > 8
        assert {*called} >= {id(layer) for layer in layers}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "preact_resnet18"])
def test_plain_parts_are_traced_and_exported(name: str, training: bool) -> None:
    for part, channels, size in zip(split_c4(frozen_network(name)), (3, None), (64, 4), strict=True):
        part.train(training)
        x = torch.randn(2, channels or part.in_channels, size, size, dtype=torch.float64)
        expected = part(x.clone())
        assert_near(torch.fx.symbolic_trace(part)(x.clone()), expected, ALGEBRA)
        exported = torch.export.export(part, (x.clone(),))
        assert_near(exported.module()(x.clone()), expected, ALGEBRA)
        kinds = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
        assert any("conv2d" in kind or "convolution" in kind for kind in kinds)
