"""Makes the training regions of a localizer's R-CNN stage: the RPN's proposals, matched with boxes (paper, appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resdet.config.schema import LocalizationRunConfig
from resdet.data.loading.loader import train_loader
from resdet.data.loading.samplers import Key
from resdet.data.localization import LocalizedImages
from resdet.data.proposals import Proposals
from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.proposal_cache import cached_shards, fingerprint
from resdet.inference.load_localizer import make_localizer
from resdet.inference.localizer_views import ImagePart, LocalizerViews
from resdet.models.detection.matcher import match
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.training.localization.images import BoxedImages


def training_proposals(
    config: LocalizationRunConfig,
    rpn: PerClassRPN,
    images: BoxedImages,
    rpn_hash: str,
    folder: Path,
    ranks: Ranks = ALONE,
) -> Proposals:
    """An RPN's best boxes for the class of each image that has a box, in pixels of the images; ``folder`` keeps them.

    Args:
        config: gives the number of proposals and the RPN's views of an image, in ``model.test``.
        rpn: the RPN, on its device.
        images: the images; their indices in the data set are the ids of the proposals.
        rpn_hash: a hash of the RPN's weights.
        folder: the folder of the proposals, created when missing.
        ranks: the processes that share the work.
    """
    test = replace(config.model.test, proposals=config.model.rcnn.proposals)
    localizer = make_localizer([rpn], test, config.data.crop)
    view = _ViewedImages(images.dataset, localizer.views)
    provenance = {
        "rpn": rpn_hash,
        "views": [test.views, test.short_sides, config.data.crop],
        "filter": [test.proposals, test.nms_thresh],
        "data": fingerprint(images.dataset.files, images.dataset.labels),
    }

    def extract(positions: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        indices = [images.boxed[position] for position in positions]
        loaded = train_loader(view, [[(index, 0)] for index in indices], config.data.workers)
        return [localizer.propose(views, [images.dataset.label(i)])[0] for i, views in zip(indices, loaded, strict=True)]

    return cached_shards(folder, images.boxed, extract, provenance, ranks=ranks)


def match_regions(dataset: LocalizedImages, regions: Proposals, fg_iou_thresh: float) -> np.ndarray[Any, np.dtype[np.int32]]:
    """For each region, int32 (R,), the box of its image that it overlaps most; ``NEGATIVE`` below the threshold."""
    matches = [
        match(
            regions.boxes(place),
            dataset.boxes(index),
            fg_iou_thresh=fg_iou_thresh,
            bg_iou_thresh=fg_iou_thresh,
            keep_best=False,
        )
        for place, index in enumerate(regions.image_ids.tolist())
    ]
    return torch.cat(matches).numpy().astype(np.int32)


@dataclass(frozen=True)
class _ViewedImages:
    """Images as a localizer sees them, for a loader."""

    dataset: LocalizedImages
    views: LocalizerViews

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, keys: Sequence[Key]) -> list[ImagePart]:
        """The views of the one requested image."""
        ((index, _),) = keys
        return self.views(self.dataset.load(index))
