"""The result of a detector for an image.

Legend: N objects; boxes float32 (N, 4) ``xyxy`` in pixels; labels int64 (N,) in 0 … K-1.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resdet.errors import ConfigError, did_you_mean
from resdet.ops.boxes import scale_boxes, xyxy_to_xywh
from resdet.ops.precision import in_float64
from resdet.structures.choosing import chosen_rows, one_or_more, same_fields, share_problems
from resdet.structures.drawing import class_color, draw_boxes
from resdet.structures.pictures import ImageInput, to_image
from resdet.structures.showing import ROWS, as_html, as_text, known_picture, named, png_bytes

if TYPE_CHECKING:
    import pandas as pd
    import supervision


_DRAWN = 1000  # objects of a picture in a notebook, the best; more cover it


class Detection(NamedTuple):
    """One object that was found.

    Attributes:
        box: (x1, y1, x2, y2), pixels of the original image.
        score: the score, in [0, 1].
        label: the label, 0 … K-1.
        name: the name of the class; the label as text when no names are known.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    name: str


@dataclass(frozen=True, repr=False, eq=False)
class Detections:
    """The objects that a detector found in one image, best score first.

    ``len``, iteration, ``[i]``, slices and masks work as on a list of ``Detection``; a slice or a mask gives ``Detections``.

    Attributes:
        boxes: float32 (N, 4) ``xyxy``, pixels of the original image.
        scores: float32 (N,), probabilities in [0, 1].
        labels: int64 (N,), 0 … K-1, indices into ``names``.
        size: (height, width) in pixels of the original image.
        names: the K class names.
        image_id: the data set's id of the image, the path of a file, or the number of a video's frame, from 0.
        path: the file of the picture or video, "" where there is none.
        image: the picture, when it came from memory or from a video and no file holds it.

    Raises:
        ValueError: from the constructor, when the lengths differ or labels are no whole numbers.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    size: tuple[int, int]
    names: Sequence[str] = ()
    image_id: int | str = 0
    path: str = ""
    image: Image.Image | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        kinds = [type(each).__name__ for each in (self.boxes, self.scores, self.labels) if not isinstance(each, Tensor)]
        if kinds:
            raise TypeError(f"Detections needs boxes, scores and labels as tensors, got {' and '.join(kinds)}")
        if self.labels.is_floating_point():
            raise ValueError(f"Detections needs labels that are whole numbers, got {self.labels.dtype}")
        count = self.scores.numel()
        if self.boxes.shape != (count, 4) or self.scores.ndim != 1 or self.labels.shape != (count,):
            raise ValueError(
                f"Detections needs boxes (N, 4), scores (N,) and labels (N,), got {tuple(self.boxes.shape)}, "
                f"{tuple(self.scores.shape)} and {tuple(self.labels.shape)}"
            )

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, Detections) else NotImplemented

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        for box, score, label in zip(self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), strict=True):
            yield Detection(tuple(box), score, label, self._name(label))

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> Detection: ...
    @overload
    def __getitem__(self, key: slice | Tensor | NDArray[Any] | Sequence[int]) -> Detections: ...
    def __getitem__(self, key: int | np.integer[Any] | slice | Tensor | NDArray[Any] | Sequence[int]) -> Detection | Detections:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            label = int(self.labels[key])
            return Detection(tuple(self.boxes[key].tolist()), float(self.scores[key]), label, self._name(label))
        rows = chosen_rows(key, len(self), self.labels.device)
        return replace(self, boxes=self.boxes[rows], scores=self.scores[rows], labels=self.labels[rows])

    def above(self, score: float) -> Detections:
        """The detections with a score of at least ``score``, in [0, 1]; a ConfigError for one out of range."""
        if problems := share_problems("score", score):
            raise ConfigError(problems)
        return self[self.scores >= score]

    def filter(self, *, classes: str | int | Iterable[str | int] | None = None, score: float = 0.0) -> Detections:
        """The detections of some classes with a score of at least ``score``.

        Args:
            classes: names or labels, one or several; None: all classes.
            score: the least score, in [0, 1].

        Raises:
            ConfigError: for each name or label that is not a class, and for a score out of range.
        """
        problems = share_problems("score", score)
        labels: list[int] = []
        if classes is not None:
            for each in one_or_more(classes):
                own = self._labels(each)
                labels += own
                if not own and isinstance(each, str):
                    problems.append(f"unknown class {each!r}{did_you_mean(each, self.names)}")
                elif not own:
                    problems.append(f"a class's label must be in 0 … {len(self.names) - 1}, got {each!r:.80}")
        if problems:
            raise ConfigError(problems)
        keep = self.scores >= score
        if classes is not None:
            keep &= torch.isin(self.labels, torch.tensor(labels, dtype=torch.int64, device=self.labels.device))
        return self[keep]

    def _labels(self, wanted: str | int) -> list[int]:
        """The labels that a name or label means; none when it is not a class."""
        if isinstance(wanted, str):
            return [label for label, name in enumerate(self.names) if name == wanted]
        try:
            label = -1 if isinstance(wanted, bool) else operator.index(wanted)
        except TypeError:
            label = -1
        return [label] if label >= 0 and (not self.names or label < len(self.names)) else []

    def _name(self, label: int) -> str:
        if not self.names:
            return str(label)
        if not 0 <= label < len(self.names):
            raise ValueError(f"labels must be in 0 … {len(self.names) - 1}, as there are {len(self.names)} names, got {label}")
        return self.names[label]

    def resized(self, size: tuple[int, int]) -> Detections:
        """The same detections on the same image at another ``size`` (height, width)."""
        return replace(self, boxes=scale_boxes(self.boxes, self.size, size), size=size)

    def to(self, device: object) -> Detections:
        """The same detections with their tensors on ``device``."""
        return replace(
            self,
            boxes=self.boxes.to(device),  # type: ignore[call-overload]
            scores=self.scores.to(device),  # type: ignore[call-overload]
            labels=self.labels.to(device),  # type: ignore[call-overload]
        )

    def draw(self, image: ImageInput | None = None, text_size: int | None = None, *, color: str = "rgb") -> Image.Image:
        """A copy of a picture with the boxes, class names and scores on it.

        Args:
            image: a picture of any size, see ``resdet.structures.pictures.to_image``; None: the picture that was searched.
            text_size: height of the letters, pixels; suited to the picture when None.
            color: order of an array's or tensor's channels, ``"rgb"`` or ``"bgr"``.

        Raises:
            ConfigError: when no picture is given and none is known, or the letters have no height.
            DataError: when the file is missing or not an image.
            TypeError: when ``image`` is not a picture.
        """
        source = (self.image or self.path) if image is None else image
        if isinstance(source, str) and not source:
            raise ConfigError("draw: these detections know no picture, 'image' must be given, got None")
        if text_size is not None and not (isinstance(text_size, (int, float)) and text_size > 0):
            raise ConfigError(f"draw: 'text_size' must be above 0, got {text_size!r:.80}")
        picture = to_image(source, color)
        captions = [f"{found.name} {found.score:.2f}" for found in self]
        colors = [class_color(label) for label in self.labels.tolist()]
        boxes = scale_boxes(self.boxes.cpu(), self.size, (picture.height, picture.width))
        return draw_boxes(picture, boxes, captions, colors, text_size)

    def to_coco(self, category_ids: Sequence[int] | None = None, *, image_id: int | str | None = None) -> list[dict[str, Any]]:
        """COCO result rows: ``{"image_id", "category_id", "bbox": [x, y, w, h], "score"}``, floats unrounded.

        Args:
            category_ids: the file's category id of each label; label + 1 when it is not given.
            image_id: the file's id of the image; that of the detections when it is not given.

        Raises:
            ConfigError: when a label has no category id.
        """
        boxes = xyxy_to_xywh(in_float64(self.boxes)).tolist()
        labels = self.labels.tolist()
        try:
            ids = [label + 1 if category_ids is None else operator.index(category_ids[label]) for label in labels]
        except (IndexError, KeyError, TypeError) as error:
            raise ConfigError(
                f"to_coco: 'category_ids' must be a whole number for each label, got {category_ids!r:.80}"
            ) from error
        image = self.image_id if image_id is None else image_id
        image = operator.index(image) if hasattr(image, "__index__") else image  # json knows no numbers of numpy
        return [
            {"image_id": image, "category_id": category, "bbox": box, "score": score}
            for category, box, score in zip(ids, boxes, self.scores.tolist(), strict=True)
        ]

    def to_pandas(self) -> pd.DataFrame:
        """A table with a row for each object: image_id, name, label, score, x1, y1, x2, y2; an ImportError without pandas."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("Detections.to_pandas needs pandas: pip install pandas") from error
        x1, y1, x2, y2 = self.boxes.cpu().numpy().T
        return pd.DataFrame(
            {
                # arrays have their kind without objects too: tables of many pictures are joined
                "image_id": np.full(len(self), self.image_id),
                "name": np.array([found.name for found in self], dtype=str),
                "label": self.labels.cpu().numpy(),
                "score": self.scores.cpu().numpy(),
                "x1": x1,
                "y1": y1,
                "x2": x2,
                "y2": y2,
            }
        )

    def to_supervision(self) -> supervision.Detections:
        """The same detections for the package supervision, class names in ``data["class_name"]``; an ImportError without it."""
        try:
            import supervision
        except ImportError as error:
            raise ImportError("Detections.to_supervision needs supervision: pip install supervision") from error
        return supervision.Detections(
            xyxy=self.boxes.cpu().numpy(),
            confidence=self.scores.cpu().numpy(),
            class_id=self.labels.cpu().numpy(),
            data={"class_name": np.array([found.name for found in self], dtype=str)},
        )

    def summary(self) -> str:
        """The number of objects of each class, classes by best score: ``"2 person, 1 dog"``, or ``"nothing"``."""
        counts: dict[str, int] = {}
        labels, first, times = np.unique(self.labels.cpu().numpy(), return_index=True, return_counts=True)
        for row in first.argsort():
            name = self._name(int(labels[row]))
            counts[name] = counts.get(name, 0) + int(times[row])
        return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"

    def _title(self) -> str:
        height, width = self.size
        return f"{named(self.path, self.image_id)}, {width} x {height} pixels: {self.summary()}"

    def _cells(self) -> list[list[str]]:
        return [[found.name, f"{found.score:.3f}", *(f"{corner:.1f}" for corner in found.box)] for found in self[:ROWS]]

    def __repr__(self) -> str:
        return f"Detections({self._title()})"

    def __str__(self) -> str:
        return as_text(self._title(), self._cells(), len(self))

    def _repr_html_(self) -> str:
        return as_html(self._title(), ["name", "score", "x1", "y1", "x2", "y2"], self._cells(), len(self), self._repr_png_())

    def _repr_png_(self) -> bytes | None:
        picture = known_picture(self.image, self.path)
        return None if picture is None else png_bytes(self[:_DRAWN].draw(picture))
