"""Measures the size of the gradient in every layer, to see whether the gradient reaches the first layers.

The paper argues that plain networks with BN do not suffer from vanishing gradients (section 4.1); this is the measurement.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import nn

from resdet.analysis.layers import convolutions, is_plain
from resdet.analysis.wording import joined
from resdet.data.loading.batches import ClassificationBatch
from resdet.losses.classification import cross_entropy
from resdet.models.classifier import Classifier
from resdet.ops.modes import kept_modes
from resdet.ops.precision import in_float64


@dataclass(frozen=True)
class LayerGradient:
    """The gradient of one convolution's weight, averaged over batches.

    Attributes:
        layer: the name of the convolution in the state dict.
        depth: see ``ConvLayer``.
        is_projection: whether it is a shortcut.
        norm: L2 norm of the gradient.
        relative: the same as a share of the weight's own L2 norm.
    """

    layer: str
    depth: int
    is_projection: bool
    norm: float
    relative: float


@dataclass(frozen=True)
class GradientProfile:
    """The gradients of a network at one moment of its training.

    Attributes:
        network: the name of the network.
        moment: the moment in training: ``at the start``, ``after 100 iterations``, ``as saved``.
        plain: whether it has no shortcuts.
        layers: its convolutions, by depth.
    """

    network: str
    moment: str
    plain: bool
    layers: tuple[LayerGradient, ...]

    @property
    def path(self) -> list[LayerGradient]:
        """The layers without projections: one at every depth."""
        return [layer for layer in self.layers if not layer.is_projection]

    @property
    def first_to_last(self) -> float:
        """The norm in the first layer over that in the last; infinity over 0."""
        first, last = self.path[0].norm, self.path[-1].norm
        return first / last if last else math.inf


def profile_gradients(
    network: str, moment: str, classifier: Classifier, batches: Iterable[ClassificationBatch]
) -> GradientProfile:
    """The profile of a classifier; see ``GradientProfile`` and ``measure_gradients``, which raises what this does."""
    return GradientProfile(network, moment, is_plain(classifier.backbone), measure_gradients(classifier, batches))


def measure_gradients(classifier: Classifier, batches: Iterable[ClassificationBatch]) -> tuple[LayerGradient, ...]:
    """Norms of the cross-entropy's gradient with respect to every convolution's weight.

    The network runs as in training, with the BN statistics of the batch. Its mode, statistics and ``.grad`` are restored
    afterwards. We average the norms of the batches; this is not the norm of an average gradient.

    Args:
        classifier: the network; none of its convolutions may be frozen.
        batches: one or more batches, on any device.

    Returns:
        The gradient of each convolution, by depth.

    Raises:
        ValueError: without a batch.
    """
    layers = convolutions(classifier.backbone)
    weights = [layer.conv.weight for layer in layers]
    device = weights[0].device
    norms = []
    with _as_in_training(classifier), torch.enable_grad():
        for batch in batches:
            loss = cross_entropy(classifier(batch.images.to(device)), batch.labels.to(device))
            gradients = torch.autograd.grad(loss, weights)
            norms.append(torch.stack([in_float64(gradient).norm() for gradient in gradients]).cpu())
    if not norms:
        raise ValueError("measure_gradients needs at least one batch, got none")
    averages = torch.stack(norms).mean(0).tolist()
    sizes = [float(in_float64(weight.detach()).norm()) for weight in weights]
    return tuple(
        LayerGradient(layer.name, layer.depth, layer.is_projection, norm, norm / size if size else math.inf)
        for layer, norm, size in zip(layers, averages, sizes, strict=True)
    )


def conclude_gradients(profiles: Sequence[GradientProfile]) -> str:
    """One line: the first layer's gradient over the last's for each profile, and which networks have more even gradients."""
    ratios = [f"{profile.network} {profile.moment} {profile.first_to_last:.3g}" for profile in profiles]
    text = f"gradient norm of the first layer over that of the last: {', '.join(ratios)}"
    plain, residual = (_unevenness(profiles, kind) for kind in (True, False))
    if plain is None or residual is None:
        return text
    if not (math.isfinite(plain) and math.isfinite(residual)):
        lost = joined([name for name, value in (("plain", plain), ("residual", residual)) if not math.isfinite(value)])
        return f"{text}; a gradient is 0 or not finite in the {lost} networks"
    first, second = math.exp(residual), math.exp(plain)
    verdict = (
        "more even in residual than in plain networks" if first < second else "no more even in residual than in plain ones"
    )
    return f"{text}; gradients are {verdict} (ends apart by a factor of {first:.3g} and {second:.3g})"


def _unevenness(profiles: Sequence[GradientProfile], plain: bool) -> float | None:
    """The mean of |log(first / last)| over the plain or the residual networks; None when there are none."""
    ratios = [profile.first_to_last for profile in profiles if profile.plain == plain]
    return fmean([abs(math.log(ratio)) if 0 < ratio < math.inf else math.inf for ratio in ratios]) if ratios else None


@contextmanager
def _as_in_training(model: nn.Module) -> Iterator[None]:
    """A context in training mode that restores modes and buffers (BN's running statistics) when it ends."""
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with kept_modes(model):
            model.train()
            yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(kept[name])
