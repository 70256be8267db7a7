"""Looks at the data sets of a run, one after the other, and then says what was found in them and between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resdet.config.schema import DetectionSourceConfig
from resdet.data.check import undecodable
from resdet.data.dataset import ClassificationDataset, DetectionDataset, concatenate
from resdet.data.described import Source
from resdet.data.finding import Finding
from resdet.data.formats.folder import FileDataset
from resdet.data.formats.readings import CONVENTIONS
from resdet.data.formats.yolo import label_path
from resdet.data.inspection.anchors import Scale, anchor_findings
from resdet.data.inspection.boxes import box_findings
from resdet.data.inspection.classes import (
    balance_findings,
    declared_findings,
    labelled_findings,
    name_findings,
    unused_findings,
)
from resdet.data.inspection.copies import Part, copy_findings
from resdet.data.inspection.looks import look_at
from resdet.data.inspection.pictures import depth_findings, picture_findings
from resdet.files import regular

_ANNOTATED_SIZES = ("coco", "voc", "imagenet_det")  # formats whose files give the sizes of their images


class Told(NamedTuple):
    """A finding, and the option of the source that it is about."""

    option: str
    finding: Finding

    def __str__(self) -> str:
        return f"{self.option}: {self.finding}"


class Inspection:
    """Collects what the data sets of one run are like: ``examine`` each, then take ``findings``.

    Args:
        scale: how large the network sees the images, and with which anchors.
    """

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._parts: list[tuple[str, DetectionSourceConfig, DetectionDataset, Part]] = []
        self._labelled: list[Part] = []  # whose images have a class each

    def examine(self, option: str, source: Source, dataset: DetectionDataset | ClassificationDataset) -> Sequence[str]:
        """Decode every image of a data set; return what is wrong with those that cannot be used."""
        if not isinstance(dataset, (DetectionDataset, FileDataset)):
            return undecodable(dataset)
        looks = look_at(dataset)
        part = Part(dataset, looks, validation=option == "data.val")
        if isinstance(source, DetectionSourceConfig) and isinstance(dataset, DetectionDataset):
            self._parts.append((option, source, dataset, part))
        else:
            self._labelled.append(part)
        return looks.problems

    def findings(self) -> Iterator[Told]:
        """Everything that was found, source by source, then between them."""
        for option, source, dataset, part in self._parts:
            for finding in self._of_source(source, dataset, part):
                yield Told(option, finding)
        train, val = (self._joined(validation=validation) for validation in (False, True))
        found = [*unused_findings(train, val), *(name_findings(train) + balance_findings(train) if train else ())]
        for finding in found:
            yield Told("data", finding)
        for finding in self._of_labelled():
            yield Told("data", finding)
        for finding in copy_findings(self._labelled or [part for *_, part in self._parts]):
            yield Told("data", finding)

    def _of_labelled(self) -> Iterator[Finding]:
        sets = {part.validation: part.dataset for part in self._labelled if isinstance(part.dataset, FileDataset)}
        if False in sets:
            yield from labelled_findings(sets[False], sets.get(True))
        for part in self._labelled:
            yield from depth_findings(part.dataset, part.looks)

    def _of_source(self, source: DetectionSourceConfig, dataset: DetectionDataset, part: Part) -> Iterator[Finding]:
        boxes = box_findings(dataset)
        yield from boxes
        annotated = source.format in _ANNOTATED_SIZES
        stated, side = _with_files(source, dataset), self._scale.max_side
        yield from picture_findings(dataset, part.looks, annotated=annotated, max_side=side, stated=stated)
        # boxes that were misread have no sizes worth a word
        if not part.validation and not any(finding.kind in CONVENTIONS for finding in boxes):
            yield from anchor_findings(dataset, self._scale)
        if not part.validation and source.format == "yolo" and dataset.source.endswith((".yaml", ".yml")):
            yield from declared_findings(dataset, regular(dataset.source).read_text(encoding="utf-8-sig", errors="replace"))

    def _joined(self, *, validation: bool) -> DetectionDataset | None:
        """The data sets of training, or of validation, as one; None where there is none."""
        datasets = [dataset for _, _, dataset, part in self._parts if part.validation == validation]
        return concatenate(datasets) if datasets else None


def _with_files(source: DetectionSourceConfig, dataset: DetectionDataset) -> NDArray[np.bool_]:
    """The images that have a file of objects of their own, bool (M,)."""
    if source.format != "yolo":
        return np.full(len(dataset), source.format == "voc")
    root = Path(source.root).expanduser().absolute()
    images = [dataset.path(index).absolute() for index in range(len(dataset))]
    places = [(image.with_suffix(".txt"), root / label_path(image.relative_to(root).as_posix())) for image in images]
    return np.array([any(place.is_file() for place in some) for some in places], bool)
