"""Formats that list the detections of all pictures in one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resdet.files import write_csv, write_json
from resdet.prediction.outputs.output import Output
from resdet.prediction.written import detection_row
from resdet.structures import Detections
from resdet.structures.showing import frame_of
from resdet.version import __version__


class JsonRows(Output):
    """``predictions.json``: file, size and detections of each picture."""

    lists = True

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        super().__init__(folder, names)
        self.rows: list[dict[str, Any]] = []

    def add(self, found: Detections, name: str) -> None:  # noqa: ARG002
        """See ``Output``."""
        self.rows.append(detection_row(found))

    def close(self) -> None:
        """See ``Output``."""
        write_json(self.folder / "predictions.json", self.rows)


class CocoResults(Output):
    """``coco/results.json``, which COCO's tools load, and ``coco/images.json``, the pictures and classes that its ids mean.

    Pictures are numbered from 1 in their order, classes from 1 in label order.
    """

    lists = True

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        super().__init__(folder, names)
        self.images: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []

    def add(self, found: Detections, name: str) -> None:  # noqa: ARG002
        """See ``Output``."""
        number, (height, width) = len(self.images) + 1, found.size
        frame = frame_of(found.path, found.image_id)
        image = {"id": number, "file_name": found.path, "width": width, "height": height}
        self.images.append(image if frame is None else {**image, "frame": frame})
        self.results += found.to_coco(image_id=number)

    def close(self) -> None:
        """See ``Output``."""
        categories = [{"id": number, "name": name} for number, name in enumerate(self.names, 1)]
        write_json(self.folder / "coco" / "images.json", {"images": self.images, "annotations": [], "categories": categories})
        write_json(self.folder / "coco" / "results.json", self.results)


class CsvTable(Output):
    """``detections.csv``: a row for each object, corners in pixels."""

    lists = True

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        super().__init__(folder, names)
        self.rows: list[tuple[object, ...]] = []

    def add(self, found: Detections, name: str) -> None:  # noqa: ARG002
        """See ``Output``."""
        frame = frame_of(found.path, found.image_id)
        self.rows += [(found.path, frame, each.name, each.label, each.score, *each.box) for each in found]

    def close(self) -> None:
        """See ``Output``."""
        write_csv(
            self.folder / "detections.csv", ("file", "frame", "name", "label", "score", "x1", "y1", "x2", "y2"), self.rows
        )


class LabelStudioTasks(Output):
    """``labelstudio.json``: tasks with predictions, to be imported into Label Studio and corrected there.

    The pictures are named as files that Label Studio serves from its local storage; its labelling interface needs
    ``<Image name="image" value="$image"/>`` and ``<RectangleLabels name="label" toName="image">`` with the class names.
    """

    lists = True

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        super().__init__(folder, names)
        self.tasks: list[dict[str, Any]] = []

    def add(self, found: Detections, name: str) -> None:
        """See ``Output``."""
        height, width = found.size
        regions = [
            {
                "id": f"{name}-{number}",
                "type": "rectanglelabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "score": each.score,
                "value": {**_percentages(each.box, width, height), "rotation": 0, "rectanglelabels": [each.name]},
            }
            for number, each in enumerate(found)
        ]
        prediction = {
            "model_version": f"resdet {__version__}",
            "score": max(found.scores.tolist(), default=0.0),
            "result": regions,
        }
        address = f"/data/local-files/?d={quote(os.fsencode(found.path))}"
        self.tasks.append({"data": {"image": address}, "predictions": [prediction]})

    def close(self) -> None:
        """See ``Output``."""
        write_json(self.folder / "labelstudio.json", self.tasks)


def _percentages(box: tuple[float, float, float, float], width: int, height: int) -> dict[str, float]:
    x1, y1, x2, y2 = box
    return {
        "x": 100 * x1 / width,
        "y": 100 * y1 / height,
        "width": 100 * (x2 - x1) / width,
        "height": 100 * (y2 - y1) / height,
    }
