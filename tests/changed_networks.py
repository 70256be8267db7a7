"""What users do to a network: hooks, wrapped, parametrized and other modules, in tables of functions of a detector.

No fast form may compute such a network as if it was another one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, weight_norm

from resdet.models.backbones.blocks import Bottleneck
from resdet.models.detection.faster_rcnn import FasterRCNN

Change = Callable[[FasterRCNN], object]
BLOCK = "trunk.layer2.0"


class Adapted(nn.Module):
    """A convolution with a correction of low rank beside it, as LoRA has it."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.down = nn.Conv2d(conv.in_channels, 2, conv.kernel_size, conv.stride, conv.padding, bias=False).to(conv.weight)
        self.up = nn.Conv2d(2, conv.out_channels, 1, bias=False).to(conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.up(self.down(x))


class LearnedScale(nn.Module):
    """A parametrization."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale


class Doubled(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class DoubledBlock(Bottleneck):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def doubled(_module: nn.Module, _inputs: object, result: Tensor) -> Tensor:
    return 2 * result


def doubled_input(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (2 * inputs[0], *inputs[1:])


def replaced(module: nn.Module) -> None:
    """A ``forward`` of its own, as tracing tools and adapters set it."""
    written = module.forward
    module.forward = lambda *inputs: 2 * written(*inputs)  # type: ignore[method-assign]


def at(place: str, change: Callable[[nn.Module], nn.Module | object]) -> Change:
    """``change`` of one module; what it returns, if it is a module, takes its place."""

    def apply(model: FasterRCNN) -> None:
        found = change(model.get_submodule(place))
        if isinstance(found, nn.Module):
            parent, _, name = place.rpartition(".")
            setattr(model.get_submodule(parent), name, found)

    return apply


def convolution(**options: object) -> Callable[[nn.Module], nn.Module]:
    """A convolution with other options and, where it fits, the same weight."""

    def make(conv: nn.Module) -> nn.Module:
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
        own = {"bias": conv.bias is not None, **{name: getattr(conv, name) for name in names}}
        made = nn.Conv2d(**{**own, **options}).to(conv.weight)
        if made.weight.shape == conv.weight.shape:
            made.load_state_dict(conv.state_dict())
        return made

    return make


def biased(conv: nn.Module) -> None:
    conv.bias = nn.Parameter(torch.linspace(-1, 1, conv.out_channels).to(conv.weight))


def live_norm(norm: nn.Module) -> nn.Module:
    live = nn.BatchNorm2d(len(norm.weight)).to(norm.weight)
    live.load_state_dict(norm.state_dict(), strict=False)
    return live


def subclassed(block: nn.Module) -> None:
    block.__class__ = DoubledBlock


def quantized(conv: nn.Module) -> nn.Module:
    """A convolution whose weight and result are rounded to 8 bits, as quantization-aware training has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning))
        from torch.ao import quantization
        from torch.ao.nn.qat import Conv2d

        conv.qconfig = quantization.QConfig(
            activation=quantization.default_fake_quant, weight=quantization.default_weight_fake_quant
        )
        made = Conv2d.from_float(conv)
    made.weight_fake_quant.to(conv.weight.device)
    return made


def stubbed(conv: nn.Module) -> nn.Module:
    """A convolution between quantization stubs."""
    from torch.ao.quantization import DeQuantStub, QuantStub

    return nn.Sequential(QuantStub(), conv, DeQuantStub())


def old_weight_norm(conv: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning))
        weight_norm(conv)
    with torch.no_grad():
        conv.weight_g.mul_(1.5)


def new_weight_norm(conv: nn.Module) -> None:
    parametrizations.weight_norm(conv)
    with torch.no_grad():
        conv.parametrizations.weight.original0.mul_(1.5)


# what is changed inside of one block of the trunk
CHANGES: dict[str, Change] = {
    "forward hook": at(f"{BLOCK}.conv1", lambda conv: conv.register_forward_hook(doubled)),
    "forward hook of BN": at(f"{BLOCK}.bn2", lambda norm: norm.register_forward_hook(doubled)),
    "forward hook of ReLU": at(f"{BLOCK}.relu", lambda relu: relu.register_forward_hook(doubled)),
    "forward pre-hook": at(f"{BLOCK}.conv3", lambda conv: conv.register_forward_pre_hook(doubled_input)),
    "groups": at(f"{BLOCK}.conv2", convolution(groups=2)),
    "groups in a 1x1": at(f"{BLOCK}.conv1", convolution(groups=2)),
    "groups in a projection": at(f"{BLOCK}.downsample.0", convolution(groups=2)),
    "dilation": at(f"{BLOCK}.conv2", convolution(dilation=2, padding=2)),
    "circular padding": at(f"{BLOCK}.conv2", convolution(padding_mode="circular")),
    "bias": at(f"{BLOCK}.conv1", biased),
    "kernel of 5": at(f"{BLOCK}.conv2", convolution(kernel_size=5, padding=2)),
    "weight norm, old": at(f"{BLOCK}.conv2", old_weight_norm),
    "weight norm": at(f"{BLOCK}.conv2", new_weight_norm),
    "parametrization": at(f"{BLOCK}.conv1", lambda conv: parametrize.register_parametrization(conv, "weight", LearnedScale())),
    "pruned": at(f"{BLOCK}.conv1", lambda conv: prune.l1_unstructured(conv, "weight", 0.5)),
    "adapter": at(f"{BLOCK}.conv1", Adapted),
    "fake quantization": at(f"{BLOCK}.conv1", quantized),
    "quantization stubs": at(f"{BLOCK}.conv3", stubbed),
    "live BN": at(f"{BLOCK}.bn2", live_norm),
    "another activation": at(f"{BLOCK}.relu", lambda _: nn.LeakyReLU(0.3)),
    "another forward of a convolution": at(f"{BLOCK}.conv1", replaced),
    "another forward of a block": at(BLOCK, replaced),
    "hook of a block": at(BLOCK, lambda block: block.register_forward_hook(doubled)),
    "hook of a shortcut": at(f"{BLOCK}.downsample", lambda shortcut: shortcut.register_forward_hook(doubled)),
    "hook of a projection": at(f"{BLOCK}.downsample.0", lambda conv: conv.register_forward_hook(doubled)),
    "hook of an identity": at("trunk.layer2.1.downsample", lambda shortcut: shortcut.register_forward_hook(doubled)),
    "another shortcut": at(f"{BLOCK}.downsample", lambda shortcut: Doubled(*shortcut)),
    "a longer shortcut": at(f"{BLOCK}.downsample", lambda shortcut: nn.Sequential(*shortcut, nn.ReLU())),
    "another block": at(BLOCK, subclassed),
}
# what is changed elsewhere
CHANGES_AROUND: dict[str, Change] = {
    "hook of a stage": at("trunk.layer2", lambda stage: stage.register_forward_hook(doubled)),
    "another stage": at("trunk.layer2", lambda stage: Doubled(*stage)),
    "hook of the trunk": at("trunk", lambda trunk: trunk.register_forward_hook(doubled)),
    "hook of the stem": at("trunk.conv1", lambda conv: conv.register_forward_hook(doubled)),
    "dilated stem": at("trunk.conv1", convolution(dilation=2)),
    "another activation of the stem": at("trunk.relu", lambda _: nn.Tanh()),
    "hook of the pooling of the stem": at("trunk.maxpool", lambda pool: pool.register_forward_hook(doubled)),
    "hook of conv5": at("roi_heads.res5", lambda head: head.register_forward_hook(doubled)),
    "hook of the stage of conv5": at("roi_heads.res5.layer4", lambda stage: stage.register_forward_hook(doubled)),
    "hook of a block of conv5": at("roi_heads.res5.layer4.1", lambda block: block.register_forward_hook(doubled)),
    "hook of an identity of conv5": at("roi_heads.res5.layer4.1.downsample", lambda each: each.register_forward_hook(doubled)),
    "another block of conv5": at("roi_heads.res5.layer4.1", subclassed),
    "groups in conv5": at("roi_heads.res5.layer4.1.conv2", convolution(groups=2)),
    "groups in a 1x1 of conv5": at("roi_heads.res5.layer4.1.conv1", convolution(groups=2)),
    "groups in the projection of conv5": at("roi_heads.res5.layer4.0.downsample.0", convolution(groups=2)),
    "kernel of 5 in conv5": at("roi_heads.res5.layer4.1.conv2", convolution(kernel_size=5, padding=2)),
    "dilation in conv5": at("roi_heads.res5.layer4.2.conv2", convolution(dilation=2, padding=2)),
    "adapter in conv5": at("roi_heads.res5.layer4.0.conv1", Adapted),
    "hook of the pooler": at("roi_heads.pooler", lambda pooler: pooler.register_forward_hook(doubled)),
    "hook of the RPN's convolution": at("rpn.head.conv", lambda conv: conv.register_forward_hook(doubled)),
    "groups in the RPN": at("rpn.head.conv", convolution(groups=2)),
    "adapter in the RPN": at("rpn.head.objectness", Adapted),
    "hook of the RPN's head": at("rpn.head", lambda head: head.register_forward_hook(_doubled_pair)),
}


def _doubled_pair(_module: nn.Module, _inputs: object, result: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return 2 * result[0], 2 * result[1]
