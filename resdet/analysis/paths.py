"""Residual networks as ensembles of paths: how long the paths are, and which of them carry the gradient.

A residual network of n blocks is a sum over 2^n paths, for each block goes through its branch or past it: through k of the n
branches lead C(n, k) paths, most of them about n / 2. Source: Veit, Wilber and Belongie, 2016, sections 3 and 4.3.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from resdet.analysis.layers import is_plain, named_blocks
from resdet.errors import ConfigError
from resdet.losses.classification import cross_entropy
from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.preact_blocks import PreactBlock
from resdet.models.backbones.resnet import ResNet
from resdet.models.classifier import Classifier, LabelledImages
from resdet.ops.modes import kept_modes


@dataclass(frozen=True)
class PathLength:
    """The paths through so many branches.

    Attributes:
        blocks: branches that such a path goes through.
        paths: the number of these paths, C(n, blocks).
        norm: the mean L2 norm of the gradient that one of them brings to the input of the first block.
        error: the standard error of this mean; 0 when all paths were measured.
    """

    blocks: int
    paths: int
    norm: float
    error: float

    @property
    def gradient(self) -> float:
        """All of these paths together: their number times the mean norm."""
        return self.paths * self.norm


@dataclass(frozen=True)
class PathProfile:
    """The paths of a network by length, from 0 to the number of its blocks."""

    network: str
    lengths: tuple[PathLength, ...]

    def range_of(self, weights: Sequence[float], share: float = 0.9) -> tuple[int, int]:
        """The shortest run of lengths that holds ``share`` of ``weights``, one for each length."""
        total, best = sum(weights), (0, len(weights) - 1)
        for first in range(len(weights)):
            held = 0.0
            for last in range(first, len(weights)):
                held += weights[last]
                if held >= share * total and last - first < best[1] - best[0]:
                    best = (first, last)
        return best

    @property
    def mean_paths(self) -> float:
        """The mean length of a path."""
        return _mean([each.paths for each in self.lengths])

    @property
    def mean_gradient(self) -> float:
        """The mean length of a path, each counted by the gradient that it carries."""
        return _mean([each.gradient for each in self.lengths])


@contextmanager
def along_path(resnet: ResNet, through: Collection[int]) -> Iterator[None]:
    """A context in which the gradient goes through the branches of some blocks alone, and past all others.

    The values that the network computes stay the same: what the path leaves aside is only cut from the graph.

    Args:
        resnet: a residual network.
        through: numbers of the blocks whose branch the path takes, from 0.

    Raises:
        ConfigError: for a plain network, which has one path.
    """
    if is_plain(resnet):
        raise ConfigError(f"{resnet.spec.name}: has no shortcuts, and so one path")
    cut = [
        block.downsample if number in through else _end_of_branch(block)
        for number, (_, block) in enumerate(named_blocks(resnet))
    ]
    hooks = [part.register_forward_hook(_detached) for part in cut if part is not None]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def path_gradient(classifier: Classifier, batch: LabelledImages, through: Collection[int] | None = None) -> Tensor:
    """The gradient of the mean cross entropy at the input of the first block, (N, C, H, W), along one path; None: all paths.

    The network is in evaluation mode, so that the images do not mix.
    """
    captured: list[Tensor] = []

    def capture(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        captured.append(inputs[0].detach().clone().requires_grad_())
        return (captured[-1],)

    first = next(iter(classifier.backbone.blocks()))
    hook = first.register_forward_pre_hook(capture)
    try:
        with kept_modes(classifier), torch.enable_grad():
            classifier.eval()
            if through is None:
                loss = cross_entropy(classifier(batch.images), batch.labels)
            else:
                with along_path(classifier.backbone, through):
                    loss = cross_entropy(classifier(batch.images), batch.labels)
            (gradient,) = torch.autograd.grad(loss, captured[0], allow_unused=True)
    finally:
        hook.remove()
    return torch.zeros_like(captured[0]) if gradient is None else gradient


def chosen_paths(blocks: int, length: int, draws: int, seed: int) -> list[tuple[int, ...]]:
    """``draws`` random paths through ``length`` of ``blocks`` branches; all of them where there are no more."""
    if math.comb(blocks, length) <= draws:
        return list(combinations(range(blocks), length))
    generator = np.random.default_rng((seed, length))
    return [tuple(sorted(generator.permutation(blocks)[:length].tolist())) for _ in range(draws)]


def profile_paths(network: str, classifier: Classifier, batch: LabelledImages, *, draws: int, seed: int) -> PathProfile:
    """Measure the gradient of a batch along random paths of every length.

    Args:
        network: its name.
        classifier: a residual network.
        batch: images and labels on its device.
        draws: paths of each length.
        seed: of the choice of paths.

    Raises:
        ConfigError: for a plain network.
    """
    blocks = len(named_blocks(classifier.backbone))
    lengths = []
    for length in range(blocks + 1):
        paths = chosen_paths(blocks, length, draws, seed)
        norms = [float(path_gradient(classifier, batch, path).double().norm()) for path in paths]
        everything = len(paths) == math.comb(blocks, length)
        error = 0.0 if everything or len(norms) < 2 else stdev(norms) / math.sqrt(len(norms))
        lengths.append(PathLength(length, math.comb(blocks, length), fmean(norms), error))
    return PathProfile(network, tuple(lengths))


def conclude_paths(profiles: Sequence[PathProfile]) -> str:
    """One line: where most paths are, and where most of the gradient is."""
    return "; ".join(_conclude(profile) for profile in profiles)


def _conclude(profile: PathProfile) -> str:
    blocks = len(profile.lengths) - 1
    there = profile.range_of([each.paths for each in profile.lengths])
    carried = profile.range_of([each.gradient for each in profile.lengths])
    return (
        f"{profile.network}: 90 % of its 2^{blocks} paths go through {there[0]} to {there[1]} of {blocks} blocks, 90 % of the "
        f"gradient through {carried[0]} to {carried[1]} (mean {profile.mean_paths:.1f} and {profile.mean_gradient:.1f})"
    )


def _mean(weights: Sequence[float]) -> float:
    total = sum(weights)
    return sum(length * weight for length, weight in enumerate(weights)) / total if total else math.nan


def _end_of_branch(block: ResidualBlock) -> nn.Module:
    """What gives the branch's result: its last BN, or in a pre-activation block its last convolution."""
    return block.layers[-1][0] if isinstance(block, PreactBlock) else block.last_norm


def _detached(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
    return output.detach()
