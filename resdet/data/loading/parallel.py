"""Work on many images at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from resdet.progress import track

ResultT = TypeVar("ResultT")
_CHUNK = 64


def in_chunks(function: Callable[[Sequence[int]], ResultT], indices: Sequence[int]) -> Iterator[ResultT]:
    """``function`` of each 64 of ``indices``, in order, on all processors.

    In threads: decoding leaves Python's lock. What has not begun is dropped when the caller stops early.
    """
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        chunks = [indices[first : first + _CHUNK] for first in range(0, len(indices), _CHUNK)]
        yield from track(pool.map(function, chunks), len(indices), "images", [len(chunk) for chunk in chunks])
    finally:
        pool.shutdown(cancel_futures=True)
