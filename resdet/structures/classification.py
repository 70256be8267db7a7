"""The result of a classifier for an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, overload

from PIL import Image

from resdet.structures.showing import ROWS, as_html, as_text, known_picture, named, png_bytes, rest


class ClassScore(NamedTuple):
    """One class that an image may show.

    Attributes:
        name: the name of the class.
        score: the probability of the class, in [0, 1].
    """

    name: str
    score: float


@dataclass(frozen=True, repr=False)
class Classification(Sequence[ClassScore]):
    """The best classes of one image: a sequence of ``ClassScore``, best first.

    Attributes:
        labels: the label of each class, 0 … K-1, indices into ``names``.
        scores: the score of each class, a probability in [0, 1].
        names: the K class names.
        image_id: the path of a file, or the number of a video's frame, from 0.
        path: the file of the picture or video, "" where there is none.
        image: the picture, when it came from memory or from a video and no file holds it.
    """

    labels: tuple[int, ...]
    scores: tuple[float, ...]
    names: tuple[str, ...]
    image_id: int | str = 0
    path: str = ""
    image: Image.Image | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, key: int) -> ClassScore: ...
    @overload
    def __getitem__(self, key: slice) -> Classification: ...
    def __getitem__(self, key: int | slice) -> ClassScore | Classification:
        if isinstance(key, slice):
            return replace(self, labels=self.labels[key], scores=self.scores[key])
        return ClassScore(self.names[self.labels[key]], self.scores[key])

    def _title(self) -> str:
        return named(self.path, self.image_id)

    def _cells(self) -> list[list[str]]:
        return [[name, f"{score:.3f}"] for name, score in self[:ROWS]]

    def __repr__(self) -> str:
        parts = [f"{name} {score}" for name, score in self._cells()] + rest(len(self))
        return f"Classification({self._title()}: {', '.join(parts)})"

    def __str__(self) -> str:
        return as_text(self._title(), self._cells(), len(self))

    def _repr_html_(self) -> str:
        return as_html(self._title(), ["name", "score"], self._cells(), len(self), self._repr_png_())

    def _repr_png_(self) -> bytes | None:
        picture = known_picture(self.image, self.path)
        return None if picture is None else png_bytes(picture)
