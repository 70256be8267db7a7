"""What happens to a residual network when its shortcut is no clean identity, or BN and ReLU stand elsewhere (He et al. 2016).

The orders (a) to (e) are those of their figure 4, the other shortcuts those of their figure 2. They are no part of the networks
that are trained and saved: a network is changed in place, for a short training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resdet.analysis.seeds import exceeds_noise, standard_error
from resdet.analysis.stability import LossCurve
from resdet.config.schema import BackboneConfig
from resdet.errors import ConfigError
from resdet.models.backbones.blocks import BasicBlock
from resdet.models.backbones.resnet import ResNet

ORIGINAL = "(a) original"
VARIANTS = (
    ORIGINAL,
    "(b) BN after addition",
    "(c) ReLU before addition",
    "(d) ReLU-only pre-activation",
    "(e) full pre-activation",
    "constant scaling",
    "exclusive gating",
    "shortcut-only gating",
    "1x1 shortcut",
    "dropout shortcut",
)
_ORDERS = VARIANTS[1:4]
_FAMILY, _PREACTIVATION = "cifar_resnet", "cifar_preact_resnet"
_CLOSED = -6.0  # the gates' bias at the start, the best of those that they try: sigmoid(-6) is 0.0025


def variant_backbone(config: BackboneConfig, variant: str) -> BackboneConfig:
    """The network that a variant is made of: (e) and option C are networks of the registry, the others are changed ones.

    Raises:
        ConfigError: for a network that is no CIFAR residual network of basic blocks.
    """
    if not config.name.startswith(_FAMILY) or config.shortcut == "none":
        raise ConfigError(f"analyze identity needs {_FAMILY}… in option 'model.backbone.name', got {config.name!r}")
    if variant == "(e) full pre-activation":
        return replace(config, name=config.name.replace(_FAMILY, _PREACTIVATION))
    return replace(config, shortcut="C") if variant == "1x1 shortcut" else config


def change(network: ResNet, variant: str) -> ResNet:
    """Change the blocks of a network of ``variant_backbone`` in place, and return it."""
    for stage in network.stages():
        for index, block in enumerate(stage):
            if isinstance(block, BasicBlock):
                if variant in _ORDERS:
                    stage[index] = ReorderedBlock(block, variant)
                elif "scaling" in variant or "gating" in variant or "dropout" in variant:
                    stage[index] = ReweightedBlock(block, variant)
    if variant == "(d) ReLU-only pre-activation":
        network.bn_last = nn.Identity()  # the ReLU that the last block lacks follows it
    return network


class ReorderedBlock(nn.Module):
    """A basic block with the order (b), (c) or (d) of BN and ReLU.

    Args:
        block: gives the layers.
        variant: which order.
    """

    def __init__(self, block: BasicBlock, variant: str) -> None:
        super().__init__()
        self.block, self.order = block, variant[1]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        block = self.block
        shortcut = _shortcut(block, x)
        branch = block.conv2(F.relu(block.bn1(block.conv1(F.relu(x) if self.order == "d" else x))))
        if self.order == "b":
            return F.relu(block.bn2(branch + shortcut))
        branch = block.bn2(branch)
        return (F.relu(branch) if self.order == "c" else branch) + shortcut


class ReweightedBlock(nn.Module):
    """A basic block whose shortcut is scaled, gated or dropped.

    Args:
        block: gives the layers.
        variant: constant scaling, exclusive gating, shortcut-only gating or dropout shortcut.
    """

    def __init__(self, block: BasicBlock, variant: str) -> None:
        super().__init__()
        self.block, self.variant = block, variant
        self.gate: nn.Conv2d | None = None
        if "gating" in variant:
            conv = block.conv1
            self.gate = nn.Conv2d(conv.in_channels, conv.out_channels, 1, conv.stride[0])
            nn.init.kaiming_normal_(self.gate.weight)
            nn.init.constant_(self.gate.bias, _CLOSED)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        branch, shortcut = self.block.branch(x), _shortcut(self.block, x)
        if self.variant == "constant scaling":
            return F.relu(0.5 * branch + 0.5 * shortcut)
        if self.gate is None:
            return F.relu(branch + F.dropout(shortcut, 0.5, self.training))
        gate = torch.sigmoid(self.gate(x))
        return F.relu((gate * branch if self.variant == "exclusive gating" else branch) + (1 - gate) * shortcut)


def conclude_identity(curves: Sequence[LossCurve]) -> str:
    """One line: the loss of each variant at the end, from best to worst, and which are beyond the noise from the original."""
    losses = {name: [each.final for each in curves if each.network == name] for name in VARIANTS}
    losses = {name: values for name, values in losses.items() if values}
    ranked = sorted(losses, key=lambda name: fmean(losses[name]))
    seeds, steps = len(losses[ORIGINAL]), len(curves[0].losses)
    listed = ", ".join(f"{name} {_number(losses[name])}" for name in ranked)
    text = f"training loss after {steps} steps, {seeds} seed{'s' if seeds > 1 else ''}, best first: {listed}"
    if seeds < 2:
        return f"{text}; of a single seed the noise is unknown"
    others = [name for name in ranked if name != ORIGINAL]
    apart = [name for name in others if exceeds_noise(losses[ORIGINAL], losses[name], len(others))]
    verdicts = [f"{name} {'below' if fmean(losses[name]) < fmean(losses[ORIGINAL]) else 'above'}" for name in apart]
    return f"{text}; beyond the noise of the seeds from the original: {', '.join(verdicts) or 'none'}"


def _number(values: Sequence[float]) -> str:
    return f"{fmean(values):.2f} ± {standard_error(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def _shortcut(block: BasicBlock, x: Tensor) -> Tensor:
    shortcut: Tensor = block.downsample(x)  # type: ignore[misc]  # a residual network has one
    return shortcut
