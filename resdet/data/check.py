"""Reading a whole data set once, to hear of everything that training would stumble on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.errors import DataError


def undecodable(dataset: DetectionDataset | ClassificationDataset) -> list[str]:
    """Load every image; return what is wrong with those that cannot be read or have another size than annotated."""

    def problems_of(index: int) -> Iterable[str]:
        try:
            dataset.load(index)
        except DataError as error:
            return error.problems
        return ()

    return [problem for problems in _in_parallel(problems_of, range(len(dataset))) for problem in problems]


def summary(dataset: DetectionDataset | ClassificationDataset) -> str:
    """One line: how many images, objects and classes."""
    if isinstance(dataset, DetectionDataset):
        empty = int((dataset.offsets[1:] == dataset.offsets[:-1]).sum())
        return (
            f"{len(dataset)} images ({empty} without objects), {len(dataset.labels)} objects "
            f"({int(dataset.crowd.sum())} crowds, {int(dataset.difficult.sum())} difficult), {len(dataset.names)} classes"
        )
    return f"{len(dataset)} images, {len(dataset.names)} classes"


def _in_parallel(function: Callable[[int], Iterable[str]], items: Iterable[int]) -> list[Iterable[str]]:
    # decoding leaves Python's lock, so threads do
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(function, items))
