"""CUDA graphs: the kernels of a forward and a backward pass of one shape, started at once instead of one after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resdet.engine.precision import Precision
from resdet.errors import ConfigError


def replay(module: nn.Module, example: Tensor, precision: Precision) -> None:
    """Have a module in training mode replay its forward and backward pass on inputs of one shape.

    In evaluation mode it computes as before. Parameters and buffers keep their memory, and their values: the passes that are
    run for recording leave no trace in BN's statistics.

    Args:
        module: on a GPU, without hooks; it gives one tensor.
        example: an input of the shape of all later ones, on the same GPU.
        precision: the number format of the later passes.

    Raises:
        ConfigError: without a GPU.
    """
    if not example.is_cuda:
        raise ConfigError(f"option 'run.cuda_graphs' needs a GPU, the device is {example.device}")
    was_training, kept = module.training, [buffer.clone() for buffer in module.buffers()]
    module.train()
    # a cast that is remembered would be memory of the graph, read when it is not replayed
    with precision.autocast(cached=False):
        torch.cuda.make_graphed_callables(module, (example,))
    with torch.no_grad():
        for buffer, value in zip(module.buffers(), kept, strict=True):
            buffer.copy_(value)
    module.train(was_training)
