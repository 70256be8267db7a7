"""CUDA graphs: all kernels of a pass, started by one call, so that small networks train as fast as the GPU computes them."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from resdet.engine.gradients import HostCopy, with_total
from resdet.engine.optimizer import parameters_of
from resdet.engine.run import Run
from resdet.engine.task import Batch
from resdet.errors import ConfigError

_WARM_UP = 3  # steps in which libraries choose their kernels and take their memory, which cannot be recorded


def check_recording(device: torch.device) -> None:
    """Raise a ConfigError where there is nothing that records."""
    if device.type != "cuda":
        raise ConfigError(f"option 'run.cuda_graphs' needs a GPU, the device is {device}")


class RecordedGradients:
    """``Gradients`` for batches of one shape, on a GPU, in one process: the first batch is recorded, all are replayed.

    The forward and the backward pass are two graphs, so that the host reads the losses of a step while the way back runs, and a
    loss that is not finite never reaches the weights. Recording changes neither parameters nor buffers. What the step draws
    must come from the device's own generator.
    """

    def __init__(self) -> None:
        self._forward, self._backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        self._inputs: list[Tensor] = []

    def __call__(self, run: Run, batch: Batch, images: float) -> dict[str, float]:  # noqa: ARG002 - the batch is whole
        """See ``Gradients``."""
        tensors = _tensors(batch)
        if not self._inputs:
            self._record(run, batch, {name: value.clone() for name, value in tensors.items()})
        for mine, new in zip(self._inputs, tensors.values(), strict=True):
            mine.copy_(new)
        self._forward.replay()
        copied = HostCopy(self._names, self._values)
        self._backward.replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return copied.read()

    def _record(self, run: Run, batch: Batch, inputs: dict[str, Tensor]) -> None:
        """Record the step of a batch with these tensors in the place of its own."""
        batch, self._inputs = replace(batch, **inputs), list(inputs.values())  # type: ignore[type-var]
        kept = [(buffer, buffer.clone()) for buffer in run.task.model.buffers()]
        stream = torch.cuda.Stream(run.device)
        stream.wait_stream(torch.cuda.current_stream(run.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                run.optimizer.zero_grad()
                run.precision.backward(self._measured(run, batch)["loss"])
            run.optimizer.zero_grad()  # so that the gradients are made in the graph's memory
        pool = torch.cuda.graph_pool_handle()
        # threads that load images may go on
        with torch.cuda.graph(self._forward, pool=pool, stream=stream, capture_error_mode="thread_local"):
            measured = self._measured(run, batch)
            self._values = torch.stack(list(measured.values())).detach()
        with torch.cuda.graph(self._backward, pool=pool, stream=stream, capture_error_mode="thread_local"):
            run.precision.backward(measured["loss"])
        self._names = tuple(measured)
        self._gradients = [(parameter, parameter.grad) for parameter in parameters_of(run.optimizer)]
        for buffer, value in kept:
            buffer.copy_(value)

    def _measured(self, run: Run, batch: Batch) -> dict[str, Tensor]:
        # a cast that is remembered would be memory of the graph, read when it is not replayed
        with run.precision.autocast(cached=False):
            return with_total(run.task.step(run.network, batch))


def _tensors(batch: Batch) -> dict[str, Tensor]:
    values = {each.name: getattr(batch, each.name) for each in fields(batch)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}
