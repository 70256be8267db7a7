"""Precomputed regions of images: the public ``proposals.safetensors``, and COCO's results files read in its place.

A ``proposals.safetensors`` holds flat arrays and, in its metadata under ``resdet_proposals``, a JSON object with ``format`` 1
and what its writer says of where the regions come from. Legend: M images, N regions of all images; those of image i are the
rows offsets[i] … offsets[i+1].

==========  ===========  ==============================================================
image_ids   int64 (M,)   the data set's ids: COCO's own, 1 … M of VOC's in its list's order
offsets     int64 (M+1,) see the legend
boxes       float32 (N, 4)  ``xyxy``, continuous pixels of the original, upright image
scores      float32 (N,) any scale, the best region of an image first
==========  ===========  ==============================================================
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from resdet.data.formats.coco_rows import REGION
from resdet.data.problems import Problems
from resdet.data.shared import SharedArrays
from resdet.errors import DataError
from resdet.files import atomic_write, parse_json, read_json, regular

_FORMAT = 1
_METADATA = "resdet_proposals"
_LAYOUT: dict[str, tuple[type[np.generic], int]] = {
    "image_ids": (np.int64, 1),
    "offsets": (np.int64, 1),
    "boxes": (np.float32, 2),
    "scores": (np.float32, 1),
}
_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Proposals(SharedArrays):
    """The regions of M images, see the legend above; flat arrays, which worker processes share without copying them.

    Attributes:
        image_ids: int64 (M,).
        offsets: int64 (M + 1,).
        rows: float32 (N, 4) ``xyxy``, pixels of the original images.
        scores: float32 (N,).
    """

    image_ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    rows: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.image_ids)

    def boxes(self, index: int) -> Tensor:
        """The regions of image ``index``, float32 (R, 4) ``xyxy`` in pixels of the original image, best first."""
        return torch.from_numpy(self.rows[self.offsets[index] : self.offsets[index + 1]].copy())

    def take(self, indices: Sequence[int]) -> Proposals:
        """The regions of these images only, in this order."""
        chosen = np.asarray(indices, dtype=np.int64)
        counts = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = np.repeat(self.offsets[chosen] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Proposals(self.image_ids[chosen], offsets, self.rows[rows], self.scores[rows])


def make_proposals(image_ids: Sequence[int], boxes: Sequence[Tensor], scores: Sequence[Tensor]) -> Proposals:
    """Join the regions of M images: boxes float (R_i, 4) ``xyxy`` in original pixels and scores (R_i,), best first."""
    counts = [len(each) for each in boxes]
    empty = torch.zeros(0, 4), torch.zeros(0)
    return Proposals(
        np.asarray(image_ids, dtype=np.int64),
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        torch.cat([empty[0], *boxes]).numpy().astype(np.float32),
        torch.cat([empty[1], *scores]).numpy().astype(np.float32),
    )


def join_proposals(parts: Sequence[Proposals]) -> Proposals:
    """The images of several sets one after the other, each with its own id."""
    counts = np.concatenate([np.diff(part.offsets) for part in parts])
    ids, rows, scores = (np.concatenate([getattr(part, name) for part in parts]) for name in ("image_ids", "rows", "scores"))
    return Proposals(ids, np.concatenate([[0], np.cumsum(counts)]), rows, scores)


def write_proposals(path: str | Path, proposals: Proposals, provenance: Mapping[str, Any] | None = None) -> None:
    """Write regions to a ``proposals.safetensors``, atomically; ``provenance`` is plain values, for whoever reads the file."""
    arrays: dict[str, NDArray[Any]] = {
        "image_ids": proposals.image_ids,
        "offsets": proposals.offsets,
        "boxes": proposals.rows,
        "scores": proposals.scores,
    }
    metadata = {_METADATA: json.dumps({"format": _FORMAT, **(provenance or {})})}
    atomic_write(path, lambda temporary: save_file(arrays, temporary, metadata))


def read_provenance(path: str | Path) -> dict[str, Any]:
    """The provenance in a ``proposals.safetensors``; a DataError when it is not such a file or cannot be read."""
    try:
        with safe_open(regular(path), framework="np") as opened:
            metadata = (opened.metadata() or {}).get(_METADATA)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a readable proposals.safetensors: {error}") from error
    try:
        values = parse_json(metadata or "null")
    except ValueError:
        values = None
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise DataError(f"{path}: not a proposals.safetensors: its metadata must hold {_METADATA!r} of format {_FORMAT}")
    return {key: value for key, value in values.items() if key != "format"}


def read_proposals(path: str | Path, image_ids: Sequence[int]) -> Proposals:
    """Regions of the images ``image_ids``, in their order.

    Args:
        path: a ``proposals.safetensors``; or, where it ends in ``.json``, COCO results: rows of ``image_id``, ``bbox`` (``x, y,
            width, height``) and ``score``; other keys are left aside, and an image without a row has no regions, with a
            warning.
        image_ids: the ids of all images of a data set.

    Raises:
        DataError: with every problem of the file: arrays of another shape or type, numbers that are not finite, boxes with a
            corner out of order, images that the data set does not have, images of the data set without an entry.
    """
    path = Path(path)
    found = _with_empty(_from_results(path), path, image_ids) if path.suffix == ".json" else _from_arrays(path)
    problems = [*_bad_boxes(found), *_other_images(found.image_ids, image_ids)]
    if problems:
        raise DataError([f"{path}: {problem}" for problem in problems])
    place = {image_id: index for index, image_id in enumerate(found.image_ids.tolist())}
    order = [place[image_id] for image_id in image_ids]
    return found if order == list(range(len(found))) else found.take(order)


def _from_arrays(path: Path) -> Proposals:
    read_provenance(path)
    with safe_open(path, framework="np") as opened:
        # a name that is missing is a problem of its own below
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (no mapping)
    problems = []
    for name, (dtype, dimensions) in _LAYOUT.items():
        array = arrays.get(name)
        wanted = f"{name!r} must be {dtype.__name__} of {dimensions} dimension{'s'[: dimensions != 1]}"
        if array is None:
            problems.append(f"{wanted}, it has none")
        elif array.dtype != dtype or array.ndim != dimensions:
            problems.append(f"{wanted}, got {array.dtype} {array.shape}")
    if not problems:
        ids, offsets, boxes, scores = (arrays[name] for name in _LAYOUT)
        if boxes.shape != (len(scores), 4):
            problems.append(f"'boxes' must have the shape ({len(scores)}, 4) beside {len(scores)} scores, got {boxes.shape}")
        good = len(offsets) == len(ids) + 1 and offsets[0] == 0 and offsets[-1] == len(scores)
        if not good or (np.diff(offsets) < 0).any():
            problems.append(f"'offsets' must be {len(ids) + 1} numbers that rise from 0 to {len(scores)}")
    if problems:
        raise DataError([f"{path}: {problem}" for problem in problems])
    return Proposals(ids, offsets, boxes, scores)


def _from_results(path: Path) -> Proposals:
    rows = read_json(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: must hold a list of COCO results, got {type(rows).__name__}")
    problems = Problems()
    for problem in REGION.check(rows):
        problems.add(f"{path}: {problem.where}", problem.text)
    problems.raise_if_any()
    ids = np.fromiter(map(itemgetter("image_id"), rows), np.int64, len(rows))
    boxes = np.fromiter(chain.from_iterable(map(itemgetter("bbox"), rows)), np.float64, 4 * len(rows)).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.fromiter(map(itemgetter("score"), rows), np.float64, len(rows))
    order = np.lexsort((-scores, ids))  # stable: equal scores keep the file's order
    found, counts = np.unique(ids, return_counts=True)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    with np.errstate(over="ignore"):  # what is too large for float32 is found with the infinite ones
        return Proposals(found, offsets, boxes[order].astype(np.float32), scores[order].astype(np.float32))


def _with_empty(found: Proposals, path: Path, image_ids: Sequence[int]) -> Proposals:
    """``found`` with the missing images added, because results files cannot hold an image in which nothing was found."""
    lacking = np.setdiff1d(image_ids, found.image_ids)
    if not len(lacking):
        return found
    warnings.warn(
        f"{path}: {len(lacking)} of {len(image_ids)} images have no region, id {lacking[0]} for instance", stacklevel=4
    )
    offsets = np.concatenate([found.offsets, np.full(len(lacking), found.offsets[-1])])
    return replace(found, image_ids=np.concatenate([found.image_ids, lacking]), offsets=offsets)


def _bad_boxes(found: Proposals) -> Iterator[str]:
    with np.errstate(invalid="ignore"):
        broken = ~np.isfinite(found.rows).all(1) | ~np.isfinite(found.scores) | (found.rows[:, 2:] < found.rows[:, :2]).any(1)
    bad = np.flatnonzero(broken)
    owners = np.searchsorted(found.offsets, bad[:_SHOWN], side="right") - 1
    for row, owner in zip(bad[:_SHOWN].tolist(), owners, strict=True):
        yield (
            f"image id {found.image_ids[owner]}: a box needs finite x1 <= x2, y1 <= y2 and a finite score, "
            f"got {found.rows[row].tolist()}, score {float(found.scores[row])}"
        )
    if len(bad) > _SHOWN:
        yield f"… and {len(bad) - _SHOWN} more boxes"


def _other_images(found: NDArray[np.int64], wanted: Sequence[int]) -> Iterator[str]:
    ids, counts = np.unique(found, return_counts=True)
    for text, values in (
        ("images more than once", ids[counts > 1]),
        ("images that the data set does not have", np.setdiff1d(ids, wanted)),
        ("no entry for images of the data set", np.setdiff1d(wanted, ids)),
    ):
        if len(values):
            shown = ", ".join(map(str, values[:_SHOWN].tolist()))
            yield f"{text}: {len(values)}, with the ids {shown}{' …' if len(values) > _SHOWN else ''}"
