"""Proposals of a whole training set, made once by a trained RPN and kept on disk with the word of where they come from."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from resdet.data.dataset import DetectionDataset
from resdet.data.loading.loader import train_loader
from resdet.data.loading.views import DetectionView
from resdet.data.proposals import Proposals, join_proposals, make_proposals, read_proposals, read_provenance, write_proposals
from resdet.errors import DataError
from resdet.structures.boxes import clip_boxes, scale_boxes

# images a file: what an interrupted extraction loses at most
SHARD = 1000
_log = logging.getLogger(__name__)


def cached_proposals(
    folder: Path,
    propose: Callable[[Sequence[Tensor]], list[tuple[Tensor, Tensor]]],
    view: DetectionView,
    provenance: Mapping[str, Any],
    *,
    workers: int,
    shard: int = SHARD,
) -> Proposals:
    """The proposals of every image of ``view``: read where the folder holds them, made and kept where it does not.

    Args:
        folder: of ``cached_shards``, as ``provenance`` and ``shard``.
        propose: images uint8 (3, H_i, W_i) to boxes float32 (R_i, 4) ``xyxy`` in their pixels, best first, and scores (R_i,).
        view: the images, as the network should see them.
        provenance: see there.
        workers: processes that read images.
        shard: see there.

    Returns:
        Boxes in pixels of the original images, in the order of the view.

    Raises:
        DataError: an image that cannot be read.
    """
    return cached_shards(
        folder, view.dataset.image_ids, lambda indices: _extract(propose, view, indices, workers), provenance, shard=shard
    )


def cached_shards(
    folder: Path,
    ids: Sequence[int],
    extract: Callable[[Sequence[int]], Proposals],
    provenance: Mapping[str, Any],
    *,
    shard: int = SHARD,
) -> Proposals:
    """The proposals of images: read where ``folder`` holds them, made and kept where it does not.

    The folder holds one ``proposals.safetensors`` for each ``shard`` images, so that an interrupted extraction goes on where it
    was. A file of another provenance is made anew, with a warning: it is of another model, filter or data set.

    Args:
        folder: made when missing.
        ids: of the images.
        extract: positions in ``ids`` to the proposals of these images.
        provenance: plain values that tell all that the proposals depend on.
        shard: images a file.

    Returns:
        In the order of ``ids``.
    """
    parts = []
    for first in range(0, len(ids), shard):
        indices = range(first, min(first + shard, len(ids)))
        path = folder / f"{first // shard:05d}.safetensors"
        wanted = json.loads(json.dumps({**provenance, "images": [indices[0], indices[-1]]}))
        found = _kept(path, wanted, ids[first : first + shard])
        if found is None:
            found = extract(indices)
            write_proposals(path, found, wanted)
            _log.info("%s: proposals of %d/%d images", folder, indices[-1] + 1, len(ids))
        parts.append(found)
    return join_proposals(parts)


def dataset_fingerprint(dataset: DetectionDataset) -> str:
    """A word for the images of a data set, their files, ids and sizes: other images, another word."""
    return fingerprint(dataset.files, dataset.ids, dataset.sizes)


def fingerprint(*arrays: NDArray[Any]) -> str:
    """A word for the bytes of arrays: other bytes, another word."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.nbytes.to_bytes(8, "little") + array.tobytes())
    return digest.hexdigest()


def _kept(path: Path, wanted: dict[str, Any], ids: Sequence[int]) -> Proposals | None:
    """What ``path`` holds, when it is what is wanted."""
    if not path.exists():
        return None
    try:
        found = read_provenance(path)
        if found == wanted:
            return read_proposals(path, ids)
        changed = ", ".join(key for key in sorted(found.keys() | wanted) if found.get(key) != wanted.get(key))
        _log.warning("%s: made anew, for it is of another %s", path, changed)
    except DataError as error:
        _log.warning("%s; made anew", error)
    return None


def _extract(
    propose: Callable[[Sequence[Tensor]], list[tuple[Tensor, Tensor]]],
    view: DetectionView,
    indices: Sequence[int],
    workers: int,
) -> Proposals:
    boxes, scores = [], []
    for batch in train_loader(view, [[(index, 0)] for index in indices], workers):
        ((found, logits),) = propose(batch.images)
        size = batch.original_sizes[0]
        shown = (batch.images[0].shape[-2], batch.images[0].shape[-1])
        boxes.append(clip_boxes(scale_boxes(found.float().cpu(), shown, size), size))
        scores.append(logits.float().cpu())
    return make_proposals([view.dataset.image_ids[index] for index in indices], boxes, scores)
