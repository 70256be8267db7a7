"""Where to compute."""

from __future__ import annotations

import functools
import logging
import os
import re
from typing import TypeAlias

import torch

from resdet.errors import ConfigError

Device: TypeAlias = str | torch.device
_log = logging.getLogger(__name__)


def select_device(name: Device = "auto") -> torch.device:
    """The device a name means, or torch's own: auto takes a CUDA GPU when there is one, else the CPU, never an Apple GPU (mps).

    Each of several processes that torchrun started on this machine takes a GPU of its own.

    Raises:
        ConfigError: an unknown name, or a GPU that is not there.
    """
    name = str(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    if not re.fullmatch(r"cpu|cuda(:\d+)?|mps(:0)?", name):
        raise ConfigError(f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}")
    if name.startswith("mps"):
        return _apple_gpu(name)
    device = torch.device(name)
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ConfigError(f"device {name!r}: torch sees {count or 'no'} CUDA device{'s'[: count != 1]} on this machine")
    return device


def _apple_gpu(name: str) -> torch.device:
    if not torch.backends.mps.is_available():
        reason = (
            "it needs an Apple GPU and a newer macOS" if torch.backends.mps.is_built() else "this torch is built without it"
        )
        raise ConfigError(f"device {name!r}: torch sees no Apple GPU on this machine: {reason}")
    falls_back = os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK") == "1"
    rest = "runs there too" if falls_back else "ends the program; PYTORCH_ENABLE_MPS_FALLBACK=1 lets it run there"
    _say_once(f"mps: what needs float64 (votes, ensembles, statistics) runs on the CPU; what torch has no kernel for {rest}")
    return torch.device("mps")


@functools.cache
def _say_once(text: str) -> None:
    _log.info(text)
