"""Layers by torch.compile."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

# the first shapes are compiled as they are, and recorded as CUDA graphs; code for any shape runs without
_GRAPHS_WHERE_SHAPES_REPEAT = {"triton.cudagraphs": True, "triton.cudagraph_skip_dynamic_graphs": True}


class Compiled(nn.Module):
    """A module whose operations torch.compile fuses: biases, sums and ReLUs go into the convolutions before them.

    The first calls take a minute each, or minutes: of the first shape, of the second one, which makes torch compile for any
    size, and where the number of images or regions is 1.

    Args:
        module: of tensors; it is changed.
        graphs: record CUDA graphs while shapes repeat; what is returned is a copy.
    """

    def __init__(self, module: nn.Module, *, graphs: bool) -> None:
        super().__init__()
        self.module = module
        self.graphs = graphs
        module.compile(options=dict(_GRAPHS_WHERE_SHAPES_REPEAT) if graphs else None)

    def forward(self, x: Tensor) -> Any:
        """What the module gives."""
        found = self.module(x)
        # the next run of a graph writes into the same memory
        return tree_map(torch.clone, found) if self.graphs else found
