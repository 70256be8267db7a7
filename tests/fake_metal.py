"""An Apple GPU, as far as a CPU can play one: tensors on the device "mps" that compute on the CPU and refuse what Metal does.

Refused are float64, on the device and on its way there, and operations that mix the device's tensors with the CPU's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

METAL = torch.device("mps", 0)
# operations whose tensors may lie on several devices
_MOVES = {"_to_copy", "copy_", "_copy_from"}


class MetalTensor(torch.Tensor):
    """A tensor that says it is on "mps"; its numbers are ``numbers``, on the CPU."""

    numbers: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, numbers: torch.Tensor, requires_grad: bool = False) -> MetalTensor:
        if numbers.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.shape,
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device="cpu",  # this torch may lack what its own core asks of "mps"
            requires_grad=requires_grad,
        )
        made.numbers = numbers
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return METAL

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        return torch.ops.aten._to_copy(self, device=torch.device("cpu"))

    def new_tensor(self, data: Any, **options: Any) -> torch.Tensor:
        return torch.tensor(data, **{"dtype": self.dtype, "device": METAL, **options})

    def tolist(self) -> Any:
        return self.numbers.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "can't convert mps:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["numbers"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], *_: Any) -> MetalTensor:
        return MetalTensor(inner["numbers"])

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(operation, args, kwargs or {})


class Metal(TorchDispatchMode):
    """While it is entered, tensors are made on "mps" when that is asked for."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(operation, args, kwargs or {})


def compute(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on the CPU, and what it gives on the device it would be on."""
    name = operation.overloadpacket.__name__
    tensors = [each for each in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    there = [each for each in tensors if isinstance(each, MetalTensor)]
    strangers = [each for each in tensors if not isinstance(each, MetalTensor) and each.ndim]
    # an index may lie on the CPU, as with CUDA
    indices = name.startswith("index") and all(each.dtype in (torch.int64, torch.bool) for each in strangers)
    if there and strangers and name not in _MOVES and not indices:
        raise RuntimeError(f"{operation}: expected all tensors on the same device, but found at least two, mps:0 and cpu")
    asked = kwargs.get("device")
    device = torch.device(asked) if asked is not None else (METAL if there else torch.device("cpu"))
    if name.startswith("new_") and there:
        device = METAL  # the "cpu" asked for is what torch's core takes the tensor's device for
    if name == "copy_":
        device = METAL if isinstance(args[0], MetalTensor) else torch.device("cpu")
    if device.type == "mps":
        if kwargs.get("dtype") == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")
        if asked is not None:
            kwargs = {**kwargs, "device": torch.device("cpu")}

    def unwrapped(value: Any) -> Any:
        return value.numbers if isinstance(value, MetalTensor) else value

    found = operation(*tree_map(unwrapped, args), **tree_map(unwrapped, kwargs))
    if operation._schema.is_mutable and name.endswith("_"):
        return args[0] if operation._schema.returns else None

    def wrapped(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and device.type == "mps":
            given = [each for each in there if each.numbers is value]
            return given[0] if given else MetalTensor(value)
        return value

    return tree_map(wrapped, found)


def to(self: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
    """``Tensor.to``, whose own version asks torch's core for "mps"."""
    place = next((each for each in (*args, options.get("device")) if isinstance(each, (str, torch.device))), None)
    like = next((each for each in args if isinstance(each, torch.Tensor)), None)
    rest = [each for each in args if not isinstance(each, (str, torch.device, torch.Tensor, bool, type(None)))]
    if like is not None:
        place, rest = like.device, [like.dtype]
    options = {key: value for key, value in options.items() if key not in ("device", "non_blocking")}
    device = self.device if place is None else torch.device(place)
    dtypes = [each for each in (*rest, options.get("dtype")) if isinstance(each, torch.dtype)]
    dtype, layout = (dtypes or [None])[0], options.get("memory_format")
    if device.type == self.device.type == "cpu":
        return _own_to(self, *rest, **options)
    changes = device.type != self.device.type or dtype not in (None, self.dtype) or layout is not None or options.get("copy")
    return torch.ops.aten._to_copy(self, device=device, dtype=dtype, memory_format=layout) if changes else self


def tensor(data: Any, *, device: Any = None, **options: Any) -> torch.Tensor:
    """``torch.tensor``, which too does not leave it to the mode."""
    made = _own_tensor(data, **options)
    return made if device is None else made.to(device)


def pad_sequence(rows: Any, *options: Any) -> torch.Tensor:
    """What ``rnn.pad_sequence`` calls, which asks the rows for their device below Python."""
    return _own_pad(rows, *options).to(rows[0].device)


_own_to, _own_tensor, _own_pad = torch.Tensor.to, torch.tensor, torch._C._nn.pad_sequence


@contextlib.contextmanager
def metal() -> Iterator[torch.device]:
    """A machine with an Apple GPU."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch.Tensor.to, torch.tensor, torch._C._nn.pad_sequence = to, tensor, pad_sequence
    try:
        with Metal():
            yield METAL
    finally:
        torch.Tensor.to, torch.tensor, torch._C._nn.pad_sequence = _own_to, _own_tensor, _own_pad
        torch.__future__.set_swap_module_params_on_conversion(before)
