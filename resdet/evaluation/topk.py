"""Top-1 and top-5 error of a classifier.

Legend: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from resdet.errors import TrainingError
from resdet.evaluation.ground_truth import distinct_names


class TopK:
    """Counts how often the true class is not among the best 1 and the best 5 (paper, section 4.1).

    Between equal scores, the class with the lower index ranks higher. So a network that gives all classes the same score does
    as well as chance, and is not perfect. With five classes or fewer the top-5 error is 0.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._images = torch.zeros(len(self.names), dtype=torch.int64)
        self._top1 = torch.zeros_like(self._images)
        self._top5 = torch.zeros_like(self._images)

    def process(self, scores: Tensor, labels: Tensor) -> None:
        """Take in a batch.

        Args:
            scores: (N, K), logits or probabilities, because only their order counts; any floating type, on any device.
            labels: int64 (N,), 0 … K-1.

        Raises:
            TrainingError: when a score is not finite.
            ValueError: on other shapes, or a label out of range.
        """
        classes = len(self.names)
        labels = labels.detach().cpu()
        if scores.shape != (len(labels), classes):
            raise ValueError(f"TopK needs scores ({len(labels)}, {classes}), got {tuple(scores.shape)}")
        if not len(labels):
            return
        if int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise ValueError(f"TopK needs labels in 0 … {classes - 1}, got {int(labels.min())} … {int(labels.max())}")
        scores = scores.detach().float()
        broken = int((~torch.isfinite(scores)).any(1).sum())
        if broken:
            raise TrainingError(f"the classifier's scores must be finite, they are not for {broken} of {len(labels)} images")
        # we count to get the rank of the true class: this is exact for ties, which torch's topk may order freely
        true = scores.gather(1, labels.to(scores.device)[:, None])
        earlier = torch.arange(classes, device=scores.device) < labels.to(scores.device)[:, None]
        rank = ((scores > true) | ((scores == true) & earlier)).sum(1).cpu()
        self._images += torch.bincount(labels, minlength=classes)
        self._top1 += torch.bincount(labels[rank >= 1], minlength=classes)
        self._top5 += torch.bincount(labels[rank >= 5], minlength=classes)

    def evaluate(self) -> dict[str, Any]:
        """The content of ``metrics.json``: "top1_error", "top5_error" in [0, 1], the same "per_class" by name, and "meta".

        A value is None when there was no image for it.
        """
        names = distinct_names(self.names, range(len(self.names)))
        rows = zip(names, self._images.tolist(), self._top1.tolist(), self._top5.tolist(), strict=True)
        per_class = {name: {**_errors(top1, top5, images), "images": images} for name, images, top1, top5 in rows}
        images = int(self._images.sum())
        return {
            **_errors(int(self._top1.sum()), int(self._top5.sum()), images),
            "per_class": per_class,
            "meta": {"metric": "top-k", "images": images},
        }


def _errors(top1: int, top5: int, images: int) -> dict[str, float | None]:
    return {"top1_error": top1 / images if images else None, "top5_error": top5 / images if images else None}
