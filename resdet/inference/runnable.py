"""Networks as people hand them over: in what torch wraps around them, in any number format."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn

from resdet.errors import ConfigError
from resdet.models.detection.faster_rcnn import PreparedFasterRCNN

NetworkT = TypeVar("NetworkT")


def unwrapped(network: Any) -> Any:
    """The network in ``torch.compile``'s, DataParallel's or a moving average's wrapping."""
    for name in ("_orig_mod", "module"):
        if isinstance(network, nn.Module) and name in network._modules:
            return unwrapped(network.get_submodule(name))
    return network


def runnable(network: NetworkT) -> NetworkT:
    """The network without wrappings, in eval mode.

    Raises:
        ConfigError: one that names no classes, as those of other toolkits, or in another number format than float32, in which
            boxes and scores are computed.
    """
    bare = unwrapped(network)
    if not hasattr(bare, "names"):
        kind = f"{type(bare).__module__}.{type(bare).__name__}"
        raise ConfigError(f"a network must have 'names', its classes, as those of create_model have, got {kind}")
    plain = isinstance(bare, nn.Module) and not isinstance(bare, PreparedFasterRCNN)  # which may have 16 bits inside
    formats = {value.dtype for value in bare.parameters()} if plain else set()
    if others := formats & {torch.float16, torch.bfloat16, torch.float64}:
        name = str(others.pop()).removeprefix("torch.")
        raise ConfigError(
            f"a network must be in float32, this one is in {name}: network.float(); "
            "for 16 bits save it and load it with precision='bf16' or 'fp16'"
        )
    return bare.eval()
