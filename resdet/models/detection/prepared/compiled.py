"""Layers by torch.compile."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

# the first shape is compiled as it is, and recorded as a CUDA graph; the second one makes torch compile for any shape, without
_GRAPHS_WHERE_SHAPES_REPEAT = {"triton.cudagraphs": True, "triton.cudagraph_skip_dynamic_graphs": True}


class Compiled(nn.Module):
    """A module whose operations torch.compile fuses: biases, sums and ReLUs go into the convolutions before them.

    The first call of a shape takes a minute, or minutes; from the second shape on the code fits all.

    Args:
        module: of tensors; results are its own to keep.
        graphs: record CUDA graphs.
    """

    def __init__(self, module: nn.Module, *, graphs: bool) -> None:
        super().__init__()
        self.module = module
        options: dict[str, Any] | None = dict(_GRAPHS_WHERE_SHAPES_REPEAT) if graphs else None
        self.graphs = graphs
        self.run = torch.compile(module, options=options)

    def forward(self, x: Tensor) -> Any:
        """What the module gives."""
        found = self.run(x)
        # the next run of a graph writes into the same memory
        return tree_map(torch.clone, found) if self.graphs else found
