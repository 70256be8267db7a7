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


def statistics_are_folded(model: nn.Module) -> bool:
    """Whether every ``nn.BatchNorm2d`` has mean 0 and variance 1, as in files that keep only scale and shift."""
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    return bool(norms) and all(
        norm.running_mean is not None
        and norm.running_var is not None
        and bool((norm.running_mean == 0).all() and (norm.running_var == 1).all())
        for norm in norms
    )


@torch.no_grad()
def unfold_bn_statistics(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give every ``nn.BatchNorm2d`` the statistics of its input, and change its scale and shift so that it computes the same.

    Training normalizes by the batch, which is another function where the statistics were folded into scale and shift. In one
    pass, in eval mode, each layer's input is measured, which no other layer's change alters.

    Args:
        model: takes what ``batches`` yields, on its own device; its training mode is left as it was.
        batches: image tensors (N, …).
    """
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None]
    device = next(model.parameters()).device
    moments = {norm: Moments.of(norm.num_features, device) for norm in norms}
    hooks = [norm.register_forward_pre_hook(lambda norm, inputs: moments[norm].add(inputs[0])) for norm in norms]
    try:
        with kept_modes(model):
            model.eval()
            for batch in batches:
                model(batch.to(device))
    finally:
        for hook in hooks:
            hook.remove()
    for norm, seen in moments.items():
        mean, variance = norm.running_mean, norm.running_var
        if seen.count > 1 and mean is not None and variance is not None:
            scale = norm.weight.to(seen.mean) / (variance.to(seen.mean) + norm.eps).sqrt()
            new_variance = seen.squares / (seen.count - 1)
            norm.bias.copy_(norm.bias.to(seen.mean) + scale * (seen.mean - mean.to(seen.mean)))
            norm.weight.copy_(scale * (new_variance + norm.eps).sqrt())
            mean.copy_(seen.mean)
            variance.copy_(new_variance)


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
