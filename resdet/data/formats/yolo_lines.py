"""The lines of YOLO's label files: a class and a box, or what other programs and tasks write in their place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from resdet.data.finding import fixes
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.readings import NO_FRACTION
from resdet.files import read_text

_NO_FRACTIONS = "must hold fractions of the image's sides (values above 1: pixels?)"


@dataclass
class LineReader:
    """Reads the lines of all label files of a data set, and counts equal mistakes under their first place.

    Attributes:
        classes: how many classes there are; None where that is not known.
        keypoints: how many numbers the keypoints of a line are, 0 for none.
        builder: gets the notes.
        highest: the highest class index read so far, -1 before the first.
    """

    classes: int | None
    keypoints: int
    builder: DatasetBuilder
    highest: int = -1
    _wrong: dict[str, tuple[str, int]] = field(default_factory=dict)

    def read(self, line: str, where: str) -> tuple[int, tuple[float, float, float, float]] | None:
        """The class index, and centre x, y, width and height in fractions of the sides; None for a line that is wrong."""
        try:
            first, *fractions = map(float, line.split())
        except ValueError:
            first, fractions = math.nan, []
        wrong = self._mistake(line, first, fractions)
        if wrong:
            text, count = self._wrong.get(wrong, (f"{where}: {wrong}, got {line.strip()!r:.80}", 0))
            self._wrong[wrong] = (text, count + 1)
            return None
        if not line.split(maxsplit=1)[0].isdecimal():
            self.builder.note("lines have a class that is written as a fraction (0.0 for 0)", where)
        self.highest = max(self.highest, int(first))
        return int(first), self._box(fractions, where)

    def problems(self) -> list[str]:
        """A line for each kind of mistake: its first place, and how many more there are."""
        remedy = {_NO_FRACTIONS: f"; {fixes('boxes-as-pixels', 'makes them fractions')}"}
        return [
            text + (f" (and {count - 1} more like it)" if count > 1 else "") + remedy.get(wrong, "")
            for wrong, (text, count) in self._wrong.items()
        ]

    def _mistake(self, line: str, first: float, fractions: list[float]) -> str:
        """What is wrong with the numbers of a line; "" for nothing."""
        classes = f"a class from 0 to {self.classes - 1}" if self.classes is not None else "a class from 0 on"
        rule = f"must be 'class x y width height', {classes} and four numbers"
        count = len(fractions)
        if count < 4 or not line.isascii() or "_" in line:  # which Python reads as numbers too
            return rule
        if not first.is_integer() or not 0 <= first < (math.inf if self.classes is None else self.classes):
            return f"{rule} (class {line.split(maxsplit=1)[0][:20]})" if first.is_integer() else rule
        if count == 4 + self.keypoints:
            pass
        elif count == 5 and not 0 <= fractions[4] <= 1:
            return f"{rule} (6 numbers: a confidence? it must lie from 0 to 1)"
        elif count > 5 and count % 2:
            return f"{rule} ({count + 1} numbers: a polygon? its coordinates must come in pairs)"
        if math.inf > max(fractions[:2]) > NO_FRACTION and not self.builder.keeping:
            return _NO_FRACTIONS
        return ""

    def _box(self, fractions: list[float], where: str) -> tuple[float, float, float, float]:
        count = len(fractions)
        if count == 4 + self.keypoints or count == 4:
            if count > 4:
                self.builder.note("lines have keypoints, which are left out", where)
        elif count == 5:
            self.builder.note("lines have a sixth number, taken for a confidence and left out", where)
        else:
            what = "turned boxes or polygons of 4 corners" if count == 8 else "polygons"
            self.builder.note(f"lines are {what}, read as the boxes around them", where)
            left, right = min(fractions[::2]), max(fractions[::2])
            top, bottom = min(fractions[1::2]), max(fractions[1::2])
            return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        x, y, width, height = fractions[:4]
        return x, y, width, height


def read_lines(path: Path, problems: list[str]) -> list[str]:
    """The lines of a label file; none where there is no file, or where it cannot be read, which is added to ``problems``."""
    try:
        return read_text(path).splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")
        return []
