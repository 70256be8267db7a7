"""The data card: how many pictures and objects there are of each class, and of which sizes.

Legend: M pictures, N objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.localization import LocalizedImages
from resdet.report.html.blocks import Block, Cell, Chart, Charts, Line, Section, Table, View

_BINS = 20
_MOST_CLASSES = 30  # of a chart


class Facts(NamedTuple):
    """What a data card says of a set.

    Attributes:
        names: the class names.
        images: how many pictures there are.
        labels: int64 (N,), the classes of the objects; of a classification set those of the pictures.
        sides: float64 (M, 2), height and width in pixels; (0, 2) when they are not known.
        boxes: float64 (N, 2), width and height of the objects in pixels; (0, 2) without boxes.
        each: int64 (M,), the number of objects of each picture; (0,) without boxes.
    """

    names: tuple[str, ...]
    images: int
    labels: NDArray[np.int64]
    sides: NDArray[np.float64]
    boxes: NDArray[np.float64]
    each: NDArray[np.int64]


def facts_of(dataset: DetectionDataset | ClassificationDataset | LocalizedImages) -> Facts:
    """The facts of a set, without reading its pictures."""
    none = np.zeros((0, 2))
    if isinstance(dataset, DetectionDataset):
        used = ~dataset.ignore & ~dataset.empty
        running = np.concatenate([[0], np.cumsum(used)])[dataset.offsets]
        sides = dataset.sizes.astype(np.float64)
        return Facts(dataset.names, len(dataset), dataset.labels[used], sides, dataset.boxes[used, 2:], np.diff(running))
    if isinstance(dataset, LocalizedImages):
        sides = dataset.sizes[dataset.sizes[:, 0] > 0].astype(np.float64)
        boxes = (dataset.rows[:, 2:] - dataset.rows[:, :2]).astype(np.float64)
        return Facts(dataset.names, len(dataset), dataset.labels[dataset.labels >= 0], sides, boxes, np.diff(dataset.offsets))
    labels = np.array([dataset.label(index) for index in range(len(dataset))], dtype=np.int64)
    return Facts(tuple(dataset.names), len(dataset), labels, none, none, np.zeros(0, np.int64))


def data_section(parts: Mapping[str, Facts]) -> Section:
    """Tables and charts of sets, by their names: "training", "validation"."""
    boxed = any(len(part.boxes) for part in parts.values())
    noun = "objects" if boxed else "pictures"
    header = ["set", "pictures", *(["objects"] if boxed else []), "classes that occur"]
    counts: list[list[Cell]] = [
        [name, part.images, *([len(part.boxes)] if boxed else []), len(set(part.labels.tolist()))]
        for name, part in parts.items()
    ]
    names = max((part.names for part in parts.values()), key=len)
    tallies = {name: np.bincount(part.labels, minlength=len(names)) for name, part in parts.items()}
    rows: list[list[Cell]] = [[name, *(int(tally[label]) for tally in tallies.values())] for label, name in enumerate(names)]
    blocks: list[Block] = [Table("Sets", header, counts)]
    charts = [_classes(names, tallies, noun)]
    if all(len(part.sides) for part in parts.values()):
        longer = {name: part.sides.max(1) for name, part in parts.items()}
        ratios = {name: part.sides[:, 1] / part.sides[:, 0] for name, part in parts.items()}
        charts.append(_histogram("Longer side of the pictures", "pixels", longer))
        charts.append(_histogram("Width of the pictures by their height", "width / height", ratios))
    if boxed:
        sides = {name: np.sqrt(np.clip(part.boxes, 0, None).prod(1)) for name, part in parts.items()}
        shapes = {name: part.boxes[:, 0] / np.maximum(part.boxes[:, 1], 1e-6) for name, part in parts.items()}
        each = {name: part.each for name, part in parts.items()}
        charts.append(_histogram("Size of the objects", "√(width · height), pixels", sides))
        charts.append(_histogram("Width of the objects by their height", "width / height", shapes))
        charts.append(_histogram("Objects of a picture", "objects", each, whole=True))
    blocks += [Charts(charts), Table(f"{noun.capitalize()} by class", ["class", *parts], rows, folded=len(rows) > 30)]
    return Section("Data", blocks)


def _classes(names: Sequence[str], tallies: Mapping[str, NDArray[np.int64]], noun: str) -> Chart:
    order = np.argsort(-np.sum(list(tallies.values()), axis=0), kind="stable")[:_MOST_CLASSES].tolist()
    wide = 0.84 / len(tallies)
    shares = [(100 * tally[order] / max(int(tally.sum()), 1)).tolist() for tally in tallies.values()]
    bars = [
        (place + 0.08 + wide * part, place + 0.08 + wide * (part + 1), share, part)
        for part, some in enumerate(shares)
        for place, share in enumerate(some)
    ]
    told = ", ".join(f"{names[label]} {share:.0f} %" for label, share in zip(order[:5], shares[0][:5], strict=True))
    return Chart(
        "Classes" if len(order) == len(names) else f"The {len(order)} commonest of {len(names)} classes",
        "",
        f"% of the {noun}",
        {"": View(bars=bars, bar_names=list(tallies))},
        f"The commonest, in the {next(iter(tallies))} set: {told}.",
        (0, max(len(order), 1)),
        None,
        [names[label] for label in order],
    )


def _histogram(title: str, x: str, values: Mapping[str, NDArray[np.generic]], whole: bool = False) -> Chart:
    """Shares of each set in bins between the 1st and the 99th hundredth; what is beyond is in the first and last bin."""
    every = np.concatenate([each.astype(np.float64) for each in values.values()] or [np.zeros(0)])
    low, high = (float(np.quantile(every, share)) for share in (0.01, 0.99)) if len(every) else (0.0, 1.0)
    if whole:
        low, high = np.floor(low), np.ceil(high)
        step = max(1, int(np.ceil((high - low + 1) / _BINS)))
        edges = np.arange(low - 0.5, high + step + 0.5, step)
    else:
        edges = np.linspace(low, high, _BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    lines = []
    for name, each in values.items():
        counts, _ = np.histogram(np.clip(each.astype(np.float64), edges[0], edges[-1]), edges)
        lines.append(Line(name, middles, (100 * counts / max(len(each), 1)).tolist()))
    middle = ", ".join(f"{name} {float(np.median(each.astype(np.float64))):.3g}" for name, each in values.items() if len(each))
    return Chart(title, x, "% of the set", {"": View(lines)}, f"Medians: {middle}.")
