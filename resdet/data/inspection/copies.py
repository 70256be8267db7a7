"""Findings about images that a data set, or two of them, hold more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.finding import Finding, fixes, image_place
from resdet.data.images.likeness import alike
from resdet.data.inspection.looks import Looks

_ALL_ALIKE = 8  # images; among fewer, all may be alike


class Part(NamedTuple):
    """A data set, what its images are like, and whether it is for validation."""

    dataset: DetectionDataset | ClassificationDataset
    looks: Looks
    validation: bool


class Image(NamedTuple):
    """Image ``number`` of a part, counted from 0."""

    part: Part
    number: int

    @property
    def place(self) -> str:
        """The image's name in messages."""
        dataset = self.part.dataset
        return image_place(dataset, self.number) if isinstance(dataset, DetectionDataset) else str(dataset.path(self.number))

    @property
    def label(self) -> str:
        """The class of a whole image; none of one with objects."""
        dataset = self.part.dataset
        return "" if isinstance(dataset, DetectionDataset) else dataset.names[dataset.label(self.number)]

    @property
    def file(self) -> str:
        """The image's file, however its path is written."""
        return str(self.part.dataset.path(self.number).resolve())


def copy_findings(parts: Sequence[Part]) -> list[Finding]:
    """Images under two ids, copies of one file, and images that look alike, within training, validation, and across.

    Of images that have a class each, copies in two classes, and those across training and validation.
    """
    # training first, so that an image of both is told as one of validation
    ordered = sorted(parts, key=lambda part: part.validation)
    images = [Image(part, int(index)) for part in ordered for index in np.flatnonzero(part.looks.usable)]
    if not images:
        return []
    digests = [image.part.looks.digests[image.number] for image in images]
    prints = np.array([image.part.looks.fingerprints[image.number] for image in images], np.uint64)
    blank = [image.part.looks.blank[image.number] for image in images]
    groups = alike(prints).tolist()
    # blank images are told of as such; where most images are alike, as drawings on white paper are, likeness says nothing
    useless = len(images) > _ALL_ALIKE and max(Counter(groups).values()) > len(images) / 2
    signs = [(group, place if useless or bare else -1) for place, (group, bare) in enumerate(zip(groups, blank, strict=True))]
    texts = _TEXTS if isinstance(parts[0].dataset, DetectionDataset) else _TEXTS_OF_CLASSES
    return _told(_pairs(images, digests, signs), texts)


def later_copies(dataset: DetectionDataset, looks: Looks) -> NDArray[np.bool_]:
    """The images whose file's bytes are those of an earlier image of the data set, bool (M,)."""
    seen: set[bytes] = set()
    later = np.zeros(len(dataset), bool)
    for index, digest in enumerate(looks.digests):
        later[index] = digest in seen
        seen |= {digest} - {b""}
    return later


# of pairs that are one file, copies or alike, within a set or (True) across: kind, message and remedy
_Texts = Mapping[tuple[str, bool], tuple[str, str, str]]
_TEXTS: _Texts = {
    ("file", False): ("file-of-two-images", "{} images have the file of another", "keep one entry, with all objects"),
    ("file", True): ("file-in-train-and-val", "{} images of validation are in training", "split again: `resdet data split`"),
    ("digest", False): ("image-twice", "{} images are copies of another", fixes("image-twice", "removes them")),
    ("digest", True): (
        "image-in-train-and-val",
        "{} images of validation are copies of one in training",
        "split again: `resdet data split`",
    ),
    ("likeness", False): (
        "image-nearly-twice",
        "{} images look nearly like another, as frames of one video do",
        "`resdet data split` keeps them together",
    ),
    ("likeness", True): (
        "image-nearly-in-train-and-val",
        "{} images of validation look nearly like one in training, so that its numbers flatter",
        "split again: `resdet data split` keeps them together",
    ),
}
_ONE_PART = "keep each in one part alone"
_TEXTS_OF_CLASSES: _Texts = {
    ("class", False): ("image-in-two-classes", "{} images are copies of one in another class", "keep each in one class alone"),
    ("file", True): (*_TEXTS["file", True][:2], _ONE_PART),
    ("digest", True): (*_TEXTS["digest", True][:2], _ONE_PART),
    ("likeness", True): (*_TEXTS["likeness", True][:2], _ONE_PART),
}


def _pairs(
    images: Sequence[Image], digests: Sequence[bytes], groups: Sequence[object]
) -> dict[tuple[str, bool], list[tuple[Image, Image]]]:
    """Pairs of an image and an earlier one that it repeats, by how it does, and whether across training and validation."""
    first: dict[tuple[str, object, bool], Image] = {}
    pairs: dict[tuple[str, bool], list[tuple[Image, Image]]] = {}
    for image, digest, group in zip(images, digests, groups, strict=True):
        signs = {"file": image.file, "digest": digest, "likeness": group}
        validation = image.part.validation
        for across in (False, True):
            # the closest likeness explains the others
            for sign, value in signs.items():
                earlier = first.get((sign, value, validation != across))
                if earlier and not (across and not validation):
                    torn = sign != "likeness" and not across and earlier.label != image.label
                    pairs.setdefault(("class" if torn else sign, across), []).append((earlier, image))
                    break
        for sign, value in signs.items():
            first.setdefault((sign, value, validation), image)
    return pairs


def _told(pairs: Mapping[tuple[str, bool], list[tuple[Image, Image]]], texts: _Texts) -> list[Finding]:
    found = []
    for key, (kind, message, remedy) in texts.items():
        if some := pairs.get(key, []):
            earlier, image = some[0]
            where = f"{image.place} and {_short(earlier, image)}"
            found.append(Finding(kind, where, len(some), message.format(len(some)), remedy))
    return found


def _short(one: Image, other: Image) -> str:
    """The place of ``one``, by its name alone when it lies beside ``other``."""
    beside = one.part.dataset.path(one.number).parent == other.part.dataset.path(other.number).parent
    return one.place.replace(f"{Path(one.part.dataset.path(one.number)).parent}/", "", 1) if beside else one.place
