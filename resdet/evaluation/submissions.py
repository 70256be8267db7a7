"""Submission files of ILSVRC's localization task: Kaggle's table, and the text of the ILSVRC server.

In both a guess is ``class xmin ymin xmax ymax``: a number from 1 on, then whole pixels counted from 0, the last one included.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from resdet.data.formats.table import read_csv
from resdet.errors import DataError
from resdet.evaluation.localization import GUESSES, Guesses, Localization
from resdet.files import read_text, write_csv, write_text

_COLUMNS = ("ImageId", "PredictionString")
_RULE = "must be 'class xmin ymin xmax ymax', again and again"


def write_kaggle(path: str | Path, images: Sequence[str], found: Sequence[Localization], class_ids: Sequence[int]) -> None:
    """Write Kaggle's table, columns ``ImageId,PredictionString``, atomically.

    Args:
        path: the CSV file.
        images: the ImageIds: names of the image files without their suffix.
        found: the output for each image; the PredictionString is empty for an image without guesses.
        class_ids: the number of each label.
    """
    rows = ([name, _line(each, class_ids)] for name, each in zip(images, found, strict=True))
    write_csv(path, _COLUMNS, rows, exact=True)


def write_ilsvrc(path: str | Path, images: Sequence[str], found: Sequence[Localization], class_ids: Sequence[int]) -> None:
    """Write the server's text, one line an image in the alphabetical order of ``images``, atomically; see ``write_kaggle``."""
    lines = [_line(each, class_ids) for _, each in sorted(zip(images, found, strict=True), key=lambda pair: pair[0])]
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_submission(
    path: str | Path, images: Sequence[str], names: Sequence[str], class_ids: Sequence[int]
) -> list[Localization]:
    """Read a submission file: Kaggle's table when its name ends in ``.csv``, else the server's text.

    Args:
        path: the file.
        images: the ImageIds of the data set; the table must hold each once, the text as many lines.
        names: the class names, by label; the table may hold names instead of numbers.
        class_ids: the number of each label.

    Returns:
        What was found in each of ``images``: at most five guesses, as the server ignores more, and boxes in continuous pixels.

    Raises:
        DataError: with every problem: images that are unknown, missing or named twice, broken lines, unknown classes, boxes
            that are not finite or reversed.
    """
    path = Path(path)
    problems: list[str] = []
    lines = _table(path, images, problems) if path.suffix.lower() == ".csv" else _text(path, images, problems)
    labels = {str(number): label for label, number in enumerate(class_ids)} | {name: label for label, name in enumerate(names)}
    found = [Localization(_guesses(*lines[name], labels, problems)) if name in lines else Localization() for name in images]
    if problems:
        raise DataError(problems)
    return found


def read_class_ids(path: str | Path, names: Sequence[str]) -> list[int]:
    """The number of each class in submission files: the line, from 1, of a file that starts with its name.

    Raises:
        DataError: when the file cannot be read, names a class twice, or lacks one.
    """
    path = Path(path)
    try:
        words = [line.split()[0] if line.split() else "" for line in read_text(path).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    numbers: dict[str, int] = {}
    problems: list[str] = []
    for number, word in enumerate(words, 1):
        if numbers.setdefault(word, number) != number and word:
            problems.append(f"{path}: line {number}: {word} has a line already")
    problems += [f"{path}: has no line for class {name!r}" for name in names if name not in numbers]
    if problems:
        raise DataError(problems)
    return [numbers[name] for name in names]


def _line(found: Localization, class_ids: Sequence[int]) -> str:
    if found.guesses is None:
        return ""
    words: list[int] = []
    for label, (x1, y1, x2, y2) in zip(found.guesses.labels[:GUESSES].tolist(), found.guesses.boxes.tolist(), strict=False):
        xmin, ymin = max(0, round(x1)), max(0, round(y1))
        words += [class_ids[label], xmin, ymin, max(xmin, round(x2) - 1), max(ymin, round(y2) - 1)]
    return " ".join(map(str, words))


def _table(path: Path, images: Sequence[str], problems: list[str]) -> dict[str, tuple[str, str]]:
    """ImageId -> (where it stands, its guesses)."""
    lines: dict[str, tuple[str, str]] = {}
    known = set(images)
    for number, (name, prediction) in read_csv(path, _COLUMNS, problems):
        where = f"{path}: line {number}"
        if name not in known:
            problems.append(f"{where}: image {name!r} is not in the data set")
        elif name in lines:
            problems.append(f"{where}: {name} has a line already")
        else:
            lines[name] = (where, prediction)
    if missing := [name for name in images if name not in lines]:
        problems.append(f"{path}: has no line for {len(missing)} of {len(images)} images, the first: {missing[0]}")
    return lines


def _text(path: Path, images: Sequence[str], problems: list[str]) -> dict[str, tuple[str, str]]:
    """ImageId -> (where it stands, its guesses)."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if len(lines) != len(images):
        problems.append(f"{path}: must have one line for each of {len(images)} images, got {len(lines)}")
    numbered = ((f"{path}: line {number}", line) for number, line in enumerate(lines, 1))
    return dict(zip(sorted(images), numbered, strict=False))


def _guesses(where: str, text: str, labels: dict[str, int], problems: list[str]) -> Guesses:
    words = text.split()
    found: list[int] = []
    boxes: list[list[float]] = []
    if len(words) % 5:
        problems.append(f"{where}: {_RULE}, got {len(words)} words")
    for first in range(0, min(len(words) // 5, GUESSES) * 5, 5):
        name, *corners = words[first : first + 5]
        try:
            xmin, ymin, xmax, ymax = map(float, corners)
        except ValueError:
            problems.append(f"{where}: {_RULE}, got {' '.join(words[first : first + 5])!r:.60}")
            continue
        if name not in labels:
            problems.append(f"{where}: unknown class {name!r}")
        # NaN fails every comparison, so this form refuses it too
        elif not (xmin <= xmax < float("inf") and ymin <= ymax < float("inf")):
            problems.append(f"{where}: a box must be finite, with xmin <= xmax and ymin <= ymax, got {' '.join(corners)}")
        else:
            found.append(labels[name])
            boxes.append([xmin, ymin, xmax + 1, ymax + 1])
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Guesses(torch.tensor(found, dtype=torch.int64), rows)
