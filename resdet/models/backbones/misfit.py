"""Which modules are what they are written to be: only those may be computed by other code that gives the same.

A hook, a wrapped or parametrized convolution, a dilation: what a fast form does not know of it must not compute. Each
function here says what is in the way, in words for a log, or "" where nothing is.
"""

from __future__ import annotations

import torch
from torch import nn

from resdet.models.backbones.blocks import BasicBlock, Bottleneck, ResidualBlock
from resdet.models.backbones.preact_blocks import PreactBasicBlock, PreactBottleneck
from resdet.models.backbones.shortcuts import Projection
from resdet.models.backbones.stems import DeepStem, stem_layers

_BLOCKS = (BasicBlock, Bottleneck, PreactBasicBlock, PreactBottleneck)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Same:
    """Marks a class that computes what its other base class computes, by other means."""


def is_a(module: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Whether a module is of one of these classes itself, or the ``Same``: a subclass may compute anything."""
    return type(module) in kinds or (isinstance(module, kinds) and isinstance(module, Same))


def stem_misfit(conv1: nn.Conv2d | DeepStem, bn1: nn.Module, relu: nn.Module, *norms: type[nn.Module]) -> str:
    """Whether a stem is made of plain convolutions, BN of these types and ReLUs."""
    found = [relu_misfit(relu)]
    if isinstance(conv1, DeepStem):
        if type(conv1) is not DeepStem or len(conv1) != 7:
            return f"a {type(conv1).__name__} of {len(conv1)} modules as a stem"
        found += [module_misfit(conv1), relu_misfit(conv1[2]), relu_misfit(conv1[5])]
    found += [conv_misfit(conv, norm, *norms) for conv, norm in stem_layers(conv1, bn1)]
    return next(filter(None, found), "")


def block_misfit(block: nn.Module, *norms: type[nn.Module]) -> str:
    """Whether a residual block's branch and projection are plain convolutions, BN of these types and ReLUs."""
    if not isinstance(block, ResidualBlock) or not is_a(block, *_BLOCKS):
        return f"{type(block).__name__} in place of a residual block"
    found = [relu_misfit(block.relu), *(conv_misfit(conv, norm, *norms) for conv, norm in block.layers)]
    if isinstance(block.downsample, nn.Sequential):
        found.append(_projection_misfit(block.downsample, *norms))
    found.append(module_misfit(block.downsample))
    return next(filter(None, found), "")


def _projection_misfit(shortcut: nn.Sequential, *norms: type[nn.Module]) -> str:
    """Whether it is a plain ``Projection``."""
    if type(shortcut) is not Projection or len(shortcut) > 2 + shortcut.averaged:
        return f"a {type(shortcut).__name__} of {len(shortcut)} modules as a shortcut"
    return conv_misfit(shortcut.conv, shortcut.norm, *norms)


def bottleneck_misfit(block: nn.Module) -> str:
    """Whether one that ``block_misfit`` has nothing to say of is a bottleneck: 1×1, 3×3 and, with stride 1, 1×1.

    Its projection is a 1×1, and the 1×1s are of one group.
    """
    if not isinstance(block, Bottleneck):
        return f"a {type(block).__name__} in place of a bottleneck"
    pointwise = [block.conv1, block.conv3]
    if isinstance(block.downsample, Projection):
        pointwise.append(block.downsample.conv)
    others = [conv for conv in pointwise if conv.kernel_size != (1, 1) or conv.groups != 1]
    if others:
        return f"{others[0]} in place of a 1×1 of one group"
    if block.conv2.kernel_size != (3, 3):
        return f"{block.conv2} in place of a 3×3"
    return "" if block.conv3.stride == (1, 1) else f"a stride of {block.conv3.stride} in the last 1×1"


def conv_misfit(conv: nn.Module, norm: nn.Module | None, *norms: type[nn.Module]) -> str:
    """Whether these are a plain convolution, of any number of groups, and a BN of one of these types or none."""
    if type(conv) is not nn.Conv2d or type(conv.weight) is not nn.Parameter:
        return f"{type(conv).__name__} in place of a Conv2d with a weight of its own"
    side = conv.kernel_size[0]
    if conv.dilation != (1, 1):
        return "a dilation"
    same = (conv.kernel_size, conv.padding, conv.padding_mode) == ((side, side), (side // 2, side // 2), "zeros")
    if not same or conv.stride[0] != conv.stride[1]:
        return f"a kernel of {conv.kernel_size} with padding {conv.padding} ({conv.padding_mode}) and stride {conv.stride}"
    if norm is not None and (type(norm) not in norms or conv.bias is not None):
        return f"{type(norm).__name__} beside {conv}"
    return module_misfit(conv, norm)


def has_global_hooks() -> bool:
    """Whether there are hooks that torch calls for every module."""
    # torch keeps them in dictionaries of these names; what asks for all of them at once is not in every release
    return any(getattr(torch.nn.modules.module, f"_global{name}", None) for name in _HOOKS)


def module_misfit(*modules: nn.Module | None) -> str:
    """Whether these modules have no hooks, and no ``forward`` of their own: then nobody sees whether they are called."""
    for module in modules:
        if module is not None and any(getattr(module, name, None) for name in _HOOKS):
            return f"a hook of a {type(module).__name__}"
        if module is not None and "forward" in vars(module):
            return f"another forward of a {type(module).__name__}"
    return ""


def relu_misfit(relu: nn.Module) -> str:
    """Whether this is a plain ReLU."""
    return module_misfit(relu) if type(relu) is nn.ReLU else f"{type(relu).__name__} in place of ReLU"
