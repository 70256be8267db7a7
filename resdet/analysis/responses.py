"""Measures how strongly the layers respond: the standard deviation of their outputs (paper, section 4.2, figure 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from torch import Tensor, nn

from resdet.analysis.layers import convolutions, is_plain, weighted_layers
from resdet.analysis.seeds import exceeds_noise
from resdet.inference.mode import evaluating
from resdet.models.classifier import Classifier
from resdet.ops.moments import Moments


@dataclass(frozen=True)
class LayerResponse:
    """The response of one layer: its name, its depth (see ``ConvLayer``), and the standard deviation over all its values."""

    layer: str
    depth: int
    deviation: float


@dataclass(frozen=True)
class ResponseProfile:
    """The responses of a network.

    Attributes:
        network: the name of the network.
        plain: whether it has no shortcuts.
        depth: the number of weighted layers.
        layers: the measured layers, by depth.
    """

    network: str
    plain: bool
    depth: int
    layers: tuple[LayerResponse, ...]

    @property
    def average(self) -> float:
        """The mean of the layers' standard deviations."""
        return fmean([layer.deviation for layer in self.layers])


def profile_responses(
    network: str, classifier: Classifier, images: Iterable[Tensor], *, all_convolutions: bool = False
) -> ResponseProfile:
    """The profile of a classifier; see ``ResponseProfile`` and ``measure_responses``, which raises what this does."""
    layers = measure_responses(classifier, images, all_convolutions=all_convolutions)
    return ResponseProfile(network, is_plain(classifier.backbone), weighted_layers(classifier.backbone), layers)


def measure_responses(
    classifier: Classifier, images: Iterable[Tensor], *, all_convolutions: bool = False
) -> tuple[LayerResponse, ...]:
    """The standard deviation of every 3x3 layer's response, over all images, channels and positions together.

    The response is the output of the layer before the ReLU and before the addition: the output of the BN that follows the
    convolution. In a pre-activation network BN and ReLU come before the convolution, and the response is the convolution's own
    output. BN uses its running statistics; projections are no layers and are left out.

    Args:
        classifier: the network; it stays unchanged.
        images: uint8 batches (N, 3, H, W), at least one image.
        all_convolutions: also measure layers with other kernels: a bottleneck's 1x1, the 7x7 of ImageNet's stem.

    Returns:
        The response of each layer, by depth.

    Raises:
        ValueError: without an image.
    """
    layers = [
        layer
        for layer in convolutions(classifier.backbone)
        if not layer.is_projection and (all_convolutions or layer.conv.kernel_size == (3, 3))
    ]
    device = layers[0].conv.weight.device
    spreads = {layer.norm or layer.conv: Moments.of(1, device) for layer in layers}

    def add(part: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
        spreads[part].add(output.reshape(-1, 1))  # added at once, because the ReLU that follows works in place

    hooks = [part.register_forward_hook(add) for part in spreads]
    try:
        with evaluating(classifier):
            for batch in images:
                classifier(batch.to(device))
    finally:
        for hook in hooks:
            hook.remove()
    if not all(spread.count for spread in spreads.values()):
        raise ValueError("measure_responses needs at least one image, got none")
    return tuple(
        LayerResponse(layer.name, layer.depth, float(spread.deviation()))
        for layer, spread in zip(layers, spreads.values(), strict=True)
    )


def conclude_responses(profiles: Sequence[ResponseProfile]) -> str:
    """One line: the mean response of each network, of plain against residual ones, and of deep against shallow ones."""
    listed = ", ".join(f"{profile.network} {profile.average:.3g}" for profile in profiles)
    parts = [f"mean standard deviation of the layers' responses: {listed}"]
    plain, residual = ([profile for profile in profiles if profile.plain == kind] for kind in (True, False))
    if plain and residual:
        parts.append(_compare_kinds(plain, residual))
    for kind, family in (("plain", plain), ("residual", residual)):
        by_depth = sorted(family, key=lambda profile: profile.depth)
        if by_depth and by_depth[0].depth < by_depth[-1].depth:
            shallow, deep = by_depth[0], by_depth[-1]
            verdict = "less" if deep.average < shallow.average else "no less"
            parts.append(
                f"deeper {kind} ones respond {verdict} ({shallow.depth} layers {shallow.average:.3g}, "
                f"{deep.depth} layers {deep.average:.3g})"
            )
    return "; ".join(parts)


def _compare_kinds(plain: Sequence[ResponseProfile], residual: Sequence[ResponseProfile]) -> str:
    there, here = ([profile.average for profile in family] for family in (plain, residual))
    numbers = f"({fmean(here):.3g} and {fmean(there):.3g})"
    trained_again = len({profile.depth for profile in (*plain, *residual)}) == 1 and min(len(there), len(here)) > 1
    if trained_again and not exceeds_noise(here, there):
        return f"residual and plain networks differ by no more than the noise of their trainings {numbers}"
    means = [
        [fmean(profile.average for profile in family if profile.depth == depth) for family in (residual, plain)]
        for depth in sorted({profile.depth for profile in residual} & {profile.depth for profile in plain})
    ]
    if len({one < other for one, other in means}) > 1:
        each = ", ".join(f"{one:.3g} and {other:.3g}" for one, other in means)
        return f"residual networks respond less than plain ones of some depths, and no less than those of others ({each})"
    return f"residual networks respond {'less than' if fmean(here) < fmean(there) else 'no less than'} plain ones {numbers}"
