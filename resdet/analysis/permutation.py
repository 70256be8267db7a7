"""Measures the error of a network after its blocks have changed places (Veit, Wilber and Belongie 2016, section 4.2)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev

import numpy as np

from resdet.analysis.changed import errors_under
from resdet.analysis.layers import keeps_shape, named_blocks
from resdet.analysis.wording import percent
from resdet.data.loading.batches import ClassificationBatch
from resdet.errors import ConfigError
from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.resnet import ResNet
from resdet.models.classifier import Classifier

Order = tuple[str, ...]  # for each block that can move, in order of depth, the block that stands in its place


@dataclass(frozen=True)
class PermutationProfile:
    """The errors of a network with blocks in other places.

    Attributes:
        network: the name of the network.
        intact: the error as it is, in [0, 1].
        swapped: for each draw the number of swaps, Kendall's tau of the order, and the error.
    """

    network: str
    intact: float
    swapped: tuple[tuple[int, float, float], ...]

    def after(self, swaps: int) -> tuple[float, float]:
        """The mean error after so many swaps, and its standard error."""
        errors = [error for count, _, error in self.swapped if count == swaps]
        return fmean(errors), stdev(errors) / len(errors) ** 0.5 if len(errors) > 1 else 0.0


def movable_blocks(resnet: ResNet) -> list[list[str]]:
    """The blocks that can take each other's place: those of a stage that keep the shape of what they take; two at least.

    Raises:
        ConfigError: when there are no two such blocks.
    """
    stages: dict[str, list[str]] = {}
    for name, block in named_blocks(resnet):
        if keeps_shape(block):
            stages.setdefault(name.partition(".")[0], []).append(name)
    groups = [names for names in stages.values() if len(names) > 1]
    if not groups:
        raise ConfigError(f"{resnet.spec.name}: no two blocks of a stage keep the shape: none can change places")
    return groups


@contextmanager
def reordered(resnet: ResNet, places: Mapping[str, str]) -> Iterator[None]:
    """A context in which at each place, ``layer1.1`` for instance, stands the block of another one; the rest stays."""
    blocks: dict[str, ResidualBlock] = dict(named_blocks(resnet))
    try:
        for place, name in places.items():
            _put(resnet, place, blocks[name])
        yield
    finally:
        for place in places:
            _put(resnet, place, blocks[place])


def random_orders(groups: Sequence[Sequence[str]], draws: int, seed: int) -> list[tuple[int, dict[str, str]]]:
    """Random orders after 1, 2, 4, … swaps of two blocks of a stage, up to the number of blocks; ``draws`` for each."""
    count = sum(map(len, groups))
    pairs = [pair for group in groups for pair in combinations(group, 2)]
    found = []
    for swaps in [2**power for power in range(count.bit_length()) if 2**power <= count]:
        for draw in range(draws):
            generator = np.random.default_rng((seed, swaps, draw))
            places = {name: name for group in groups for name in group}
            for number in generator.integers(len(pairs), size=swaps).tolist():
                one, other = pairs[number]
                places[one], places[other] = places[other], places[one]
            found.append((swaps, places))
    return found


def kendall_tau(groups: Sequence[Sequence[str]], places: Mapping[str, str]) -> float:
    """The share of pairs of a stage that are still in order, less that of those that are not: 1 for the intact network."""
    order = {name: number for number, name in enumerate(name for group in groups for name in group)}
    signs = [
        1 if order[places[one]] < order[places[other]] else -1 for group in groups for one, other in combinations(group, 2)
    ]
    return fmean(signs)


def measure_permutations(
    network: str, classifier: Classifier, batches: Iterable[ClassificationBatch], *, draws: int, seed: int
) -> PermutationProfile:
    """The errors of a classifier intact, and with the orders of ``random_orders``; every batch is loaded once.

    Raises:
        ConfigError: for a network without two blocks that can change places.
        ValueError: without an image.
    """
    groups = movable_blocks(classifier.backbone)
    orders: list[tuple[int, dict[str, str]]] = [(0, {}), *random_orders(groups, draws, seed)]
    changes = [functools.partial(reordered, classifier.backbone, places) for _, places in orders]
    intact, *errors = errors_under(classifier, batches, changes)
    return PermutationProfile(
        network,
        intact,
        tuple((swaps, kendall_tau(groups, places), error) for (swaps, places), error in zip(orders[1:], errors, strict=True)),
    )


def conclude_permutations(profiles: Sequence[PermutationProfile]) -> str:
    """One line: the error of each network intact, after one swap, and after the most swaps."""
    return "; ".join(_conclude(profile) for profile in profiles)


def _conclude(profile: PermutationProfile) -> str:
    parts = []
    for swaps in sorted({1, max(count for count, _, _ in profile.swapped)}):
        mean, error = profile.after(swaps)
        parts.append(f"{percent(mean)} ± {100 * error:.2f} after {swaps} swap{'s' if swaps > 1 else ''} of blocks")
    return f"{profile.network} ({percent(profile.intact)} intact): {', '.join(parts)}"


def _put(resnet: ResNet, place: str, block: ResidualBlock) -> None:
    stage, _, index = place.partition(".")
    setattr(resnet.get_submodule(stage), index, block)
