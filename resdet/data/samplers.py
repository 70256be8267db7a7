"""Which images make which batch: a pure function of (seed, batch number), so that a run resumes anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice

import numpy as np

Batch = list[tuple[int, int]]


def endless_batches(
    indices: int | Sequence[int], batch: int, seed: int, groups: Sequence[int] | None = None, start: int = 0
) -> Iterator[Batch]:
    """Batches without end; every epoch is a new permutation.

    Without groups the epochs are cut into batches as one stream, no image is left out at an epoch's end. With groups each group
    is such a stream, and a batch is given out as soon as its group has filled it.

    Args:
        indices: the images' indices in the data set, or their number.
        batch: images a batch.
        seed: another one, another order.
        groups: a number for each of ``indices``; a batch holds images of one group only.
        start: batches to skip: the iterator continues exactly as one that has already given them.

    Yields:
        Lists of ``(index, draw)``; ``draw`` is unique in the run (batch number * batch + position) and seeds the augmentation.

    Raises:
        ValueError: when there is no index, or batch is below 1, or groups and indices differ in length.
    """
    chosen = np.arange(indices) if isinstance(indices, int) else np.asarray(indices, dtype=np.int64)
    if len(chosen) == 0 or batch < 1:
        raise ValueError(f"endless_batches needs at least one index and a batch of at least 1, got {len(chosen)} and {batch}")
    if groups is not None and len(groups) != len(chosen):
        raise ValueError(f"endless_batches needs a group for each index, got {len(groups)} for {len(chosen)}")
    if groups is None:
        chunks = _chunks(chosen, batch, seed, start)
    else:
        chunks = islice(_grouped_chunks(chosen, batch, seed, np.asarray(groups)), start, None)
    return _with_draws(chunks, batch, start)


def _with_draws(chunks: Iterator[list[int]], batch: int, start: int) -> Iterator[Batch]:
    for number, chunk in enumerate(chunks, start):
        yield [(index, number * batch + position) for position, index in enumerate(chunk)]


def _permutation(chosen: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    return chosen[np.random.default_rng((seed, epoch)).permutation(len(chosen))]


def _chunks(chosen: np.ndarray, batch: int, seed: int, start: int) -> Iterator[list[int]]:
    epoch, offset = divmod(start * batch, len(chosen))
    chunk: list[int] = []
    for number in count(epoch):
        for index in _permutation(chosen, seed, number)[offset:].tolist():
            chunk.append(index)
            if len(chunk) == batch:
                yield chunk
                chunk = []
        offset = 0


def _grouped_chunks(chosen: np.ndarray, batch: int, seed: int, groups: np.ndarray) -> Iterator[list[int]]:
    chunks: dict[int, list[int]] = {}
    positions = np.arange(len(chosen))
    for epoch in count():
        order = _permutation(positions, seed, epoch)
        for group, index in zip(groups[order].tolist(), chosen[order].tolist(), strict=True):
            chunk = chunks.setdefault(group, [])
            chunk.append(index)
            if len(chunk) == batch:
                yield chunk
                chunks[group] = []
