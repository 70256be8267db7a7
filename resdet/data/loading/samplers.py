"""Chooses the images of each batch, as a pure function of (seed, batch number), so that a run can resume anywhere."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import count, islice

import numpy as np

Key = tuple[int, int]  # the index of an image, and the number of its draw


def repeat_factors(classes: Sequence[Collection[int]], threshold: float) -> list[float]:
    """How often an image should be seen an epoch, for rare classes (LVIS; Gupta, Dollár and Girshick, 2019, section 4.1).

    A class that a share f of the images holds has the factor max(1, sqrt(threshold / f)); an image that of its rarest class,
    and 1 without objects.

    Args:
        classes: the classes of each image; a class counts once an image.
        threshold: share of images below which a class is rare, in [0, 1].

    Returns:
        A factor of at least 1 for each image.
    """
    holders = Counter(label for each in classes for label in set(each))
    factors = {label: max(1.0, math.sqrt(threshold * len(classes) / images)) for label, images in holders.items()}
    return [max((factors[label] for label in each), default=1.0) for each in classes]


def endless_batches(
    indices: int | Sequence[int],
    batch: int,
    seed: int,
    groups: Sequence[int] | None = None,
    start: int = 0,
    repeats: Sequence[float] | None = None,
) -> Iterator[list[Key]]:
    """Batches without end; every epoch is a new permutation.

    Without groups the epochs are cut into batches as one stream, no image is left out at an epoch's end. With groups each group
    is such a stream, and a batch is given out as soon as its group has filled it. With repeats an epoch is a permutation of the
    images as often as they come in it.

    Args:
        indices: the images' indices in the data set, or their number.
        batch: images a batch.
        seed: the seed of the order; another seed gives another order.
        groups: a number for each of ``indices``; a batch holds images of one group only.
        start: batches to skip: the iterator continues exactly as one that has already given them.
        repeats: for each of ``indices`` how often it comes an epoch, at least 1; of a number that is not whole, the fraction is
            the probability of one more time, drawn anew each epoch.

    Yields:
        Lists of ``(index, draw)``; ``draw`` is unique in the run (batch number * batch + position) and seeds the augmentation.

    Raises:
        ValueError: when there is no index, or batch is below 1, groups or repeats and indices differ in length, or a repeat is
            below 1.
    """
    chosen = np.arange(indices) if isinstance(indices, int) else np.asarray(indices, dtype=np.int64)
    if len(chosen) == 0 or batch < 1:
        raise ValueError(f"endless_batches needs at least one index and a batch of at least 1, got {len(chosen)} and {batch}")
    if groups is not None and len(groups) != len(chosen):
        raise ValueError(f"endless_batches needs a group for each index, got {len(groups)} for {len(chosen)}")
    if repeats is not None and (len(repeats) != len(chosen) or not all(repeat >= 1 for repeat in repeats)):
        raise ValueError(
            f"endless_batches needs a repeat of at least 1 for each of {len(chosen)} indices, got {repeats!r:.200}"
        )
    if groups is None and repeats is None:
        chunks = _chunks(chosen, batch, seed, start)
    else:
        members = np.zeros(len(chosen), np.int64) if groups is None else np.asarray(groups)
        often = None if repeats is None else np.asarray(repeats, dtype=np.float64)
        chunks = islice(_grouped_chunks(chosen, batch, seed, members, often), start, None)
    return _with_draws(chunks, batch, start)


def repeated(batches: Iterator[list[Key]], times: int) -> Iterator[list[Key]]:
    """The batches with every sample so many times, one round after the other, each with a draw of its own."""
    for batch in batches:
        yield [(index, draw * times + round_) for round_ in range(times) for index, draw in batch]


def _with_draws(chunks: Iterator[list[int]], batch: int, start: int) -> Iterator[list[Key]]:
    for number, chunk in enumerate(chunks, start):
        yield [(index, number * batch + position) for position, index in enumerate(chunk)]


def _permutation(chosen: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    return chosen[np.random.default_rng((seed, epoch)).permutation(len(chosen))]


def _repeated(positions: np.ndarray, repeats: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Each position as often as it comes in ``epoch``: stochastic rounding of ``repeats``."""
    whole = np.floor(repeats)
    # a third number: the permutation's generator begins with the same two
    once_more = np.random.default_rng((seed, epoch, 1)).random(len(repeats)) < repeats - whole
    return np.repeat(positions, (whole + once_more).astype(np.int64))


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


def _grouped_chunks(
    chosen: np.ndarray, batch: int, seed: int, groups: np.ndarray, repeats: np.ndarray | None
) -> Iterator[list[int]]:
    chunks: dict[int, list[int]] = {}
    positions = np.arange(len(chosen))
    for epoch in count():
        order = _permutation(positions if repeats is None else _repeated(positions, repeats, seed, epoch), seed, epoch)
        for group, index in zip(groups[order].tolist(), chosen[order].tolist(), strict=True):
            chunk = chunks.setdefault(group, [])
            chunk.append(index)
            if len(chunk) == batch:
                yield chunk
                chunks[group] = []
