"""Keeps the proposals that a trained RPN makes for a whole training set on disk, together with their provenance."""

from __future__ import annotations

import functools
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
from resdet.distributed.ranks import ALONE, Ranks
from resdet.errors import DataError
from resdet.ops.boxes import clip_boxes, scale_boxes

# images in a file, and so the most that an interrupted extraction loses
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
    ranks: Ranks = ALONE,
) -> Proposals:
    """The proposals of every image of ``view``, read from the folder when it holds them, else made and kept there.

    Args:
        folder: see ``cached_shards``.
        propose: turns images uint8 (3, H_i, W_i) into boxes float32 (R_i, 4) ``xyxy`` in their pixels, best first, and scores
            (R_i,).
        view: the images, as the network should see them.
        provenance: see ``cached_shards``.
        workers: processes that read images.
        shard: see ``cached_shards``.
        ranks: see ``cached_shards``.

    Returns:
        Boxes in pixels of the original images, in the order of the view.

    Raises:
        DataError: when an image cannot be read.
    """
    return cached_shards(
        folder,
        view.dataset.image_ids,
        lambda indices: _extract(propose, view, indices, workers),
        provenance,
        shard=shard,
        ranks=ranks,
    )


def cached_shards(
    folder: Path,
    ids: Sequence[int],
    extract: Callable[[Sequence[int]], list[tuple[Tensor, Tensor]]],
    provenance: Mapping[str, Any],
    *,
    shard: int = SHARD,
    ranks: Ranks = ALONE,
) -> Proposals:
    """The proposals of images, read from ``folder`` when it holds them, else made and kept there.

    The folder holds one ``proposals.safetensors`` for each ``shard`` images, so that an interrupted extraction can continue. A
    file with another provenance comes from another model, filter or data set; it is made again, with a warning.

    Args:
        folder: the folder of the files, created when missing.
        ids: the ids of the images.
        extract: boxes (R_i, 4) and scores (R_i,) of each of the images at the given positions in ``ids``.
        provenance: plain values for everything that the proposals depend on.
        shard: the number of images in each file.
        ranks: the processes that share the work: each extracts from its share of the images, the first one reads and writes.

    Returns:
        The proposals, in the order of ``ids``.
    """
    parts = []
    for first in range(0, len(ids), shard):
        indices = range(first, min(first + shard, len(ids)))
        path = folder / f"{first // shard:05d}.safetensors"
        wanted = json.loads(json.dumps({**provenance, "images": [indices[0], indices[-1]]}))
        own = ids[first : first + shard]
        found = ranks.once(functools.partial(_kept, path, wanted, own))
        if found is None:
            ranks.doing(f"proposals of images {indices[0] + 1} to {indices[-1] + 1}")
            rows = ranks.collect(extract(ranks.deal(indices)))
            found = ranks.once(functools.partial(_written, path, wanted, own, rows))
            _log.info("%s: proposals of %d/%d images", folder, indices[-1] + 1, len(ids))
        parts.append(found)
    return join_proposals(parts)


def dataset_fingerprint(dataset: DetectionDataset) -> str:
    """A hash of the files, ids and sizes of a data set's images; other images give another hash."""
    return fingerprint(dataset.files, dataset.ids, dataset.sizes)


def fingerprint(*arrays: NDArray[Any]) -> str:
    """A hash of the bytes of arrays; other bytes give another hash."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.nbytes.to_bytes(8, "little") + array.tobytes())
    return digest.hexdigest()


def _kept(path: Path, wanted: dict[str, Any], ids: Sequence[int]) -> Proposals | None:
    """The proposals in ``path`` when they are the wanted ones, else None."""
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


def _written(path: Path, provenance: dict[str, Any], ids: Sequence[int], rows: Sequence[tuple[Tensor, Tensor]]) -> Proposals:
    """The boxes and scores of images as proposals, which ``path`` keeps."""
    found = make_proposals(ids, [boxes for boxes, _ in rows], [scores for _, scores in rows])
    write_proposals(path, found, provenance)
    return found


def _extract(
    propose: Callable[[Sequence[Tensor]], list[tuple[Tensor, Tensor]]],
    view: DetectionView,
    indices: Sequence[int],
    workers: int,
) -> list[tuple[Tensor, Tensor]]:
    rows = []
    for batch in train_loader(view, [[(index, 0)] for index in indices], workers):
        ((found, logits),) = propose(batch.images)
        size = batch.original_sizes[0]
        shown = (batch.images[0].shape[-2], batch.images[0].shape[-1])
        rows.append((clip_boxes(scale_boxes(found.float().cpu(), shown, size), size), logits.float().cpu()))
    return rows
