"""Finds the pixel convention and the place of the stride that a network's weights need, from images without labels.

There are three measures, and none of them needs labels:

- *clarity*: how much a network's predictions tell images apart, in nats: H(p) - 2 mean H(p_i), H being the entropy, p_i the
  softmax of an image averaged with that of its mirror image, and p the mean of all p_i. It is high where a network is sure,
  says the same of both, and says different things of different images. Of images that are all alike, only the first two count.
- *misfit*: how far the inputs of the BN layers are from the statistics that they keep: KL between the normal distributions of
  a channel, (v / v0 + (m - m0)² / v0 - 1 - ln(v / v0)) / 2, its median over channels averaged over layers. It shows scale,
  mean and stride; the order of the colours hardly.
- *imbalance*, where these statistics were folded: |ln(spread / shift)| of the first BN layer's output, its channels' median.
  The scale of what BN gives and the size of its shifts are alike in trained networks, whose ratio was 0.7 to 4 here; bytes
  instead of [0, 1], or the reverse, is a factor of 58.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from resdet.analysis.convention_images import ImageSample
from resdet.analysis.convention_subject import Subject
from resdet.models.backbones.resnet import ResNet
from resdet.ops.moments import Moments
from resdet.structures import PixelConvention

# Two clarities count as different from so many standard errors on. With 64 photos of ImageNet or COCO the right candidate is
# 3.4 to 5.2 errors ahead of the next, on photos of kangaroos alone 1.3 to 2.9; with 512 of CIFAR-10 6.2 to 8.5.
ERRORS = 2.0
# A misfit is gross from the first ratio on; among candidates that clarity does not tell apart, the second ratio is enough. The
# other stride fits 1.4 to 3.4 times worse, colours in the other order 0.9 to 1.3 times.
GROSS, RATIO = 2.0, 1.25
# the middle between bytes and normalized input, as a logarithm
_SCALES = math.log(0.226 * 255) / 2
_FEW = 16  # so many images are enough to show a gross misfit
_PIXELS = 8 * 224 * 224  # pixels that go through the network at once


@dataclass(frozen=True)
class Candidate:
    """A convention that the weights may need.

    Attributes:
        names: its name; several names when conventions differ too little to tell apart, by half a grey level.
        pixels: the first of these conventions.
        stride_in_1x1: whether bottlenecks have their stride in the first 1x1; None in a network without bottlenecks.
    """

    names: tuple[str, ...]
    pixels: PixelConvention
    stride_in_1x1: bool | None


@dataclass(frozen=True)
class Measurement:
    """The measurements under one candidate.

    Attributes:
        candidate: the convention.
        clarity: what each image contributes, nats, float64 (N,); None without a classifier, or when BN is grossly off.
        misfit: the misfit of the BN statistics, nats; None when they were folded.
        imbalance: the imbalance of the first BN layer when statistics were folded, else None.
        loss: -ln of each image's probability of its label, float64 (N,); None without clarity or labels.
        error: the share of misclassified images; None when ``loss`` is None.
    """

    candidate: Candidate
    clarity: Tensor | None = None
    misfit: float | None = None
    imbalance: float | None = None
    loss: Tensor | None = None
    error: float | None = None

    def mean_clarity(self) -> float:
        """The mean over images, nats; minus infinity when it was not measured."""
        return -math.inf if self.clarity is None else float(self.clarity.mean())


@dataclass(frozen=True)
class Verdict:
    """The conclusion from the measurements.

    Attributes:
        plausible: the measurement of the best candidate, then those that cannot be told apart from it.
        errors: the least number of standard errors by which the first one's clarity is above that of an implausible one; None
            when no implausible one has a clarity.
        ratio: the least ratio of an implausible one's misfit to the first one's; None when statistics were folded, or all are
            plausible.
    """

    plausible: list[Measurement]
    errors: float | None
    ratio: float | None


def candidates(subject: Subject, known: Mapping[str, PixelConvention]) -> list[Candidate]:
    """The known conventions (nearly equal ones as one) and that of the file's card, with each possible place of the stride."""
    groups: list[tuple[list[str], PixelConvention]] = []
    every = {**known, **({"its card's": subject.pixels} if subject.pixels is not None else {})}
    for name, pixels in every.items():
        alike = next((group for group in groups if nearly_equal(group[1], pixels)), None)
        if alike is None:
            groups.append(([name], pixels))
        elif pixels is not subject.pixels:
            alike[0].append(name)
    strides = (True, False) if subject.spec.block == "bottleneck" else (None,)
    return [Candidate(tuple(names), pixels, stride) for stride in strides for names, pixels in groups]


def nearly_equal(first: PixelConvention, second: PixelConvention) -> bool:
    """Whether two conventions differ by less than two grey levels; no measure here can tell such conventions apart."""
    if (first.order, first.std, first.range) != (second.order, second.std, second.range):
        return False
    return max(abs(a - b) for a, b in zip(first.mean, second.mean, strict=True)) < 2 / 255 * first.range


@torch.inference_mode()
def measure(subject: Subject, tried: Sequence[Candidate], sample: ImageSample) -> list[Measurement]:
    """Measure each candidate. When BN is grossly off on a few of the images, the candidate is not run on the others."""
    networks = {stride: subject.network(bool(stride)) for stride in {each.stride_in_1x1 for each in tried}}
    few = sample.images[:: -(-len(sample.images) // _FEW)]
    first = [_run(subject, networks[each.stride_in_1x1], each, few)[0] for each in tried]
    going = _without_gross(first)
    return [
        _predict(subject, networks[each.candidate.stride_in_1x1], each.candidate, sample) if each in going else each
        for each in first
    ]


def _predict(subject: Subject, network: ResNet, candidate: Candidate, sample: ImageSample) -> Measurement:
    """Take all measures on all images."""
    found, logits = _run(subject, network, candidate, sample.images)
    if not subject.classifies:
        return found
    mirrored = torch.cat([_logits(network, candidate, part.flip(-1), True) for part in _parts(subject, sample.images)])
    predicted = (logits.double().softmax(1) + mirrored.double().softmax(1)) / 2
    found = replace(found, clarity=clarity(predicted))
    if sample.labels is None:
        return found
    right = predicted[torch.arange(len(predicted)), sample.labels]
    wrong = predicted.argmax(1) != sample.labels
    return replace(found, loss=-right.clamp(min=1e-12).log(), error=float(wrong.double().mean()))


def _run(subject: Subject, network: ResNet, candidate: Candidate, images: Tensor) -> tuple[Measurement, Tensor]:
    """The measurement of what BN sees, and the network's output."""
    norms = {name: network.get_submodule(name) for name in subject.norms or ("bn1",)}
    with _observing(norms) as seen:
        output = [_logits(network, candidate, part, subject.classifies) for part in _parts(subject, images)]
    if subject.norms:
        misfit = sum(divergence(seen[name], norm) for name, norm in norms.items()) / len(norms)
        return Measurement(candidate, misfit=misfit), torch.cat(output)
    return Measurement(candidate, imbalance=imbalance(seen["bn1"], network.bn1)), torch.cat(output)


def _parts(subject: Subject, images: Tensor) -> tuple[Tensor, ...]:
    return images.split(max(1, _PIXELS // subject.crop**2))


def _logits(network: ResNet, candidate: Candidate, images: Tensor, classifies: bool) -> Tensor:
    run: Callable[[Tensor], Tensor] = network if classifies else network.forward_features
    return run(candidate.pixels.normalize(images))


def clarity(predicted: Tensor) -> Tensor:
    """KL(p_i || p) - H(p_i) of each row p_i of ``predicted`` (N, K), probabilities, p being their mean: nats, (N,).

    The mean over rows is H(p) - 2 mean H(p_i).
    """
    own, common = predicted.clamp(min=1e-300).log(), predicted.mean(0).clamp(min=1e-300).log()
    return (predicted * (2 * own - common)).sum(1)


@contextmanager
def _observing(norms: Mapping[str, nn.Module]) -> Iterator[dict[str, Moments]]:
    """A context that collects the moments of the inputs of ``norms``."""
    seen = {name: Moments.of(len(norm.running_mean)) for name, norm in norms.items()}  # type: ignore[arg-type]

    def collector(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _, inputs: seen[name].add(inputs[0])

    hooks = [norm.register_forward_pre_hook(collector(name)) for name, norm in norms.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def divergence(seen: Moments, norm: nn.Module) -> float:
    """KL between a BN layer's inputs and its statistics, both as normal distributions: the median over channels, nats.

    Dead channels, with less than a thousandth of the median variance, do not count.
    """
    mean, variance = (getattr(norm, name).double() for name in ("running_mean", "running_var"))
    live = variance > 1e-3 * variance.median()
    if not bool(live.any()):
        return 0.0
    ratio = (seen.squares / seen.count / variance).clamp(min=1e-12)
    distance = (seen.mean - mean) ** 2 / variance
    return float(((ratio + distance - 1 - ratio.log()) / 2)[live].median())


def imbalance(seen: Moments, norm: nn.Module) -> float:
    """|ln(spread / shift)| of the output of a BN layer that has seen some inputs: the median over channels."""
    scale, shift, variance = (getattr(norm, name).double() for name in ("weight", "bias", "running_var"))
    spread = (seen.squares / seen.count / variance).sqrt() * scale.abs()
    return abs(float((spread.clamp(min=1e-12) / shift.abs().clamp(min=1e-12)).log().median()))


def judge(measurements: Sequence[Measurement]) -> Verdict:
    """Decide which candidates are plausible.

    First we drop the candidates whose BN is grossly off, or that are clearly worse on known labels. Then we drop those whose
    predictions are less clear, and last those that fit the BN statistics worse.

    Args:
        measurements: one or more.
    """
    possible = _without_worse_labels(_without_gross(measurements))
    most = max(possible, key=Measurement.mean_clarity)
    tied = [each for each in possible if each is most or _ahead(most.clarity, each.clarity) < ERRORS]
    plausible = _within(tied, RATIO)
    plausible.sort(key=lambda each: (-each.mean_clarity(), each.misfit or each.imbalance or 0.0))
    best, rest = plausible[0], [each for each in measurements if each not in plausible]
    misfits = [each.misfit for each in rest if each.misfit is not None]
    gains = [_ahead(best.clarity, each.clarity) for each in rest if each.clarity is not None]
    ratio = min(misfits) / max(best.misfit, 1e-12) if misfits and best.misfit is not None else None
    return Verdict(plausible, min(gains, default=None), ratio)


def _without_gross(measurements: Sequence[Measurement]) -> list[Measurement]:
    least = min(each.imbalance or 0.0 for each in measurements)
    return [each for each in _within(measurements, GROSS) if (each.imbalance or 0.0) <= least + _SCALES]


def _without_worse_labels(measurements: list[Measurement]) -> list[Measurement]:
    """Labels count only if a candidate is much better than chance: the folders may be other classes, or in another order."""
    labelled = [each for each in measurements if each.loss is not None and each.error is not None]
    if not labelled or min(each.error or 0.0 for each in labelled) > 0.7:
        return measurements
    best = min(labelled, key=lambda each: float(each.loss.mean()) if each.loss is not None else math.inf)
    return [each for each in labelled if each is best or _ahead(each.loss, best.loss) < ERRORS]


def _within(measurements: Sequence[Measurement], ratio: float) -> list[Measurement]:
    """The measurements whose misfit is at most ``ratio`` times the least; all of them when no misfit was measured."""
    misfits = [each.misfit for each in measurements if each.misfit is not None]
    if not misfits:
        return list(measurements)
    return [each for each in measurements if each.misfit is not None and each.misfit <= ratio * min(misfits)]


def _ahead(first: Tensor | None, second: Tensor | None) -> float:
    """The number of standard errors by which the first mean is above the second, paired by image; 0 when either is None."""
    if first is None or second is None:
        return 0.0
    gain = first - second
    error = float(gain.std()) / len(gain) ** 0.5
    return float(gain.mean()) / max(error, 1e-12)
