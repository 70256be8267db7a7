"""Arrays that worker processes share, however they are started."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class SharedArrays:
    """A class whose numpy arrays are not copied for every process that torch starts (``spawn``); forked ones share anyway.

    torch sends tensors to other processes as shared memory, and arrays as copies. So the arrays leave as tensors, the same
    ones for every process; what arrives maps their memory. Ordinary pickling copies, as it does of arrays.
    """

    @cached_property
    def _sent(self) -> dict[str, _Sent]:
        return {name: _Sent(value) for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def __getstate__(self) -> dict[str, Any]:
        sent = self._sent
        return {name: sent.get(name, value) for name, value in vars(self).items() if name != "_sent"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: value.array() if isinstance(value, _Sent) else value for name, value in state.items()})


class _Sent:
    """An array of any type without objects, as a tensor of its bytes."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.dtype, self.shape = array.dtype.str, array.shape
        # a copy: torch may move it into shared memory
        self.memory: Tensor = torch.from_numpy(np.ascontiguousarray(array).reshape(-1).view(np.uint8).copy())

    def array(self) -> NDArray[Any]:
        """The array, in the tensor's memory."""
        return self.memory.numpy().view(self.dtype).reshape(self.shape)
