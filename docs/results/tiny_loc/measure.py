"""The two stages, looked at in several ways, on images with their class given; prints the table of README.md.

Usage: python measure.py DATA RPN [RCNN]   (the folder of Tiny-ImageNet's ten classes, or one of ``resdet data make shapes``;
model files of both stages)

A row's second error is the standard error of its difference to the first row, by drawing the images anew 1,000 times, with
replacement, the same draw for both (paired bootstrap).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import resdet
from resdet.config.schema import LocalizationSourceConfig
from resdet.data.sources.localization import build_localization_dataset
from resdet.evaluation.constant_box import constant_box_error
from resdet.evaluation.localization import Localization, localization_hits
from resdet.inference.localizer import Localizer

DENSE = {"views": "dense", "short_sides": [160, 176, 192]}
ROWS: dict[str, tuple[int, dict[str, Any]]] = {
    "RPN, 1-crop: the centre of 176": (0, {"views": "center", "short_sides": [176]}),
    "RPN, dense at 160": (0, {"views": "dense", "short_sides": [160]}),
    "RPN, dense at 176": (0, {"views": "dense", "short_sides": [176]}),
    "RPN, dense at 192": (0, {"views": "dense", "short_sides": [192]}),
    "RPN, dense at 160, 176 and 192": (0, DENSE),
    "the same, without voting": (0, {**DENSE, "vote_iou": 0.0}),
    "R-CNN on 20 proposals of dense at 176": (1, {"views": "dense", "short_sides": [176]}),
    "R-CNN on 20 proposals of the three": (1, DENSE),
}
DRAWS = 1000


def source(data: str, split: str) -> LocalizationSourceConfig:
    """A data set of the folder, of either kind."""
    annotations = Path(data) / "annotations" / f"instances_{split}.json"
    if not annotations.is_file():
        return LocalizationSourceConfig(format="tiny_imagenet", root=data, split=split)
    return LocalizationSourceConfig(format="coco", root=f"{data}/images/{split}", annotations=str(annotations))


def measure(data: str, paths: list[str]) -> None:
    """Print the table."""
    train, val = (build_localization_dataset(source(data, split)) for split in ("train", "val"))
    indices = [index for index in range(len(val)) if len(val.boxes(index))]
    labels, boxes = [val.label(index) for index in indices], [val.boxes(index) for index in indices]
    constant = constant_box_error(train, val)
    print(f"| the mean box of the class, of the training set | {100 * (constant or 0):.1f} | | |")
    draws = np.random.default_rng(0).integers(len(indices), size=(DRAWS, len(indices)))
    first = None
    for name, (stage, test) in ROWS.items():
        if stage >= len(paths):
            continue
        localizer = resdet.load(paths[stage], device="cpu", test=test)
        if not isinstance(localizer, Localizer):
            sys.exit(f"{paths[stage]}: holds no localizer")
        found = [localizer.localize(val.load(index), [label])[0][0] for index, label in zip(indices, labels, strict=True)]
        overlap = localization_hits([Localization(box=box) for box in found], labels, boxes).overlap
        wrong = overlap < 0.5
        first = wrong if first is None else first
        error = (wrong[draws].mean(1) - first[draws].mean(1)).std()
        print(f"| {name} | {100 * wrong.mean():.1f} | {100 * error:.1f} | {overlap.mean():.3f} |", flush=True)


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2:])
