"""A whole residual network without its pool and classifier."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet


def network_body(resnet: ResNet, freeze_at: int) -> nn.Sequential:
    """conv1 … the last stage of ``resnet``, its own modules: normalized images (N, 3, H, W) to the last map (N, C, H', W').

    The state dict's keys are those of the network.

    Args:
        resnet: of any family.
        freeze_at: the first so many stages stop training: 1 conv1 and its BN, 2 ``layer1`` too, …; 0: none.

    Raises:
        ConfigError: when the network has fewer stages than ``freeze_at``.
    """
    stages = {f"layer{number}": stage for number, stage in enumerate(resnet.stages(), 1)}
    if not 0 <= freeze_at <= len(stages) + 1:
        raise ConfigError(f"'freeze_at' must be in 0 … {len(stages) + 1} for {resnet.spec.name}, got {freeze_at}")
    stem = {"conv1": resnet.conv1, "bn1": resnet.bn1, "relu": resnet.relu, "maxpool": resnet.maxpool}
    last = {} if resnet.bn_last is None else {"bn_last": resnet.bn_last, "relu_last": nn.ReLU(inplace=True)}
    for part in [nn.ModuleList(stem.values()), *stages.values()][:freeze_at]:
        part.requires_grad_(False)
    return nn.Sequential(OrderedDict[str, nn.Module](stem | stages | last))
