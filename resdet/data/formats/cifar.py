"""CIFAR-10 and CIFAR-100 in their two official layouts.

The binary layout has records of label bytes and 3072 pixel bytes; the Python layout has pickles, which are not executed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resdet.data.formats.annotations import class_mismatch
from resdet.data.shared import SharedArrays
from resdet.errors import DataError
from resdet.files import regular
from resdet.pickles.read import read_pickle

_PIXELS = 3 * 32 * 32
# the training images in the official order, and where the paper's part for choosing begins (section 4.2)
_TRAINING_IMAGES, _CHOOSING = 50_000, 45_000
_PARTS = {"train45k": slice(None, _CHOOSING), "val5k": slice(_CHOOSING, None)}


@dataclass(frozen=True)
class _Kind:
    """One of the two data sets: its files, and where the label is."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    binary_suffix: str
    binary_names: str
    label_bytes: int
    python_names: tuple[str, str]
    python_labels: str


_KINDS = {
    "cifar10": _Kind(
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test=("test_batch",),
        binary_suffix=".bin",
        binary_names="batches.meta.txt",
        label_bytes=1,
        python_names=("batches.meta", "label_names"),
        python_labels="labels",
    ),
    # two label bytes, of which the second is the fine label
    "cifar100": _Kind(
        train=("train",),
        test=("test",),
        binary_suffix=".bin",
        binary_names="fine_label_names.txt",
        label_bytes=2,
        python_names=("meta", "fine_label_names"),
        python_labels="fine_labels",
    ),
}


@dataclass(frozen=True, eq=False)
class CifarDataset(SharedArrays):
    """32 x 32 images in memory.

    Attributes:
        names: K class names, in label order.
        pixels: uint8 (M, 3, 32, 32), RGB.
        labels: int64 (M,), 0 … K-1.
        root: the folder they were read from.
    """

    names: tuple[str, ...]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    root: Path

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> Path:
        """The folder and the image's number in it, for messages."""
        return Path(f"{self.root}#{index}")

    def label(self, index: int) -> int:
        """The image's label, 0 … K-1."""
        return int(self.labels[index])

    def load(self, index: int) -> Image.Image:
        """The image, RGB."""
        rows = self.pixels[index].transpose(1, 2, 0).tobytes()
        return Image.frombytes("RGB", (32, 32), rows)

    def encoded(self, index: int) -> None:  # noqa: ARG002
        """None: the images have no files of their own."""
        return None  # noqa: RET501


def read_cifar(root: str | Path, split: str, kind: str = "cifar10", names: Sequence[str] | None = None) -> CifarDataset:
    """Read ``split`` of ``kind`` ("cifar10" or "cifar100") from the folder of its official batches.

    Args:
        root: the folder that holds ``data_batch_1`` or ``data_batch_1.bin`` (CIFAR-100: ``train`` or ``train.bin``) and so on.
        split: "train" or "test"; "train45k" or "val5k": of 50,000 training images the first 45,000 in the official order, or
            the last 5,000.
        kind: which data set.
        names: class names in label order; the data set's own when not given.

    Raises:
        DataError: with every file that is missing, of a wrong size, or holds a label out of range or anything but arrays; when
            a part is asked for of other than 50,000 training images.
    """
    root, layout = Path(root), _KINDS[kind]
    stems = layout.test if split == "test" else layout.train
    binary = (root / f"{stems[0]}{layout.binary_suffix}").is_file()
    read: Callable[[Path, _Kind], tuple[NDArray[np.uint8], NDArray[np.int64]]] = _read_binary if binary else _read_python
    problems: list[str] = []
    parts = []
    found: list[str] = []
    try:
        found = _binary_names(root / layout.binary_names) if binary else _python_names(root, layout)
    except DataError as error:
        problems += error.problems
    for stem in stems:
        path = root / (f"{stem}{layout.binary_suffix}" if binary else stem)
        try:
            pixels, labels = read(path, layout)
        except DataError as error:
            problems += error.problems
            continue
        if found and (labels.min() < 0 or labels.max() >= len(found)):
            problems.append(f"{path}: labels must be 0 … {len(found) - 1}, got {labels.min()} … {labels.max()}")
        parts.append((pixels, labels))
    names = found if names is None else list(names)
    problems += [f"{root}: {problem}" for problem in class_mismatch(found, names)]
    if problems:
        raise DataError(problems)
    order = np.array([names.index(name) for name in found])
    pixels, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    if split in _PARTS:
        if len(labels) != _TRAINING_IMAGES:
            raise DataError(f"{root}: {split} is a part of {_TRAINING_IMAGES} training images, got {len(labels)}")
        pixels, labels = pixels[_PARTS[split]], labels[_PARTS[split]]
    return CifarDataset(tuple(names), pixels, order[labels], root)


def _read_bytes(path: Path) -> bytes:
    try:
        return regular(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _read_binary(path: Path, layout: _Kind) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = _read_bytes(path)
    record = layout.label_bytes + _PIXELS
    if not content or len(content) % record:
        raise DataError(f"{path}: must be records of {record} bytes, got {len(content)} bytes")
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return rows[:, layout.label_bytes :].reshape(-1, 3, 32, 32), rows[:, layout.label_bytes - 1].astype(np.int64)


def _binary_names(path: Path) -> list[str]:
    names = _read_bytes(path).decode("utf-8", errors="replace").split()
    if not names:
        raise DataError(f"{path}: must hold the class names, one a line, got none")
    return names


def _read_python(path: Path, layout: _Kind) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = _unpickle(path)
    data, labels = content.get("data"), content.get(layout.python_labels)
    if not isinstance(data, np.ndarray) or not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{path}: must hold an array 'data' and a list of integers {layout.python_labels!r}")
    if not labels:
        raise DataError(f"{path}: is not a CIFAR batch: it holds no image")
    if (data.dtype, data.shape) != (np.uint8, (len(labels), _PIXELS)) or not data.flags.c_contiguous:
        raise DataError(f"{path}: 'data' must be bytes of shape {(len(labels), _PIXELS)}, one row a label")
    if not all(-(2**63) <= label < 2**63 for label in labels):
        raise DataError(f"{path}: is not a CIFAR batch: a label has more than 64 bits")
    return data.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)


def _python_names(root: Path, layout: _Kind) -> list[str]:
    file, key = layout.python_names
    names = _unpickle(root / file).get(key)
    if not isinstance(names, list) or not names or not all(isinstance(name, (str, bytes)) for name in names):
        raise DataError(f"{root / file}: must hold a list of class names {key!r}")
    # Python 2's strings of bytes come as Latin-1
    found = [name if isinstance(name, bytes) else name.encode("latin-1", errors="replace") for name in names]
    return [name.decode("utf-8", errors="replace") for name in found]


def _unpickle(path: Path) -> dict[str, Any]:
    """The dict of a batch, with keys of text whether they were written as text or as bytes."""
    try:
        content = read_pickle(path)
    except DataError as error:
        reason = str(error).removeprefix(f"{path}: ")
        if reason.startswith("cannot be read: "):
            raise
        raise DataError(f"{path}: is not a CIFAR batch: {reason}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: is not a CIFAR batch: must hold a dict, got {type(content).__name__}")
    return {key.decode("latin-1") if isinstance(key, bytes) else str(key): value for key, value in content.items()}
