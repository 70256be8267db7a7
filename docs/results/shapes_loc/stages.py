"""The errors of two evaluations of a localizer, their class given, and the difference with its standard error.

Usage: python stages.py DATA RPN/predictions.json RCNN/predictions.json   (the folder of ``resdet data make shapes``)

The difference is drawn anew 1,000 times from the same pictures for both (paired bootstrap).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from resdet.config.schema import LocalizationSourceConfig
from resdet.data.sources.localization import build_localization_dataset
from resdet.evaluation.localization import Localization, localization_hits

DRAWS = 1000


def overlaps(data: str, predictions: str) -> NDArray[np.float64]:
    """The IoU of each picture's box with the nearest true one of its class."""
    source = LocalizationSourceConfig("coco", f"{data}/images/val", annotations=f"{data}/annotations/instances_val.json")
    dataset = build_localization_dataset(source)
    boxes = {row["file"]: row["box"] for row in json.loads(Path(predictions).read_text(encoding="utf-8"))}
    indices = [index for index in range(len(dataset)) if len(dataset.boxes(index))]
    found = [Localization(box=torch.tensor(boxes[dataset.path(index).name])) for index in indices]
    labels, truth = [dataset.label(index) for index in indices], [dataset.boxes(index) for index in indices]
    return np.asarray(localization_hits(found, labels, truth).overlap)


def main(data: str, first: str, second: str) -> None:
    """Print the table."""
    each = [overlaps(data, path) for path in (first, second)]
    wrong = [overlap < 0.5 for overlap in each]
    draws = np.random.default_rng(0).integers(len(wrong[0]), size=(DRAWS, len(wrong[0])))
    for path, overlap in zip((first, second), each, strict=True):
        print(f"{path}: error {100 * (overlap < 0.5).mean():.1f} %, mean IoU {overlap.mean():.3f}, {len(overlap)} pictures")
    for name, before, after in (("error, points", *wrong), ("mean IoU", *each)):
        scale = 100 if name.startswith("error") else 1
        change = scale * (after.astype(float) - before)
        print(f"{name}: {change.mean():+.3f} ± {change[draws].mean(1).std():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
