"""The gradient of a batch, and what was measured on the way."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from resdet.engine.run import Run
from resdet.engine.task import Batch


def gradients(run: Run, batch: Batch, images: float) -> dict[str, float]:
    """See ``Gradients``: the batch in ``run.accumulate`` parts, one after the other."""
    copies = []
    for part in batch.split(run.accumulate) if run.accumulate > 1 else [batch]:
        with run.precision.autocast():
            measured = with_total(run.task.step(run.network, part))
        share = len(part) / images
        copies.append((share, HostCopy(tuple(measured), torch.stack(list(measured.values())).detach())))
        run.precision.backward(measured["loss"] * share if share < 1 else measured["loss"])
    sums: dict[str, float] = {}
    for share, copied in copies:
        for name, value in copied.read().items():
            sums[name] = sums.get(name, 0.0) + share * value
    return sums


def with_total(measured: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a task measured, after the sum of its losses as "loss"."""
    return {"loss": torch.stack([value for name, value in measured.items() if name.startswith("loss")]).sum(), **measured}


class HostCopy:
    """Copies scalars from the device to the host.

    On a GPU the copy is queued behind the forward pass, and ``read`` waits only for the copy while the backward pass runs. So
    the host sees every loss of every step, and the device never waits for the host.

    Args:
        names: of the scalars.
        values: the scalars, (number of names,).
    """

    def __init__(self, names: tuple[str, ...], values: Tensor) -> None:
        self._names = names
        self._host = values.to("cpu", non_blocking=values.is_cuda)
        self._copied = torch.cuda.current_stream(values.device).record_event() if values.is_cuda else None

    def read(self) -> dict[str, float]:
        """The scalars by name."""
        if self._copied is not None:
            self._copied.synchronize()
        return dict(zip(self._names, self._host.tolist(), strict=True))
