"""A module's passes as CUDA graphs: all kernels of the way there, and all of the way back, started by one call each.

Only kinds of input that come back are recorded; others run as they are written.
"""

from __future__ import annotations

import functools
import gc
import logging
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, cast
from weakref import ReferenceType, ref

import torch
from torch import Tensor, nn
from torch.func import functional_call

from resdet.models.backbones.misfit import has_global_hooks, module_misfit

_log = logging.getLogger(__name__)

_SEEN = 3  # a kind is recorded at this appearance: many sizes of images come once or twice
_KINDS = 8  # each keeps memory of its own for input, output and their gradients
_WARM_UP = 3  # passes in which libraries choose their kernels and take their memory, which cannot be recorded
# makes the passes of a module for inputs like this one: the module, the input, its parameters, where to put their gradients
Record = Callable[[nn.Module, Tensor, Mapping[str, nn.Parameter], Sequence[Tensor]], "Passes"]


class Passes(Protocol):
    """What was recorded for one kind of input. Each pass reuses the memory of the one before."""

    def forward(self, x: Tensor) -> Tensor:
        """What the module makes of ``x``."""

    def backward(self, gradient: Tensor) -> Tensor | None:
        """The gradient of ``x``, None where it needs none; those of the parameters are written where they were asked for."""


class Recorded:
    """The ``forward`` of a module that trains, which replays what it has recorded.

    The same numbers as the module's own, and the same gradients: these are added to ``grad`` as autograd adds them. One use at
    a time: where the way back of the last has not come yet, the module runs as it is written, as it does without gradients.

    Args:
        module: makes one tensor of one tensor; see ``recording_misfit``. Its parameters may change in place after recording,
            its buffers must not.
        record: makes the graphs.
    """

    def __init__(self, module: nn.Module, record: Record | None = None) -> None:
        self._plain = _Plain(module)
        self._record = record or functools.partial(Graphs, pool=torch.cuda.graph_pool_handle())
        self._parameters = {name: each for name, each in self._plain.named_parameters() if each.requires_grad}
        self._gradients: list[Tensor] = []
        self._seen: Counter[Hashable] = Counter()
        self._passes: dict[Hashable, Passes] = {}
        self._last: ReferenceType[_Use] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """What the module makes of ``x``."""
        trains = torch.is_grad_enabled() and bool(self._parameters or x.requires_grad) and x.numel() > 0
        if not trains or self._busy() or has_global_hooks():
            return self._plain.forward(x)
        kind = _kind(x)
        self._seen[kind] += 1
        if kind not in self._passes:
            if self._seen[kind] < _SEEN or len(self._passes) == _KINDS:
                return self._plain.forward(x)
            self._gradients = self._gradients or [torch.empty_like(each) for each in self._parameters.values()]
            self._passes[kind] = self._record(self._plain, x, self._parameters, self._gradients)
        use = _Use(self, self._passes[kind])
        self._last = ref(use)
        # gradients of the parameters do not go through autograd: the last argument has it come back where x needs none
        return cast(Tensor, _Replay.apply(x, use, torch.empty(0, requires_grad=True)))

    def way_back(self, passes: Passes, gradient: Tensor) -> Tensor | None:
        """Add the gradients of the parameters to theirs; the input's."""
        # these may lie where the new ones are written to
        before = [None if parameter.grad is None else parameter.grad.clone() for parameter in self._parameters.values()]
        of_x = passes.backward(gradient)
        for parameter, mine, other in zip(self._parameters.values(), self._gradients, before, strict=True):
            parameter.grad = mine if other is None else mine.add_(other)
        return of_x

    def _busy(self) -> bool:
        use = None if self._last is None else self._last()
        return use is not None and not use.over


class _Plain(nn.Module):
    """A module by the ``forward`` that it had."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self._run = module, module.forward

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self._run(x))


class _Use:
    """A way there whose way back has not come; it is gone when autograd has dropped it."""

    def __init__(self, recorded: Recorded, passes: Passes) -> None:
        self.recorded, self.passes = recorded, passes
        self.over = False


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, use: _Use, _: Tensor) -> Tensor:
        ctx.use = use
        return use.passes.forward(x).detach()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        of_x = ctx.use.recorded.way_back(ctx.use.passes, gradient)
        ctx.use.over = True
        return None if of_x is None else of_x.detach(), None, None


class Graphs:
    """``Passes`` on a GPU, as two graphs.

    Args:
        module, x, parameters, gradients: see ``Record``.
        pool: memory for what lies between the passes. Graphs may share it when the passes of one never lie between those of
            another.
    """

    def __init__(
        self,
        module: nn.Module,
        x: Tensor,
        parameters: Mapping[str, nn.Parameter],
        gradients: Sequence[Tensor],
        *,
        pool: Any,
    ) -> None:
        self._there, self._back = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        self._x = x.detach().clone().requires_grad_(x.requires_grad)
        # parameters of its own in the same memory: autograd ties the module's to the stream of a step that it may still know
        own: dict[str, Tensor] = {name: nn.Parameter(parameter.detach()) for name, parameter in parameters.items()}
        wanted = [*own.values(), self._x] if x.requires_grad else list(own.values())
        gc.collect()  # a graph that was dropped must not be taken down while another one is recorded
        stream = torch.cuda.Stream(x.device)
        stream.wait_stream(torch.cuda.current_stream(x.device))
        enabled, dtype = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        # a cast that is remembered would be memory of the graph, read when it is not replayed
        with torch.enable_grad(), torch.autocast("cuda", dtype, enabled, cache_enabled=False):
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    y = functional_call(module, own, (self._x,))
                    self._gradient = torch.zeros_like(y)
                    found = torch.autograd.grad(y, wanted, self._gradient)
                    del y, found
            # threads that load images may go on
            with torch.cuda.graph(self._there, pool=pool, stream=stream, capture_error_mode="thread_local"):
                y = functional_call(module, own, (self._x,))
            with torch.cuda.graph(self._back, pool=pool, stream=stream, capture_error_mode="thread_local"):
                found = torch.autograd.grad(y, wanted, self._gradient)
                if gradients:
                    torch._foreach_copy_(list(gradients), list(found[: len(gradients)]))
        self._y = y.detach()
        self._of_x = found[-1] if x.requires_grad else None

    def forward(self, x: Tensor) -> Tensor:
        """See ``Passes``."""
        with torch.no_grad():
            self._x.copy_(x)
        self._there.replay()
        return self._y

    def backward(self, gradient: Tensor) -> Tensor | None:
        """See ``Passes``."""
        self._gradient.copy_(gradient)
        self._back.replay()
        return self._of_x


def record_passes(module: nn.Module) -> bool:
    """Have a module that trains replay its passes from now on; False, with a line in the log, where they cannot be recorded."""
    why = recording_misfit(module)
    if why:
        _log.info("the passes of %s are not recorded, which takes longer: %s", type(module).__name__, why)
    else:
        module.forward = Recorded(module)
    return not why


def recording_misfit(module: nn.Module) -> str:
    """What of a module a recording would leave out or repeat for ever: hooks inside, live BN, dropout; "" without any."""
    for part in module.modules():
        if isinstance(part, (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)):
            return f"a {type(part).__name__}"
        if part is not module and (why := module_misfit(part)):
            return why
    return ""


def _kind(x: Tensor) -> Hashable:
    """What inputs must have in common to be computed by the same kernels."""
    autocast = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else None
    return x.shape, x.dtype, x.requires_grad, autocast
