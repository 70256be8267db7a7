"""Splits images into those to train on and those to validate on."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Sequence
from pathlib import Path

import numpy as np

SHARE = 0.2  # of the images is for validation, where nothing else is said
# what exports put behind a photo's name when they change it: one photo, several files
_VARIANT = re.compile(r"(?:[._-]jpe?g|[._-]png)?\.rf\.[0-9a-f]+$|[_-](?:aug|flip|rot|copy)[a-z]*[_-]?\d*$", re.IGNORECASE)
_FRAME = re.compile(r"^(.*?)[ ._-]*(?:frame|frm|img_f|_f)[ ._-]*\d+$", re.IGNORECASE)


def split_groups(
    groups: Sequence[Hashable], classes: Sequence[Collection[int]], share: float = SHARE, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Split images so that each class has about its share in both parts, and no group is in both.

    The groups of the rarest class are dealt out first, then those of the next, as iterative stratification does (Sechidis et
    al. 2011, with groups in place of images); images without objects come last. A class of one group stays in training.

    Args:
        groups: the group of each image: images of one group stay together.
        classes: the classes of each image's objects.
        share: the part of the images that is for validation, above 0 and below 1.
        seed: decides between equals.

    Returns:
        The indices of training and of validation images, each in order. Validation is empty when there is one group alone.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    keys = list(members)
    order = [keys[place] for place in np.random.default_rng(seed).permutation(len(keys))]
    held = {key: Counter(label for index in members[key] for label in set(classes[index])) for key in order}
    total = sum(held.values(), Counter())
    wanted = {label: share * count for label, count in total.items()}
    left = share * len(groups)
    val: set[Hashable] = set()
    open_groups = dict.fromkeys(order)
    for label in [*sorted(total, key=lambda name: (total[name], name)), None]:
        of_label = [key for key in open_groups if label is None or label in held[key]]
        of_label.sort(key=lambda key: len(members[key]))  # small groups first: a video of half the images would overshoot
        alone = label is not None and sum(label in held[key] for key in order) < 2
        for key in of_label:
            del open_groups[key]
            size = len(members[key])
            needs = left if label is None else wanted[label]
            gains = size if label is None else held[key][label]
            # as near to the share as whole groups allow
            if not alone and needs >= gains / 2 and size <= max(2 * left, 1) and len(val) + 1 < len(keys):
                val.add(key)
                left -= size
                for name, count in held[key].items():
                    wanted[name] -= count
    if not val and len(keys) > 1:
        held_by = Counter(label for key in order for label in held[key])
        val.add(min(order, key=lambda key: (any(held_by[label] == 1 for label in held[key]), len(members[key]))))
    chosen = [index for index, group in enumerate(groups) if group in val]
    return [index for index, group in enumerate(groups) if group not in val], chosen


def groups_of(paths: Sequence[Path], alike: Sequence[int]) -> list[int]:
    """The group of each image: images that look alike, variants of one photo, and frames of one video are one group.

    Frames are known by the word ``frame`` before their number. When that would make everything one group, each video is cut
    into ten pieces of frames that follow one another.

    Args:
        paths: the images' files.
        alike: a number for each image, the same for images that look alike.
    """
    parents = list(range(len(paths)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    videos = [_video(path) for path in paths]
    named = {video for video in videos if video is not None}
    if len(named) == 1 and None not in videos:  # one video is all there is
        order = sorted(range(len(paths)), key=lambda index: _number(paths[index]))
        piece = {index: place * 10 // len(order) for place, index in enumerate(order)}
        videos = [f"{video} {piece[index]}" for index, video in enumerate(videos)]
    keys: list[list[Hashable]] = [
        [("alike", number), ("photo", str(path.parent), _VARIANT.sub("", path.stem)), *([("video", video)] if video else [])]
        for path, number, video in zip(paths, alike, videos, strict=True)
    ]
    first: dict[Hashable, int] = {}
    for index, names in enumerate(keys):
        for name in names:
            parents[root(index)] = root(first.setdefault(name, index))
    return [root(index) for index in range(len(paths))]


def following(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Pairs of images of one folder whose names differ in the last number alone, each with the next one of these."""
    numbered: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, path in enumerate(paths):
        if match := re.match(r"(.*?)(\d{1,18})(\D*)$", path.stem):
            numbered[f"{path.parent}/{match[1]}*{match[3]}"].append((int(match[2]), index))
    return [(one, other) for row in numbered.values() for (_, one), (_, other) in itertools.pairwise(sorted(row))]


def _video(path: Path) -> str | None:
    match = _FRAME.match(_VARIANT.sub("", path.stem))
    return f"{path.parent}/{match[1]}" if match else None


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", _VARIANT.sub("", path.stem))
    return int(digits[-1][-18:]) if digits else 0
