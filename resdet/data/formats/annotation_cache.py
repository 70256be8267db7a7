"""Keeps the contents of a large annotation file as arrays, so that the next run starts in a second instead of a minute.

A file of the cache belongs to one annotation file and the arguments it was read with. It is used when the annotation file's
content is still the same (SHA-256) and no image is missing; otherwise all is read again. The warnings of reading are kept with
the arrays and given again. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from resdet.data.convention import Convention
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import BoxWarning, is_keeping
from resdet.data.formats.file_names import missing_files
from resdet.files import NPZ_DAMAGE, atomic_write, sha256_of

_log = logging.getLogger(__name__)

_VERSION = 4  # raise it whenever a reader gives another result for the same file
_LARGE = 8 << 20  # bytes; reading a file of this size takes about a second
_PLAIN = ("names", "category_ids", "source", "convention")
_ARRAYS = tuple(field.name for field in fields(DetectionDataset) if field.name not in _PLAIN)


def cached(folder: Path, source: Path, arguments: Sequence[Any], read: Callable[[], DetectionDataset]) -> DetectionDataset:
    """The result of ``read``, loaded from ``folder`` when it was kept there. A small file is always read again.

    Args:
        folder: the folder of the cache, created when missing. When it cannot be written, nothing is kept.
        source: the annotation file.
        arguments: everything that the result depends on besides the file's content, as JSON values.
        read: the function that reads the file; its errors are passed on and not kept.
    """
    try:
        if source.stat().st_size < _LARGE or is_keeping():  # what is read to be mended is not for training
            return read()
        key = [_VERSION, sha256_of(source), *arguments]
    except OSError:
        return read()  # it raises the error that explains what is wrong with the file
    place = hashlib.sha256(json.dumps([str(source.absolute()), *arguments]).encode()).hexdigest()
    file = folder / f"{source.stem[:100]}-{place[:16]}.npz"
    kept = _load(file, key)
    if kept and not missing_files(kept[0].files.tolist()):
        dataset, given = kept
        _warn(given)
        return dataset
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            dataset = read()
        finally:
            given = [(str(warning.message), issubclass(warning.category, BoxWarning)) for warning in caught]
    _warn(given)
    _store(file, key, dataset, given)
    return dataset


def _warn(given: Sequence[tuple[str, bool]]) -> None:
    """Give warnings again: their texts, and whether they are of boxes."""
    for text, of_boxes in given:
        warnings.warn(text, BoxWarning if of_boxes else UserWarning, stacklevel=5)


def _load(file: Path, key: list[Any]) -> tuple[DetectionDataset, list[tuple[str, bool]]] | None:
    """The data set and the warnings in a cache file; None when the file is broken or does not belong to ``key``."""
    try:
        # opened here and not by numpy, because numpy leaves a damaged file open
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            about = json.loads(archive["about"].tobytes())
            if about["key"] != key:
                _log.info("%s: has changed since it was kept in %s, reading it again", about["plain"]["source"], file)
                return None
            plain: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in about["plain"].items()
            }
            plain["convention"] = Convention(*plain["convention"])
            return DetectionDataset(**plain, **{name: archive[name] for name in _ARRAYS}), about["warnings"]
    except FileNotFoundError:
        return None
    except NPZ_DAMAGE as error:
        _log.info("%s: cannot be read (%s), reading the annotations again", file, error)
        return None


def _store(file: Path, key: list[Any], dataset: DetectionDataset, given: list[tuple[str, bool]]) -> None:
    plain = {name: getattr(dataset, name) for name in _PLAIN}
    about = json.dumps({"key": key, "plain": plain, "warnings": given}).encode()
    arrays = {name: getattr(dataset, name) for name in _ARRAYS}

    def write(path: Path) -> None:
        with path.open("wb") as opened:
            np.savez(opened, about=np.frombuffer(about, dtype=np.uint8), **arrays)

    try:
        atomic_write(file, write)
    except OSError as error:
        _log.info("%s: cannot be kept in %s: %s", dataset.source, file.parent, error.strerror)
