"""Variants of residual blocks against their formulas, written out on the tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from rounding import ALGEBRA, assert_near
from torch import Tensor, nn

from resdet.analysis.identity import ORIGINAL, VARIANTS, change, conclude_identity, variant_backbone
from resdet.analysis.stability import LossCurve
from resdet.config.schema import BackboneConfig
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone

X = torch.rand(2, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def network(variant: str) -> nn.Module:
    torch.manual_seed(0)
    model = create_backbone("cifar_resnet8", width=4, num_classes=3).double()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.weight.data, part.bias.data, part.running_mean, part.running_var):
                values.copy_(torch.rand_like(values) + 0.5)
    return change(model, variant).double().eval()


def norm(bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    shape = (1, -1, 1, 1)
    return (x - bn.running_mean.view(shape)) / (bn.running_var.view(shape) + bn.eps).sqrt() * bn.weight.view(
        shape
    ) + bn.bias.view(shape)


def gated(block: nn.Module, x: Tensor) -> Tensor:
    return 1 / (
        1 + torch.exp(-(torch.einsum("nchw,oc->nohw", x, block.gate.weight[:, :, 0, 0]) + block.gate.bias.view(-1, 1, 1)))
    )


def usual(b: nn.Module, x: Tensor) -> Tensor:
    return norm(b.bn2, b.conv2(norm(b.bn1, b.conv1(x)).clamp(min=0)))


FORMULAS: dict[str, Callable[[nn.Module, nn.Module, Tensor], Tensor]] = {
    "(b) BN after addition": lambda _, b, x: norm(b.bn2, b.conv2(norm(b.bn1, b.conv1(x)).clamp(min=0)) + x).clamp(min=0),
    "(c) ReLU before addition": lambda _, b, x: usual(b, x).clamp(min=0) + x,
    "(d) ReLU-only pre-activation": lambda _, b, x: usual(b, x.clamp(min=0)) + x,
    "constant scaling": lambda _, b, x: (usual(b, x) / 2 + x / 2).clamp(min=0),
    "exclusive gating": lambda v, b, x: (gated(v, x) * usual(b, x) + (1 - gated(v, x)) * x).clamp(min=0),
    "shortcut-only gating": lambda v, b, x: (usual(b, x) + (1 - gated(v, x)) * x).clamp(min=0),
    "dropout shortcut": lambda _, b, x: (usual(b, x) + x).clamp(min=0),  # in testing nothing is dropped
}


@pytest.mark.parametrize("variant", FORMULAS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_block_is_its_formula(variant: str, sign: int) -> None:
    block = network(variant).layer1[0]
    x, kept = sign * X, (sign * X).clone()
    assert_near(block(x), FORMULAS[variant](block, block.block, x), ALGEBRA)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("variant", [each for each in VARIANTS if each not in ("(e) full pre-activation", "1x1 shortcut")])
def test_a_changed_network_runs_and_every_weight_is_reached(variant: str) -> None:
    model = network(variant).train()
    model(torch.randn(4, 3, 12, 12, dtype=torch.float64)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    if variant == "(d) ReLU-only pre-activation":
        assert (model.forward_features(torch.randn(2, 3, 8, 8, dtype=torch.float64)) >= 0).all()


def test_a_shortcut_is_dropped_in_training() -> None:
    block = network("dropout shortcut").layer1[0].train()
    for part in block.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    given = block(X) - F.relu(usual(block.block, X))
    assert 0 < float((given.abs() < 1e-9).double().mean()) < 1


def test_some_variants_are_networks_of_the_registry() -> None:
    config = BackboneConfig("cifar_resnet20")
    assert variant_backbone(config, "(e) full pre-activation").name == "cifar_preact_resnet20"
    assert variant_backbone(config, "1x1 shortcut").shortcut == "C"
    assert variant_backbone(config, ORIGINAL) == variant_backbone(config, "constant scaling") == config
    for wrong in (
        BackboneConfig("resnet50"),
        BackboneConfig("cifar_plain20"),
        BackboneConfig("cifar_resnet20", shortcut="none"),
    ):
        with pytest.raises(ConfigError, match=r"needs cifar_resnet… in option 'model\.backbone\.name'"):
            variant_backbone(wrong, ORIGINAL)


def curve(name: str, loss: float, seed: int) -> LossCurve:
    return LossCurve(name, "batch", 0.1, seed, 10, (3.0, loss))


def test_what_is_concluded() -> None:
    losses = {ORIGINAL: (1.0, 1.1, 1.2), "constant scaling": (2.0, 2.1, 2.2), "1x1 shortcut": (1.0, 1.2, 1.3)}
    curves = [curve(name, loss, seed) for name, some in losses.items() for seed, loss in enumerate(some)]
    assert conclude_identity(curves) == (
        "training loss after 2 steps, 3 seeds, best first: (a) original 1.10 ± 0.06, 1x1 shortcut 1.17 ± 0.09, constant "
        "scaling 2.10 ± 0.06; beyond the noise of the seeds from the original: constant scaling above"
    )
    assert conclude_identity(curves[::3]).endswith("constant scaling 2.00; of a single seed the noise is unknown")
