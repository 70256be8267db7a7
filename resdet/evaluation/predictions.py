"""Predictions of classifiers on a data set: their file, and their average.

Legend: N images, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from resdet.errors import ConfigError, DataError
from resdet.files import NPZ_DAMAGE, atomic_write, regular
from resdet.wording import reason_of

Probabilities = npt.NDArray[np.float32]
_ARRAYS = {"probabilities": ("f", 2), "labels": ("i", 1), "names": ("U", 1), "files": ("U", 1)}  # kind of dtype, axes
_KINDS = {"f": "floating", "i": "integer", "U": "string"}


@dataclass(frozen=True, eq=False)
class Predictions:
    """The probabilities that a classifier, or several, gave to the classes of labelled images.

    Attributes:
        probabilities: float32 (N, K), rows summing to 1.
        labels: int64 (N,), the true classes, 0 … K-1.
        names: the K class names.
        files: the paths of the N images, relative to the data set's folder when they lie in it.
    """

    probabilities: Probabilities
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    files: tuple[str, ...]


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write an ``.npz`` file of the arrays ``probabilities``, ``labels``, ``names`` and ``files``, atomically."""
    arrays: dict[str, Any] = {
        "probabilities": predictions.probabilities.astype(np.float32, copy=False),
        "labels": predictions.labels.astype(np.int64, copy=False),
        "names": np.array(predictions.names, dtype=np.str_),
        "files": np.array(predictions.files, dtype=np.str_),
    }

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # numpy would add .npz to a name without it
            np.savez(file, **arrays)

    atomic_write(path, write)


def read_predictions(path: str | Path) -> Predictions:
    """Read what ``write_predictions`` wrote; no pickle is executed.

    Raises:
        ConfigError: when there is no such file.
        DataError: with every array that is missing or of another type or shape, and every value out of range.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such predictions file")
    try:
        with regular(path).open("rb") as opened, np.load(opened, allow_pickle=False) as content:
            found = {name: content[name] for name in _ARRAYS if name in content}
    except NPZ_DAMAGE as error:  # or no zip, a bare array (which is no context manager), pickles
        reason = reason_of(error)
        raise DataError(f"{path}: not an .npz file of predictions, or a damaged one: {reason}") from error
    arrays = {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
    if problems := [f"{path}: {problem}" for problem in _array_problems(arrays) or _value_problems(arrays)]:
        raise DataError(problems)
    return Predictions(
        arrays["probabilities"].astype(np.float32),
        arrays["labels"].astype(np.int64),
        tuple(arrays["names"].tolist()),
        tuple(arrays["files"].tolist()),
    )


def _array_problems(arrays: dict[str, npt.NDArray[Any]]) -> list[str]:
    problems = []
    for name, (kind, axes) in _ARRAYS.items():
        if name not in arrays:
            problems.append(f"array {name!r} is missing")
        elif arrays[name].dtype.kind != kind or arrays[name].ndim != axes:
            array = arrays[name]
            problems.append(f"array {name!r} must be {_KINDS[kind]} with {axes} axes, got {array.dtype} with {array.ndim} axes")
    return problems


def _value_problems(arrays: dict[str, npt.NDArray[Any]]) -> list[str]:
    probabilities, labels, names, files = (arrays[name] for name in _ARRAYS)
    images, classes = probabilities.shape
    if (len(labels), len(files), len(names)) != (images, images, classes) or not classes:
        got = f"{len(labels)} labels, {len(files)} files and {len(names)} names"
        return [f"array 'probabilities' {probabilities.shape} must be (images, classes) with a class at least, got {got}"]
    problems = []
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        problems.append(f"labels must be in 0 … {classes - 1}, got {labels.min()} … {labels.max()}")
    # NaN fails every comparison, so this form refuses it too
    good = (probabilities >= 0).all(1) & (np.abs(probabilities.sum(1, dtype=np.float64) - 1) <= 1e-3)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        problems.append(
            f"probabilities must be at least 0 and sum to 1 for each image, they do not for {int((~good).sum())} of {images} "
            f"({files[first]}: {shown(probabilities[first])})"
        )
    return problems


def shown(row: npt.NDArray[Any]) -> str:
    """The first numbers of a row, for messages."""
    return ", ".join(f"{value:g}" for value in row[:4].tolist()) + (", …" if len(row) > 4 else "")


def average_predictions(
    predictions: Sequence[Predictions], shares: Sequence[float] | None = None, sources: Sequence[str] | None = None
) -> Predictions:
    """The ensemble of several classifiers: the weighted mean of their probabilities (paper, section 4.1, table 5).

    The paper averages scores; we average the softmax probabilities.

    Args:
        predictions: one or more, with the same classes and images in the same order.
        shares: the weight of each, above 0, normalized to a sum of 1; equal ones when not given.
        sources: the name of each in messages.

    Raises:
        ConfigError: when the shares are too few, too many or out of range, or the classes differ.
        DataError: when the images or labels differ.
    """
    sources = sources or [f"predictions {index}" for index in range(len(predictions))]
    weights = normalized_shares(shares, len(predictions))
    first, *others = predictions
    for other, source in zip(others, sources[1:], strict=True):
        if difference := class_difference(other.names, first.names):
            raise ConfigError(f"{source}: {difference} in {sources[0]}")
        if difference := _image_difference(other, first):
            raise DataError(f"{source}: {difference} in {sources[0]}")
    total = np.zeros(first.probabilities.shape)
    for weight, each in zip(weights, predictions, strict=True):
        total += weight * each.probabilities
    return Predictions(total.astype(np.float32), first.labels, first.names, first.files)


def normalized_shares(shares: Sequence[float] | None, count: int) -> list[float]:
    """The weights of the ``count`` members of an ensemble, normalized to a sum of 1; equal weights when ``shares`` is None.

    Raises:
        ConfigError: when they are not ``count`` finite numbers above 0.
    """
    if shares is None:
        return [1 / count] * count
    if len(shares) != count or not all(0 < share < math.inf for share in shares):
        given = ", ".join(f"{share:g}" for share in shares) or "none"
        raise ConfigError(f"shares must be one number above 0 for each of {count} members, got {given}")
    return [share / math.fsum(shares) for share in shares]


def class_difference(names: Sequence[str], expected: Sequence[str]) -> str | None:
    """``"class 3 is 'cat', but 'dog'"`` or ``"10 classes, but 1000"``; None when the names are the same in the same order."""
    for label, (name, wanted) in enumerate(zip(names, expected, strict=False)):
        if name != wanted:
            return f"class {label} is {name!r}, but {wanted!r}"
    return None if len(names) == len(expected) else f"{len(names)} classes, but {len(expected)}"


def _image_difference(predictions: Predictions, expected: Predictions) -> str | None:
    if len(predictions.files) != len(expected.files):
        return f"{len(predictions.files)} images, but {len(expected.files)}"
    for index, (file, wanted) in enumerate(zip(predictions.files, expected.files, strict=True)):
        if file != wanted:
            return f"image {index} is {file}, but {wanted}"
    for index in np.flatnonzero(predictions.labels != expected.labels)[:1].tolist():
        label, wanted_label = predictions.labels[index], expected.labels[index]
        return f"the label of {predictions.files[index]} is {label}, but {wanted_label}"
    return None
