"""Which modules are what they are written to be: only those may be computed by other code that gives the same.

A hook, a wrapped or parametrized convolution, groups, a dilation: what a fast form does not know of it must not compute. Each
function here says what is in the way, in words for a log, or "" where nothing is.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from resdet.models.backbones.blocks import ResidualBlock

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Same:
    """Marks a class that computes what its other base class computes, by other means."""


def is_a(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a module is of a class itself, or the ``Same``: a subclass may compute anything."""
    return type(module) is kind or (isinstance(module, kind) and isinstance(module, Same))


def block_misfit(block: nn.Module, *norms: type[nn.Module]) -> str:
    """Whether a residual block's branch and projection are plain convolutions, BN of these types and ReLUs."""
    if not isinstance(block, ResidualBlock) or not is_a(block, ResidualBlock):
        return f"{type(block).__name__} in place of a residual block"
    found = [relu_misfit(block.relu)]
    for number in range(1, block.depth + 1):
        conv, norm = block.get_submodule(f"conv{number}"), cast("nn.Module | None", getattr(block, f"bn{number}"))
        found.append(conv_misfit(conv, norm, *norms))
    if isinstance(block.downsample, nn.Sequential):
        conv, *after = block.downsample
        plain = type(block.downsample) is nn.Sequential and len(after) <= 1
        found.append("" if plain else f"a {type(block.downsample).__name__} of {1 + len(after)} modules as a shortcut")
        found.append(conv_misfit(conv, after[0] if after else None, *norms))
    found.append(module_misfit(block.downsample))
    return next(filter(None, found), "")


def bottleneck_misfit(block: ResidualBlock) -> str:
    """Whether the branch of one that ``block_misfit`` has nothing to say of is a 1×1, a 3×3 and a 1×1 of stride 1."""
    convolutions = [cast(nn.Conv2d, block.get_submodule(f"conv{number}")) for number in range(1, block.depth + 1)]
    sides = [conv.kernel_size[0] for conv in convolutions]
    if sides != [1, 3, 1] or convolutions[2].stride[0] != 1:
        return f"convolutions of {sides} with strides {[conv.stride[0] for conv in convolutions]}"
    return ""


def conv_misfit(conv: nn.Module, norm: nn.Module | None, *norms: type[nn.Module]) -> str:
    """Whether these are a plain convolution, and a BN of one of these types or none."""
    if type(conv) is not nn.Conv2d or type(conv.weight) is not nn.Parameter:
        return f"{type(conv).__name__} in place of a Conv2d with a weight of its own"
    side = conv.kernel_size[0]
    if conv.groups != 1 or conv.dilation != (1, 1):
        return "groups or a dilation"
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
