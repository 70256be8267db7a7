"""BN statistics as true averages over images, computed after training (paper, appendix A)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from resdet.errors import ConfigError
from resdet.ops.modes import kept_modes
from resdet.ops.moments import Moments


@torch.no_grad()
def recompute_bn_statistics(model: nn.Module, batches: Iterable[Tensor]) -> int:
    """Replace the running statistics of every ``nn.BatchNorm2d`` by exact ones over the given images.

    One pass, in which each layer normalizes a batch by the batch's own statistics, as in training, so its weights meet the
    inputs they were trained on. The mean and the variance of a layer are those of its input over *all* images together: every
    image weighs the same, however the batches are cut, and the spread between batches counts, which an average of batch
    variances would leave out. The variance is unbiased, as torch's ``running_var`` is. Sums are kept in float64.

    Args:
        model: takes what ``batches`` yields, on its own device; its training mode is left as it was.
        batches: image tensors (N, …); batches of the training size or larger. A last batch of one image, whose statistics
            are none, joins the one before it.

    Returns:
        The number of images.

    Raises:
        ConfigError: when there are fewer than two images.
    """
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None]
    device = next(model.parameters()).device
    moments = {norm: Moments.of(norm.num_features, device) for norm in norms}
    images = 0
    with _observing(model, moments):
        for batch in _without_lone_image(batches):
            model(batch.to(device))
            images += len(batch)
    for norm, seen in moments.items():
        if seen.count > 1 and norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.copy_(seen.mean.to(norm.running_mean.dtype))
            norm.running_var.copy_((seen.squares / (seen.count - 1)).to(norm.running_var.dtype))
    return images


@contextmanager
def _observing(model: nn.Module, moments: dict[nn.BatchNorm2d, Moments]) -> Iterator[None]:
    """Let each norm normalize by the batch, leave its running statistics alone, and collect the moments of its input."""

    def collect(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        moments[norm].add(inputs[0])  # type: ignore[index]

    momenta = {norm: norm.momentum for norm in moments}
    hooks = [norm.register_forward_pre_hook(collect) for norm in moments]
    try:
        with kept_modes(model):
            model.eval()
            for norm in moments:
                norm.train()
                norm.momentum = 0.0
            yield
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in momenta.items():
            norm.momentum = momentum


def _without_lone_image(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same images in the same order, none alone in its batch."""
    ready: Tensor | None = None
    short: Tensor | None = None
    for batch in batches:
        short = batch if short is None else torch.cat([short, batch])
        if len(short) < 2:
            continue
        if ready is not None:
            yield ready
        ready, short = short, None
    if ready is None:
        raise ConfigError(f"BN statistics need at least 2 images, got {0 if short is None else len(short)}")
    yield ready if short is None else torch.cat([ready, short])
