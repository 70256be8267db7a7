"""Where the kernels in Triton run: on GPUs for which Triton compiles. Elsewhere torch's and torchvision's operators do."""

from __future__ import annotations

import functools
import logging
from importlib.util import find_spec

import torch
from torch import Tensor

_log = logging.getLogger(__name__)


def has_gpu_kernels(x: Tensor) -> bool:
    """Whether kernels in Triton can work on ``x``: it is on a GPU, and there Triton compiles and gives right results."""
    return x.is_cuda and _works(x.device)


@functools.cache
def _works(device: torch.device) -> bool:
    if find_spec("triton") is None:
        return False
    boxes = torch.tensor([[[0.0, 0, 4, 4], [0, 0, 4, 4], [9, 9, 9, 9]]], device=device)
    try:
        from resdet.ops.triton_nms import batched_top_nms

        survivors, _ = batched_top_nms(boxes, torch.ones(1, 3, dtype=torch.bool, device=device), 0.5, 2)
        found = survivors.tolist()
    except Exception as error:  # noqa: BLE001  a missing compiler, an old GPU, …: each raises what it likes
        reason = str(error).partition("\n")[0][:200]
        _log.warning("Triton does not run on %s (%s: %s): detection takes longer", device, type(error).__name__, reason)
        return False
    return bool(found == [[0, 2]])
