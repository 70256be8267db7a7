"""The processes of a run, and what one of them asks the others."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from resdet.distributed.lent import lend, take_back
from resdet.distributed.watch import Watch

T = TypeVar("T")
_BUCKET = 25 * 2**20  # bytes that travel together: large enough that their number costs nothing


@dataclass(frozen=True)
class Ranks:
    """The processes that run the same program on shares of the same data; without arguments, one process that is alone.

    Whatever asks the others must be called by all processes, in the same order. Where one has failed or does not come, it
    raises the error that ``Watch`` knows.

    Attributes:
        rank: the number of this process, 0 … world - 1.
        world: the number of processes.
        watch: what looks after the others; None: there are no others.
        restarted: whether processes were started again after one had died.
    """

    rank: int = 0
    world: int = 1
    watch: Watch | None = None
    restarted: bool = False

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files, logs and the console."""
        return self.rank == 0

    def doing(self, text: str) -> None:
        """Say what this process does from here on, for the messages of a failure."""
        if self.watch is not None:
            self.watch.doing = text

    def deal(self, items: Sequence[T]) -> Sequence[T]:
        """This process's share of some items: every ``world``-th of them."""
        return items[self.rank :: self.world]

    def collect(self, found: Sequence[T]) -> list[T]:
        """What the processes have found of the items that were dealt, in the items' order; on all but the first process []."""
        if self.world == 1:
            return list(found)
        every = [_unpacked(each) for each in self._gathered(_packed(list(found)), first_only=True)]
        return [every[number % self.world][number // self.world] for number in range(sum(map(len, every)))]

    def once(self, function: Callable[[], T]) -> T:
        """Call a function on the first process alone, and give its result to all."""
        if self.world == 1:
            return function()
        result = function() if self.first else None
        packed = _packed(result) if self.first else torch.empty(0, dtype=torch.uint8)
        (length,) = self.most([len(packed)])
        if not self.first:
            packed = packed.new_empty(length)
        lend(packed)
        with self._together():
            dist.broadcast(packed, 0)
        return result if self.first else _unpacked(packed)  # type: ignore[return-value]

    @contextlib.contextmanager
    def entered(self, manager: AbstractContextManager[T]) -> Iterator[T]:
        """A context that the first process alone enters and leaves; what it gives is given to all."""
        with contextlib.ExitStack() as stack:
            yield self.once(lambda: stack.enter_context(manager))

    def everyones(self, item: T) -> list[T]:
        """The ``item`` of every process, by rank."""
        if self.world == 1:
            return [item]
        return [_unpacked(each) for each in self.gather(_packed(item))]

    def sum(self, numbers: Iterable[float]) -> list[float]:
        """The sums of numbers over all processes, in float64; the same bits everywhere."""
        return self._reduced(list(numbers), torch.float64, dist.ReduceOp.SUM)

    def most(self, numbers: Iterable[int]) -> list[int]:
        """The largest of each of some numbers, over all processes."""
        return self._reduced(list(numbers), torch.int64, dist.ReduceOp.MAX)

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in some process."""
        return bool(self.most([flag])[0])

    def add_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes; the same bits everywhere."""
        if self.world == 1:
            return
        with self._together():
            _add(tensors)
        take_back()  # the sums are as large as the tensors

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all processes, by rank; they may differ in their first dimension."""
        if self.world == 1:
            return [tensor]
        return self._gathered(tensor)

    def _gathered(self, tensor: Tensor, *, first_only: bool = False) -> list[Tensor]:
        """The tensors of all processes; [] on all but the first process, when they are for that one only."""
        lengths = self.most([len(tensor) * (rank == self.rank) for rank in range(self.world)])
        padded = tensor.new_zeros(max(lengths), *tensor.shape[1:])
        padded[: len(tensor)] = tensor
        found = [torch.empty_like(padded) for _ in lengths] if self.first or not first_only else []
        lend(padded, *found)
        with self._together():
            if first_only:
                dist.gather(padded, found if self.first else None)
            else:
                dist.all_gather(found, padded)
        return [each[:length] for each, length in zip(found, lengths, strict=False)]

    def _reduced(self, numbers: list[Any], dtype: torch.dtype, how: dist.ReduceOp.RedOpType) -> list[Any]:
        if self.world == 1:
            return numbers
        tensor = torch.tensor(numbers, dtype=dtype)
        lend(tensor)
        with self._together():
            dist.all_reduce(tensor, how)
        return tensor.tolist()

    def _together(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if self.watch is None else self.watch.together()


ALONE = Ranks()


def _add(tensors: Sequence[Tensor]) -> None:
    sent = []
    for bucket in _buckets(tensors):
        flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
        lend(flat)
        sent.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
    for bucket, flat, work in sent:
        work.wait()
        for tensor, numbers in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
            tensor.copy_(numbers.view(tensor.shape))


def _packed(item: object) -> Tensor:
    return torch.frombuffer(bytearray(pickle.dumps(item)), dtype=torch.uint8)


def _unpacked(packed: Tensor) -> Any:
    return pickle.loads(packed.numpy().tobytes())  # noqa: S301 - from a process of the same run, as torch's own exchange of objects


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors in their order, as many of a kind together as a bucket holds."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        kind = (tensor.dtype, tensor.device)
        if bucket and (kind != (bucket[0].dtype, bucket[0].device) or size + tensor.nbytes > _BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket
