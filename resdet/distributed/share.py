"""The share that a process has of each batch, so that all processes together take the step of the whole batch.

What is drawn for an image, and what its loss is divided by, are those of the whole batch. Legend: N images of a whole batch, n
of them in this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from resdet.distributed.ranks import Ranks

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """A process's images of a batch: every ``world``-th, of each of the parts that the batch is computed in.

    Attributes:
        size: N.
        ranks: the processes that share the batch; ``most``, ``normalizer``, ``random`` and ``gathered`` ask all of them.
        parts: the number of parts, see ``pieces``.
    """

    size: int
    ranks: Ranks
    parts: int = 1

    @property
    def positions(self) -> list[int]:
        """Where the n images are in the whole batch."""
        return [position for piece in pieces(self.size, self.parts) for position in self.ranks.deal(range(self.size)[piece])]

    def __len__(self) -> int:
        return len(self.positions)

    def split(self) -> list[Share]:
        """The shares of the parts, each of which is a batch of its own."""
        return [Share(piece.stop - piece.start, self.ranks) for piece in pieces(self.size, self.parts)]

    def take(self, items: Sequence[T]) -> list[T]:
        """The n of N items that are this process's."""
        return [items[position] for position in self.positions]

    def most(self, *numbers: int) -> list[int]:
        """The largest of each of some numbers, over all processes."""
        return self.ranks.most(numbers)

    def normalizer(self, count: int) -> float:
        """What to divide a sum over ``count`` samples of the n images by.

        The means of all shares, weighted by their images, are then the sum over all samples by the number of all samples.
        """
        (total,) = self.ranks.sum([count])
        return max(total, 1) * len(self) / self.size

    def random(self, width: int, device: torch.device) -> Tensor:
        """Numbers float32 (n, width) in [0, 1): those that one process would draw for its rows of (N, width)."""
        (widest,) = self.most(width)
        return torch.rand(self.size, widest, device=device)[self.positions, :width]

    def gathered(self, own: Tensor) -> Tensor:
        """The rows of all N images, of the n of each process."""
        whole = own.new_empty(self.size, *own.shape[1:])
        for rank, rows in enumerate(self.ranks.gather(own)):
            whole[rank :: self.ranks.world] = rows
        return whole


def share_of(size: int, parts: int, ranks: Ranks) -> Share | None:
    """The share of batches of ``size`` images that are computed in ``parts``; None for one process, which has them whole."""
    return None if ranks.world == 1 else Share(size, ranks, parts)


def pieces(count: int, parts: int) -> list[slice]:
    """``range(count)`` in at most ``parts`` consecutive pieces, whose lengths differ by 1 at most."""
    if parts < 1:
        raise ValueError(f"a batch can be split into at least 1 part, got {parts}")
    parts = min(parts, count)
    return [slice(part * count // parts, (part + 1) * count // parts) for part in range(parts)]
