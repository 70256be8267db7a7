"""Finds images that look alike: copies at another size or quality, and frames of one video."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

FOLLOWS = 10  # bits; of 1,900 pairs of photos whose names count on, and that are no frames, none differed by fewer than 16
ALIKE = 4  # bits of 64; a photo saved again at another size or quality differs by at most about so many
_ROWS, _COLUMNS = 8, 9
_BITS = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)  # set bits of every 16-bit number
_BLOCK = 1 << 22  # pairs that are compared at once


def fingerprint(pixels: NDArray[np.uint8]) -> int:
    """A difference hash of an RGB image (H, W, 3): 64 bits, as an integer of 0 … 2**64 - 1.

    The image is averaged to 8 rows of 9 grey cells. Each bit says whether a cell is brighter than its left neighbour, so that
    size, compression and brightness change few bits. Source: Krawetz, "Kind of like that", 2013.
    """
    small = cv2.resize(pixels, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    grey = small.astype(np.int64) @ np.array([299, 587, 114])
    bits = np.packbits(grey[:, 1:] > grey[:, :-1])
    return int.from_bytes(bits.tobytes(), "big")


def differ(one: int, other: int) -> int:
    """By how many bits two fingerprints differ."""
    return (one ^ other).bit_count()


def alike(fingerprints: npt.ArrayLike, distance: int = ALIKE) -> NDArray[np.int64]:
    """Group images whose fingerprints differ by few bits.

    Groups are chained: where a is like b and b like c, all three are one group, as frames of a video should be.

    Args:
        fingerprints: (N,) of 0 … 2**64 - 1.
        distance: bits that two fingerprints may differ by and be alike, 0 … 63.

    Returns:
        int64 (N,): the index of the first image of each image's group.

    Raises:
        ValueError: when the distance is out of range.
    """
    if not 0 <= distance < 64:
        raise ValueError(f"distance must be 0 … 63 bits, got {distance}")
    prints, first, places = np.unique(np.asarray(fingerprints, dtype=np.uint64), return_index=True, return_inverse=True)
    groups = np.arange(len(prints))
    pairs = [np.zeros((2, 0), np.int64), *_near(prints, distance)]
    left, right = np.concatenate(pairs, axis=1)
    while (groups[left] != groups[right]).any():  # every round brings the least member one step, or more, further
        least = np.minimum(groups[left], groups[right])
        np.minimum.at(groups, groups[left], least)
        np.minimum.at(groups, groups[right], least)
        groups = groups[groups]
    earliest = np.full(len(prints), np.iinfo(np.int64).max)
    np.minimum.at(earliest, groups, first)
    found: NDArray[np.int64] = earliest[groups][places.reshape(-1)]
    return found


def _near(prints: NDArray[np.uint64], distance: int) -> Iterator[NDArray[np.int64]]:
    """The pairs (2, P) of different prints that differ by ``distance`` bits at most; a pair may come several times.

    Cut into ``distance + 1`` bands, two such prints have at least one band in common: only those are compared.
    """
    edges = np.linspace(0, 64, distance + 2).astype(np.uint64)
    for low, high in itertools.pairwise(edges):
        band = (prints >> low) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        sorted_band = band[order]
        ends = np.searchsorted(sorted_band, sorted_band, side="right")
        later = ends - np.arange(len(prints)) - 1  # how many prints of its band come after each
        yield from _close_pairs(prints, order, later, distance)


def _close_pairs(
    prints: NDArray[np.uint64], order: NDArray[np.int64], later: NDArray[np.int64], distance: int
) -> Iterator[NDArray[np.int64]]:
    """Of each print in ``order`` and the ``later`` ones after it: the pairs that are close, in blocks of bounded memory."""
    totals = np.cumsum(later)
    start = 0
    while start < len(order):
        done = totals[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(totals, done + _BLOCK, side="right")))
        counts = later[start:stop]
        left = np.repeat(np.arange(start, stop), counts)
        right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
        both = np.stack([order[left], order[right]])
        different = np.ascontiguousarray(prints[both[0]] ^ prints[both[1]])
        close = _BITS[different.view(np.uint16).reshape(-1, 4)].sum(1) <= distance
        yield both[:, close]
        start = stop
