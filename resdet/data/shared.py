"""Arrays that worker processes share, however they are started."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where Linux keeps it: of a container often 64 MB


class SharedArrays:
    """A class whose numpy arrays are not copied for every process that torch starts (``spawn``); forked ones share anyway.

    torch sends tensors to other processes as shared memory, and arrays as copies. So the arrays leave as tensors, the same
    ones for every process, where there is room; what arrives maps their memory, and cannot be written. Copying and pickling
    go the same way: the arrays must not be changed once they have left.
    """

    @cached_property
    def _sent(self) -> dict[str, Any]:
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        if not _has_room(sum(array.nbytes for array in arrays.values())):
            return arrays
        return {name: _Sent(array) for name, array in arrays.items()}

    def __getstate__(self) -> dict[str, Any]:
        sent = self._sent
        return {name: sent.get(name, value) for name, value in vars(self).items() if name != "_sent"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: value.array() if isinstance(value, _Sent) else value for name, value in state.items()})


class _Sent:
    """An array of any type without objects, as a tensor of its bytes."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.dtype, self.shape = array.dtype, array.shape
        # a copy: torch may move it into shared memory
        self.memory: Tensor = torch.from_numpy(np.ascontiguousarray(array).reshape(-1).view(np.uint8).copy())

    def array(self) -> NDArray[Any]:
        """The array, in the tensor's memory."""
        found = self.memory.numpy().view(self.dtype).reshape(self.shape)
        found.setflags(write=False)
        return found


def _has_room(size: int) -> bool:
    """Whether shared memory holds so many bytes, and as many for the batches."""
    return not _SHARED_MEMORY.is_dir() or shutil.disk_usage(_SHARED_MEMORY).free >= 2 * size
