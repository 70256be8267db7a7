"""The official COCO tools, run on a ground truth and results."""

from __future__ import annotations

import contextlib
import copy
import io
import math

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

BACKENDS = ("hotcoco", "pycocotools")


def official(ground_truth, detections):
    """The evaluation of the official tools, called as their own demo does; ``stats`` are its 12 numbers."""
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = copy.deepcopy(ground_truth)
        data.createIndex()
        results = data.loadRes(copy.deepcopy(detections))
        run = COCOeval(data, results, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


def official_numbers(ground_truth, detections):
    """The 12 numbers, NaN where the official tools say -1."""
    return [math.nan if value == -1 else value for value in official(ground_truth, detections).stats]
