"""Findings about classes."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import DetectionDataset
from resdet.data.finding import Finding, fixes
from resdet.data.formats.folder import FileDataset

_TIMES = 10  # a class is rare that has so many times fewer objects than the commonest
_LONG = 6  # letters; shorter words that differ by a letter are often two words: cat, car
_SPLIT = "split again: `resdet data split`"
_ROMAN = re.compile("[ivx]+")
_BACKGROUND = ("background", "bg", "backgroundclass")


def name_findings(dataset: DetectionDataset) -> list[Finding]:
    """Findings about the class names of a data set."""
    return [*_alike_names(dataset.names, dataset.source, fixes("class-names-same", "joins them")), *_background(dataset)]


def balance_findings(dataset: DetectionDataset) -> list[Finding]:
    """Classes of which there is little to learn from beside the commonest one, for a training set."""
    remedy = "data.repeat_thresh=0.1 shows the images of rare classes more often"
    return _rare(dataset.names, object_counts(dataset), "objects", dataset.source, remedy)


def labelled_findings(train: FileDataset, val: FileDataset | None) -> list[Finding]:
    """Findings about the classes of whole images: names that are alike, rare classes, and those that validation lacks."""
    counts, source = image_counts(train), _folder(train)
    found = [
        *_alike_names(train.names, source, "give them one name, in one folder or in the list"),
        *_rare(train.names, counts, "images", source, "add images of rare classes, or leave these out"),
    ]
    missing = np.flatnonzero((image_counts(val) == 0) & (counts > 0)).tolist() if val else []
    if val and missing:
        names = [train.names[label] for label in missing]
        message = (
            f"{len(names)} of {len(train.names)} classes have no image in validation, which measures nothing ({_listed(names)})"
        )
        place = str(train.path(int(np.flatnonzero(train.labels == missing[0])[0])))
        found.append(Finding("class-only-in-train", place, len(names), message, "move some images there"))
    return found


def _folder(dataset: FileDataset) -> str:
    """The folder that has images of all classes in it."""
    firsts = [dataset.path(int(index)).parent for index in np.unique(dataset.labels, return_index=True)[1]]
    try:
        return os.path.commonpath(firsts)
    except ValueError:  # on several drives
        return str(firsts[0])


def image_counts(dataset: FileDataset) -> NDArray[np.int64]:
    """int64 (K,): the images of each class."""
    counts: NDArray[np.int64] = np.bincount(dataset.labels, minlength=len(dataset.names))
    return counts


def _rare(names: Sequence[str], counts: NDArray[np.int64], what: str, source: str, remedy: str) -> list[Finding]:
    rare = [int(label) for label in np.argsort(counts, kind="stable") if 0 < counts[label] * _TIMES <= counts.max()]
    if not rare:
        return []
    common = int(counts.argmax())
    shown = ", ".join(f"{names[label]!r} {counts[label]}" for label in rare[:5]) + ", …" * (len(rare) > 5)
    message = f"{len(rare)} classes have {_TIMES} times fewer {what} than {names[common]!r} ({counts[common]}): {shown}"
    return [Finding("class-imbalance", source, len(rare), message, remedy)]


def unused_findings(train: DetectionDataset | None, val: DetectionDataset | None) -> list[Finding]:
    """Classes that no object is of: in neither set, in validation alone, and, worst, in training alone.

    Args:
        train: the training set; None where there is none.
        val: the validation set, of the same class names; None where there is none.
    """
    one = train or val
    if one is None:
        return []
    learnt, asked = (np.ones(len(one.names), int) if part is None else object_counts(part) for part in (train, val))
    nowhere = (learnt == 0) & (asked == 0) if train and val else (learnt == 0) | (asked == 0)
    found = []
    # a set without any object is told of by its images
    for kind, labels, text, remedy in (
        ("class-without-objects", nowhere, "have no object", "leave them out, or label some"),
        ("class-only-in-val", (learnt == 0) & ~nowhere, "have objects in validation and none in training", _SPLIT),
        ("class-only-in-train", (asked == 0) & ~nowhere, "have no object in validation, so that nothing is measured", _SPLIT),
    ):
        names = [one.names[label] for label in np.flatnonzero(labels).tolist()]
        if names and len(names) < len(one.names):
            source = val.source if val and kind != "class-without-objects" else one.source
            message = f"{len(names)} of {len(one.names)} classes {text} ({_listed(names)})"
            found.append(Finding(kind, source, len(names), message, remedy))
    return found


def declared_findings(dataset: DetectionDataset, description: str) -> list[Finding]:
    """The number of classes that a data.yaml of YOLO's gives as ``nc``, against its names.

    Args:
        dataset: the data set, its names those of the yaml.
        description: the yaml's text.
    """
    declared = re.search(r"^nc\s*:\s*(\d{1,9})\s*(?:#.*)?$", description, re.MULTILINE)
    if declared is None or int(declared[1]) == len(dataset.names):
        return []
    message = f"'nc' is {declared[1]}, and there are {len(dataset.names)} names"
    return [Finding("class-count", dataset.source, 1, message, "correct whichever is wrong: the names are what is used")]


def class_counts(dataset: DetectionDataset | FileDataset) -> dict[str, int]:
    """The class names, in label order, with the number of their objects or images; equal names are one."""
    counts: dict[str, int] = {}
    numbers = object_counts(dataset) if isinstance(dataset, DetectionDataset) else image_counts(dataset)
    for name, count in zip(dataset.names, numbers.tolist(), strict=True):
        counts[name] = counts.get(name, 0) + count
    return counts


def object_counts(dataset: DetectionDataset) -> NDArray[np.int64]:
    """int64 (K,): the objects of each class, without crowds."""
    counts: NDArray[np.int64] = np.bincount(dataset.labels[~dataset.crowd], minlength=len(dataset.names))
    return counts


def same_names(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of labels whose names differ only in case, spaces or signs that part words."""
    plain = [_plain(name) for name in names]
    return [(a, b) for a, b in itertools.combinations(range(len(names)), 2) if plain[a] == plain[b]]


def similar_names(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of labels whose names differ by a plural or a letter, and not in the way of ``same_names``."""
    plain = [_plain(name) for name in names]
    pairs = itertools.combinations(range(len(names)), 2)
    return [
        (a, b) for a, b in pairs if plain[a] != plain[b] and _similar(plain[a], plain[b]) and not _counted(names[a], names[b])
    ]


def _alike_names(names: Sequence[str], source: str, join: str) -> list[Finding]:
    """Findings about names that are alike; ``join`` says how those that differ in case become one."""
    found = []
    slip = "if they are one class, rename one in the files"
    for kind, pairs, text, remedy in (
        ("class-names-same", same_names(names), "only in case, spaces or signs", join),
        ("class-names-similar", similar_names(names), "by a letter or two: a slip?", slip),
    ):
        if pairs:
            a, b = (names[label] for label in pairs[0])
            message = f"{len(pairs)} pairs of classes have names that differ {text} ({a!r}, {b!r})"
            found.append(Finding(kind, source, len(pairs), message, remedy))
    return found


def _background(dataset: DetectionDataset) -> list[Finding]:
    labels = [label for label, name in enumerate(dataset.names) if _plain(name) in _BACKGROUND]
    if not labels:
        return []
    message = f"{dataset.names[labels[0]]!r} is a class of the files; the network has a background of its own"
    remedy = "remove the class: a place without a box is background"
    return [Finding("class-background", dataset.source, len(labels), message, remedy)]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown}, …"


def _plain(name: str) -> str:
    """A name, small, without what only parts its words; what tells classes apart, as A+ and A-, 1.1 and 11, stays."""
    name = unicodedata.normalize("NFC", name.strip())
    if len(name) == 1:
        return name  # a and A are two letters
    name = re.sub(r"(?<=\d)[\s_.,:;/-]+(?=\d)", ".", name.casefold())
    name = re.sub(r"[\s_,:;'\"()\[\]]+", "", name)
    return re.sub(r"(?<=[^\W\d])[.-]+(?=\w)|(?<=\w)[.-]+(?=[^\W\d])|\.+$", "", name)


def _counted(a: str, b: str) -> bool:
    """Whether two names differ in a word that is a lone letter or a Roman number, as those of a row of classes do."""
    pairs = [(x, y) for x, y in itertools.zip_longest(_words(a), _words(b), fillvalue="") if x != y]
    return len(pairs) == 1 and (all(len(word) == 1 for word in pairs[0]) or all(map(_ROMAN.fullmatch, pairs[0])))


def _words(name: str) -> list[str]:
    """The words of a name, small; TypeA are two."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())


def _similar(a: str, b: str) -> bool:
    """Whether two words differ by a final s or es, or, when long, by one letter, or by two neighbours that changed places."""
    short, long = sorted((a, b), key=len)
    if len(short) >= 3 and long in (f"{short}s", f"{short}es"):
        return True
    if len(short) < _LONG or len(long) - len(short) > 1 or re.sub(r"\D", "", a) != re.sub(r"\D", "", b):
        return False
    first = next((place for place, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    rest, other = short[first:], long[first:]
    swapped = rest[:2] == other[:2][::-1] and rest[2:] == other[2:]
    return swapped or (rest if len(short) < len(long) else rest[1:]) == other[1:]
