"""From a network to its twin for training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TypeVar, cast

import torch
from torch import nn

from resdet.models.backbones.blocks import BasicBlock, Bottleneck, ResidualBlock
from resdet.models.backbones.split import Trunk
from resdet.models.detection.roi_heads import RoIHeads
from resdet.models.detection.rpn import RPNHead
from resdet.models.detection.training_rows.block import TrainingBasicBlock, TrainingBottleneck
from resdet.models.detection.training_rows.on_gpu import GPUBasicBlock, GPUBottleneck, GPUTrunk
from resdet.models.detection.training_rows.regions import TrainingRoIHeads
from resdet.models.detection.training_rows.rpn_head import TrainingRPNHead
from resdet.models.detection.training_rows.trunk import TrainingTrunk
from resdet.ops.frozen_bn import FrozenBatchNorm2d
from resdet.ops.kernels import Kernels
from resdet.ops.matmul import MATMULS, Matmul, fastest_matmul

_log = logging.getLogger(__name__)

ModuleT = TypeVar("ModuleT", bound=nn.Module)
_TWINS: dict[type[nn.Module], type[nn.Module]] = {
    BasicBlock: TrainingBasicBlock,
    Bottleneck: TrainingBottleneck,
    Trunk: TrainingTrunk,
    RPNHead: TrainingRPNHead,
    RoIHeads: TrainingRoIHeads,
}
_GPU_TWINS: dict[type[nn.Module], type[nn.Module]] = {BasicBlock: GPUBasicBlock, Bottleneck: GPUBottleneck, Trunk: GPUTrunk}
# what else is one of these is left as it is: pre-activation blocks, and a user's own subclasses
_PARTS = (ResidualBlock, Trunk, RPNHead, RoIHeads)


def training_twin(model: ModuleT, kernels: Kernels) -> ModuleT:
    """A network that trains ``model``: its parameters, buffers, names and modes are the model's own, its steps take less work.

    Args:
        model: any; what is not a residual block with frozen BN, or around one, is shared as it is. Hooks of blocks and around
            them must be there before.
        kernels: how products are computed.

    Returns:
        ``model`` itself where nothing of it can be computed on rows.
    """
    name = training_kernel(model, kernels)
    return model if name is None else cast(ModuleT, _twin(model, "", _TWINS, {"matmul": MATMULS[name]}, {}))


def gpu_twin(model: ModuleT) -> ModuleT:
    """As ``training_twin``, on a GPU: ``model`` itself where none of its blocks has frozen BN."""
    return model if _frozen_weight(model) is None else cast(ModuleT, _twin(model, "", _GPU_TWINS, {}, {}))


def training_kernel(model: nn.Module, kernels: Kernels) -> str | None:
    """The name of the fastest of ``MATMULS`` for a step of ``model``; None where nothing of it can be computed on rows."""
    weight = _frozen_weight(model)
    if weight is None or weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.float64):
        return None
    convolutions = [part for block in _frozen_blocks(model) for part in block.modules() if isinstance(part, nn.Conv2d)]
    pointwise = {(conv.in_channels, conv.out_channels) for conv in convolutions if conv.kernel_size == (1, 1)}
    shapes = pointwise or {(conv.in_channels, conv.out_channels) for conv in convolutions}
    return fastest_matmul(shapes, weight.dtype, kernels)


def _frozen_blocks(model: nn.Module) -> list[nn.Module]:
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    return [block for block in blocks if any(isinstance(part, FrozenBatchNorm2d) for part in block.modules())]


def _frozen_weight(model: nn.Module) -> nn.Parameter | None:
    return next((parameter for block in _frozen_blocks(model) for parameter in block.parameters()), None)


def _twin(
    module: nn.Module,
    place: str,
    kinds: Mapping[type[nn.Module], type[nn.Module]],
    extras: Mapping[str, Matmul],
    made: dict[int, nn.Module],
) -> nn.Module:
    if id(module) in made:
        return made[id(module)]
    children = {
        name: None if child is None else _twin(child, f"{place}.{name}".lstrip("."), kinds, extras, made)
        for name, child in module._modules.items()
    }
    kind = kinds.get(type(module))
    if kind is None and isinstance(module, tuple(part for part in _PARTS if part in kinds or part is ResidualBlock)):
        _log.info("%s trains as it is written, which takes longer: it is a %s", place, type(module).__name__)
    twin = module
    if kind is not None or any(children[name] is not child for name, child in module._modules.items()):
        twin = object.__new__(kind or type(module))
        # the same tensors and the same hooks, in the same dictionaries; other children
        twin.__dict__.update(module.__dict__, _modules=children)
        if kind is not None:
            twin.__dict__.update(**extras, place=place or type(module).__name__, said=False)
    made[id(module)] = twin
    return twin
