"""MixUp and CutMix, as torchvision does them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torchvision.transforms import v2


def build_mixing(mixup: float, cutmix: float, num_classes: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """The function that mixes a batch: normalized images (N, C, H, W), labels (N,) to mixed images, distributions (N, K).

    One of the two is drawn for each batch when both are on, from torch's global generator. Sources: Zhang et al., 2018; Yun et
    al., 2019.

    Args:
        mixup: alpha of MixUp; 0: none.
        cutmix: alpha of CutMix; 0: none.
        num_classes: K.

    Returns:
        None when both are 0.
    """
    kinds = [kind(alpha=alpha, num_classes=num_classes) for kind, alpha in ((v2.MixUp, mixup), (v2.CutMix, cutmix)) if alpha]
    if len(kinds) < 2:
        return kinds[0] if kinds else None
    return v2.RandomChoice(kinds)
