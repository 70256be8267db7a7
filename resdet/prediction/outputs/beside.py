"""Formats that write files for each picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from resdet.data.convert.voc_writer import annotation_tree
from resdet.files import atomic_write, write_text
from resdet.images import read_image
from resdet.inference.windowed_file import WindowedFile, open_windows
from resdet.prediction.outputs.output import Output
from resdet.prediction.written import fitted, numbered, save_picture
from resdet.structures import Detections

_MOST = 25_000_000  # pixels of a crop


class YoloFiles(Output):
    """``yolo/labels/NAME.txt``: class, centre, width and height as fractions, confidence; ``yolo/classes.txt``: the names."""

    def add(self, found: Detections, name: str) -> None:
        """See ``Output``."""
        height, width = found.size
        lines = []
        for (x1, y1, x2, y2), score, label, _ in found:
            numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height, score)
            lines.append(" ".join(map(repr, (label, *numbers))) + "\n")
        write_text(self.folder / "yolo" / "labels" / fitted(name, ".txt"), "".join(lines))

    def close(self) -> None:
        """See ``Output``."""
        lines = "".join(f"{' '.join(name.split())}\n" for name in self.names)
        # a name may hold what is no character
        write_text(self.folder / "yolo" / "classes.txt", lines.encode("utf-8", "backslashreplace").decode())


class VocFiles(Output):
    """``voc/Annotations/NAME.xml``: whole pixels counted from 1; scores in ``<confidence>``, which VOC's readers pass over."""

    def add(self, found: Detections, name: str) -> None:
        """See ``Output``."""
        height, width = found.size
        objects = [
            {"name": each.name, "difficult": 0, "confidence": each.score, "box": row["bbox"]}
            for each, row in zip(found, found.to_coco(), strict=True)
        ]
        tree = annotation_tree(PurePosixPath(found.path or name).name, (width, height), objects)
        path = self.folder / "voc" / "Annotations" / fitted(name, ".xml")
        atomic_write(path, lambda temporary: tree.write(temporary, encoding="utf-8"))

    def close(self) -> None:
        """See ``Output``."""


class Crops(Output):
    """``crops/CLASS/NAME_NUMBER.png``: each object cut out of its picture, best first; a folder for each class, and its own."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        super().__init__(folder, names)
        plain = [re.sub(r"[^\w.-]+", "_", name).strip(".") or "_" for name in names]
        self.folders = [folder / "crops" / fitted(name, "") for name in numbered(plain)]

    def add(self, found: Detections, name: str) -> None:
        """See ``Output``."""
        if not len(found):
            return
        picture = found.image or open_windows(found.path) or read_image(found.path)
        for number, each in enumerate(found, 1):
            save_picture(_crop(picture, each.box), self.folders[each.label] / fitted(name, f"_{number}.png"))

    def close(self) -> None:
        """See ``Output``."""


def _crop(picture: Image.Image | WindowedFile, box: tuple[float, float, float, float]) -> Image.Image:
    """The whole pixels that a box touches, one at least; of a file that is read in windows a smaller copy of very many."""
    x1, y1 = int(box[0]), int(box[1])
    whole = (x1, y1, max(x1 + 1, -int(-box[2] // 1)), max(y1 + 1, -int(-box[3] // 1)))
    return picture.crop(whole, _MOST) if isinstance(picture, WindowedFile) else picture.crop(whole)
