"""Convolutional layers as nodes: what a module computes is read from it by ``torch.fx``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional as F

from resdet.errors import ConfigError
from resdet.export.graph import Graph, Value
from resdet.models.backbones.unnormalized import ScaleShift
from resdet.models.detection.prepared.fold import fold
from resdet.ops.frozen_bn import FrozenBatchNorm2d

NumberType = type[np.float32] | type[np.float16]
_NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d, ScaleShift)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _MODULES or super().is_leaf_module(m, module_qualified_name)


def add_layers(graph: Graph, module: nn.Module, x: Value, dtype: NumberType) -> Value:
    """The nodes of a module of convolutions, BN, ReLUs, pools and sums, a BN after a convolution folded into it.

    Args:
        graph: gets the nodes.
        module: in eval mode; one tensor in, one out.
        x: its input, float32.
        dtype: float32 or float16, what its layers compute in.

    Returns:
        Its output, float32.

    Raises:
        ConfigError: for a layer that is none of these.
    """
    traced = _Tracer().trace(module)
    modules = dict(module.named_modules())
    values: dict[fx.Node, Value] = {}
    half = dtype is np.float16
    for node in traced.nodes:
        if node.op == "placeholder":
            values[node] = graph.cast(x, dtype) if half else x
        elif node.op == "output":
            result = values[node.args[0]]
            return graph.cast(result, np.float32) if half else result
        elif node.op == "call_module":
            values[node] = _add_module(graph, node, modules, values, dtype)
        else:
            values[node] = _add_function(graph, node, values, dtype)
    raise ValueError(f"{type(module).__name__} has no output")


def add_convolution(
    graph: Graph, conv: nn.Conv2d, x: Value, dtype: NumberType = np.float32, norm: nn.Module | None = None
) -> Value:
    """A convolution, and the BN after it, as one node."""
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        raise ConfigError(f"export: a convolution must be padded by a number of zeros, got {conv.extra_repr()}")
    weight, bias = fold(conv, norm)
    return graph.add(
        "Conv",
        x,
        as_array(weight, dtype),
        as_array(bias, dtype),
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=[*conv.padding, *conv.padding],
        dilations=list(conv.dilation),
        group=conv.groups,
    )


def add_linear(graph: Graph, linear: nn.Linear, x: Value, dtype: NumberType = np.float32) -> Value:
    """A fully connected layer."""
    weight, bias = fold(linear, None)
    return graph.add("Gemm", x, as_array(weight, dtype), as_array(bias, dtype), transB=1)


def as_array(tensor: Tensor, dtype: NumberType = np.float32) -> NDArray[Any]:
    """A constant of the graph from a tensor of the model."""
    return tensor.detach().cpu().numpy().astype(dtype)


def _add_module(
    graph: Graph, node: fx.Node, modules: Mapping[str, nn.Module], values: dict[fx.Node, Value], dtype: NumberType
) -> Value:
    module, given = modules[str(node.target)], cast(fx.Node, node.args[0])
    if type(module) not in _MODULES:
        raise ConfigError(f"export: layer {node.target!r} is a {type(module).__name__}, which it cannot write")
    if isinstance(module, nn.Conv2d):
        after = next(iter(node.users)) if len(node.users) == 1 else None
        norm = modules[str(after.target)] if after is not None and after.op == "call_module" else None
        return add_convolution(graph, module, values[given], dtype, norm if isinstance(norm, _NORMS) else None)
    before = modules[str(given.target)] if given.op == "call_module" else None
    if isinstance(module, _NORMS) and isinstance(before, nn.Conv2d) and len(given.users) == 1:
        return values[given]  # is in the convolution already
    return _MODULES[type(module)](graph, module, values[given], dtype)


def _add_norm(graph: Graph, norm: Any, x: Value, dtype: NumberType) -> Value:
    # of a 1 x 1 convolution that changes nothing: its weight is the scale, its bias the shift
    identity = nn.Conv2d(1, len(norm.weight), 1)
    nn.init.ones_(identity.weight)
    nn.init.zeros_(cast(Tensor, identity.bias))
    scale, shift = fold(identity, norm)
    scaled = graph.add("Mul", x, as_array(scale.view(-1, 1, 1), dtype))
    return graph.add("Add", scaled, as_array(shift.view(-1, 1, 1), dtype))


def _add_pool(graph: Graph, pool: Any, x: Value, _: NumberType) -> Value:
    shape = {name: _pair(getattr(pool, name)) for name in ("kernel_size", "stride", "padding")}
    attributes: dict[str, Any] = {
        "kernel_shape": shape["kernel_size"],
        "strides": shape["stride"],
        "pads": shape["padding"] * 2,
        "ceil_mode": int(pool.ceil_mode),
    }
    if isinstance(pool, nn.MaxPool2d):
        return graph.add("MaxPool", x, dilations=_pair(pool.dilation), **attributes)
    return graph.add("AveragePool", x, count_include_pad=int(pool.count_include_pad), **attributes)


def _pair(side: int | tuple[int, ...]) -> list[int]:
    return [side, side] if isinstance(side, int) else list(side)


_MODULES: dict[type[nn.Module], Callable[[Graph, Any, Value, NumberType], Value]] = {
    nn.Conv2d: add_convolution,
    nn.Linear: add_linear,
    nn.BatchNorm2d: _add_norm,
    FrozenBatchNorm2d: _add_norm,
    ScaleShift: _add_norm,
    nn.ReLU: lambda graph, _, x, __: graph.add("Relu", x),
    nn.Identity: lambda _, __, x, ___: x,
    nn.MaxPool2d: _add_pool,
    nn.AvgPool2d: _add_pool,
    nn.AdaptiveAvgPool2d: lambda graph, _, x, __: graph.add("GlobalAveragePool", x),  # to one position, as ResNet has it
}


def _add_function(graph: Graph, node: fx.Node, values: dict[fx.Node, Value], dtype: NumberType) -> Value:
    target, args = node.target, node.args
    x = values[cast(fx.Node, args[0])]
    if target in (operator.add, operator.iadd):
        return graph.add("Add", x, values[cast(fx.Node, args[1])])
    if target is torch.flatten:
        return graph.add("Flatten", x, axis=1)
    if target is operator.getitem:
        return _add_slice(graph, x, cast("tuple[slice, ...]", args[1]))
    if target is F.pad:
        pads = np.zeros((4, 2), np.int64)  # (N, C, H, W); torch begins with the last side
        given = np.array(args[1], np.int64).reshape(-1, 2)[::-1]
        pads[-len(given) :] = given
        return graph.add("Pad", x, pads.T.reshape(-1), np.array(0, dtype))
    raise ConfigError(f"export: a layer calls {getattr(target, '__name__', target)!r}, which it cannot write")


def _add_slice(graph: Graph, x: Value, slices: tuple[slice, ...]) -> Value:
    last = np.iinfo(np.int64).max
    starts = [each.start or 0 for each in slices]
    ends = [last if each.stop is None else each.stop for each in slices]
    return graph.add("Slice", x, starts, ends, list(range(len(slices))), [each.step or 1 for each in slices])
