"""Measures the error of a network after residual blocks are dropped (Veit, Wilber, Belongie 2016).

A residual network behaves like an ensemble of paths: it survives the loss of a block. A plain network is a single path.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from resdet.analysis.changed import errors_under
from resdet.analysis.layers import is_plain, keeps_shape, named_blocks
from resdet.analysis.wording import percent, points
from resdet.data.loading.batches import ClassificationBatch
from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet
from resdet.models.classifier import Classifier

Lesion = tuple[str, ...]


@dataclass(frozen=True)
class LesionProfile:
    """The errors of a network without some of its blocks.

    Attributes:
        network: the name of the network.
        plain: whether it has no shortcuts.
        classes: K.
        intact: error of the whole network, in [0, 1].
        single: the error without each block, by the name of the block, in order of depth.
        several: (blocks, error without them) for each random draw.
    """

    network: str
    plain: bool
    classes: int
    intact: float
    single: dict[str, float]
    several: tuple[tuple[Lesion, float], ...]

    def average_without(self, count: int) -> float:
        """The mean error of the draws of ``count`` blocks."""
        return fmean([error for blocks, error in self.several if len(blocks) == count])


def droppable_blocks(resnet: ResNet) -> list[str]:
    """The blocks that can be dropped, ``layer1.0`` …: all of a residual network, the shape-keeping ones of a plain one.

    Raises:
        ConfigError: for a plain network in which every block changes the shape, because nothing could replace a block.
    """
    blocks = [name for name, block in named_blocks(resnet) if not is_plain(resnet) or keeps_shape(block)]
    if not blocks:
        raise ConfigError(
            f"{resnet.spec.name}: has no shortcuts, and every block changes the shape of what it takes: none can be dropped"
        )
    return blocks


@contextmanager
def without_blocks(resnet: ResNet, names: Collection[str]) -> Iterator[None]:
    """A context in which the blocks ``names`` use only their shortcut, and not their branch.

    Where the shape changes, the shortcut and the ReLU after the addition stay. A block of a plain network passes its input on.

    Raises:
        ConfigError: for a name that is none of ``droppable_blocks``.
    """
    unknown = [name for name in names if name not in droppable_blocks(resnet)]
    if unknown:
        raise ConfigError([f"{resnet.spec.name}: block {name!r} cannot be dropped" for name in unknown])
    blocks = [block for name, block in named_blocks(resnet) if name in names]
    # with the branch's last BN at zero the branch is zero, even when a convolution without bias follows it
    hooks = [
        block.register_forward_hook(_pass_input) if is_plain(resnet) else block.last_norm.register_forward_hook(_zeros)
        for block in blocks
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def lesion_errors(classifier: Classifier, batches: Iterable[ClassificationBatch], lesions: Sequence[Lesion]) -> list[float]:
    """The top-1 error, in [0, 1], of the classifier without the blocks of each lesion; ``()`` is the intact network.

    Every batch is loaded once and used for all lesions.

    Raises:
        ValueError: without an image.
    """
    return errors_under(
        classifier, batches, [functools.partial(without_blocks, classifier.backbone, lesion) for lesion in lesions]
    )


def random_lesions(blocks: Sequence[str], draws: int, seed: int) -> list[Lesion]:
    """Random choices of 1, 2, 4, … up to half of ``blocks``, ``draws`` for each number; blocks in order of depth."""
    counts = [2**power for power in range(len(blocks).bit_length()) if 2 * 2**power <= len(blocks)]
    return [
        tuple(blocks[index] for index in sorted(np.random.default_rng((seed, count, draw)).permutation(len(blocks))[:count]))
        for count in counts
        for draw in range(draws)
    ]


def measure_lesions(
    network: str, classifier: Classifier, batches: Iterable[ClassificationBatch], *, draws: int, seed: int
) -> LesionProfile:
    """The errors of a classifier intact, without each of its blocks, and without the blocks of ``random_lesions``.

    Raises:
        ConfigError: for a network without a block that can be dropped.
        ValueError: without an image.
    """
    blocks = droppable_blocks(classifier.backbone)
    several = random_lesions(blocks, draws, seed)
    intact, *errors = lesion_errors(classifier, batches, [(), *((block,) for block in blocks), *several])
    return LesionProfile(
        network,
        is_plain(classifier.backbone),
        len(classifier.names),
        intact,
        dict(zip(blocks, errors[: len(blocks)], strict=True)),
        tuple(zip(several, errors[len(blocks) :], strict=True)),
    )


def conclude_lesions(profiles: Sequence[LesionProfile]) -> str:
    """One line: the cost of losing one block in each network, and whether the network survives it.

    It survives when the median error without one block is nearer to the intact network's than to that of guessing.
    """
    return "; ".join(_conclude(profile) for profile in profiles)


def _conclude(profile: LesionProfile) -> str:
    worst = max(profile.single, key=lambda block: profile.single[block])
    usual, guessing = median(profile.single.values()), 1 - 1 / profile.classes
    survives = usual < (profile.intact + guessing) / 2
    text = (
        f"{profile.network} ({percent(profile.intact)} intact) {'survives' if survives else 'does not survive'} the loss of a "
        f"block: {points(usual - profile.intact)} in the median of {len(profile.single)}, at worst "
        f"{points(profile.single[worst] - profile.intact)} ({worst})"
    )
    if profile.several:
        most = max(len(blocks) for blocks, _ in profile.several)
        text += f", {percent(profile.average_without(most))} without {most} of them"
    return text


def _zeros(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
    return torch.zeros_like(output)


def _pass_input(_: nn.Module, inputs: tuple[Any, ...], __: Tensor) -> Tensor:
    return cast(Tensor, inputs[0])
