"""Boxes that readers refuse, for they end before they begin or lie wholly outside: one cause is one line, with a count."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from resdet.data.convention import Convention
from resdet.data.finding import fixes
from resdet.data.formats.misread import misread_part
from resdet.data.formats.readings import Boxes, Sizes, mistaken, reversed_boxes

Box = tuple[float, float, float, float]
_HOW = {"box-reversed": "turns them round", "box-wholly-outside": "removes them"}


@dataclass
class WrongBoxes:
    """Collects the wrong boxes of one source.

    Attributes:
        convention: how its files hold boxes.
        fixable: ``data fix`` takes data of its format.
    """

    convention: Convention
    fixable: bool
    _rows: list[tuple[str, str, Box, int]] = field(default_factory=list)  # kind, what is told, box and image

    def add_reversed(self, text: str, box: Box, image: int) -> None:
        """Add a box that ends before it begins; ``text`` tells of it, with its place."""
        self._rows.append(("box-reversed", text, box, image))

    def add_outside(self, text: str, box: Box, image: int) -> None:
        """Add a box that has no part in its image."""
        self._rows.append(("box-wholly-outside", text, box, image))

    def problems(self, boxes: Boxes, owners: NDArray[np.int64], image_sizes: Sizes) -> list[str]:
        """A line for each cause: another convention, of all boxes or of some images', or single mistakes of a kind.

        Args:
            boxes: (N, 4), the boxes that are not wrong.
            owners: (N,), the numbers of their images.
            image_sizes: (M, 2), width and height of all images.
        """
        if not self._rows:
            return []
        boxes = np.concatenate([boxes, [box for _, _, box, _ in self._rows]])
        owners = np.concatenate([owners, [image for *_, image in self._rows]])
        sizes = image_sizes[owners]
        if not self.convention.centred and any(kind == "box-reversed" for kind, *_ in self._rows):
            reading = reversed_boxes(boxes, sizes, cornered=self.convention.cornered)
        else:
            reading = mistaken(boxes, sizes, centred=self.convention.centred)
        part = misread_part(boxes, sizes, owners, self.convention)
        if reading is not None and (part is None or reading.kind != "box-reversed"):  # which fits anything
            fits = f"all {len(boxes)} boxes lie inside when read as {reading.text}"
            return [f"{self._rows[0][1]}; {fits}: {self._remedy(reading.kind)}"]
        explained = part.astray[-len(self._rows) :].tolist() if part else [False] * len(self._rows)
        lines = []
        if part and any(explained):
            first = next(text for (_, text, *_), known in zip(self._rows, explained, strict=True) if known)
            lines = [f"{first}; {part.told}: {self._remedy(part.reading.kind)}"]
        for kind, how in _HOW.items():
            texts = [text for (own, text, *_), known in zip(self._rows, explained, strict=True) if own == kind and not known]
            more = f" (and {len(texts) - 1} more like it)" if len(texts) > 1 else ""
            remedy = f"; {fixes(kind, how)}" if self.fixable else ""
            lines += [f"{texts[0]}{more}{remedy}"] if texts else []
        return lines

    def _remedy(self, kind: str) -> str:
        usual = "left, top, right, bottom" if self.convention.cornered else "x, y, width, height in pixels"
        usual = "centre and size" if self.convention.centred else usual
        return f"write them as {usual}" + (f", or {fixes(kind, 'does')}" if self.fixable else "")
