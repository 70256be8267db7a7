"""Which images of a data set look alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from resdet.data.images.likeness import FOLLOWS, alike, differ, fingerprint
from resdet.data.images.photo import Photo
from resdet.data.loading.parallel import in_chunks
from resdet.errors import DataError

_LOOK = (64, 72)  # pixels that a fingerprint is taken from, a multiple of its cells


def looks(images: int, photo: Callable[[int], Photo], following: Sequence[tuple[int, int]] = ()) -> list[int]:
    """A number for each image, the same for those that look alike; an image that cannot be read is like no other.

    Of two images whose names count on, a lesser likeness is enough: they are frames of one video, or else are not alike at all.
    Where most images are alike at this coarse look, as drawings on white paper are, it says nothing, and all are different.

    Args:
        images: the number of images.
        photo: the image of an index; a DataError when it cannot be read.
        following: pairs of indices whose names count on, see ``groups.following``.
    """

    def prints_of(indices: Sequence[int]) -> list[int | None]:
        return [_fingerprint(photo, index) for index in indices]

    prints = [value for values in in_chunks(prints_of, range(images)) for value in values]
    readable = {index: value for index, value in enumerate(prints) if value is not None}
    indices = list(readable)
    groups = list(range(images))
    for index, group in zip(indices, alike(list(readable.values())).tolist(), strict=True):
        groups[index] = indices[group]
    if _most(groups) > images / 2:
        return list(range(images))
    roots = {group: group for group in groups}

    def root(group: int) -> int:
        while roots[group] != group:
            roots[group] = roots[roots[group]]
            group = roots[group]
        return group

    for one, other in following:
        a, b = prints[one], prints[other]
        if a is not None and b is not None and differ(a, b) <= FOLLOWS:
            roots[root(groups[other])] = root(groups[one])
    joined = [root(group) for group in groups]
    return joined if _most(joined) <= images / 2 else groups


def _most(groups: Sequence[int]) -> int:
    return max(Counter(groups).values())


def _fingerprint(photo: Callable[[int], Photo], index: int) -> int | None:
    try:
        image = photo(index)
        return fingerprint(image.window((0, 0, image.width, image.height), _LOOK))
    except DataError:  # training or `data check` will tell
        return None
