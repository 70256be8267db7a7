"""From detections in memory to COCO's twelve numbers, against pycocotools.

The data are made: images with objects of 80 classes in COCO's numbers, and 100 detections in each image, half of them near
objects. Ours begins with what a detector gives for each image, pycocotools with the array that its ``loadRes`` takes; both
have their ground truth in memory. pycocotools takes minutes and runs once. All twelve numbers must be equal.

hotcoco's threads are set when it starts: of several ``--threads`` the greatest counts.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from measure import Claim, arguments, compare
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from reporting import report

from resdet.evaluation.evaluator import CocoEvaluator
from resdet.evaluation.ground_truth import GroundTruth
from resdet.structures import Detections

CLASSES, PER_IMAGE, OBJECTS = 80, 100, 7.2  # COCO's val2017 has 36,781 objects on 5,000 images
SIZE = (480, 640)
Floats = npt.NDArray[np.float64]


def main() -> None:
    args = arguments(__doc__).parse_args()
    threads = max(args.threads)
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    images = 40 if args.quick else 5000
    truth, detections = made_data(images)
    evaluator = CocoEvaluator(truth, truth.category_ids, truth.names)
    data, array = official_data(truth), official_array(detections)
    found: dict[str, Sequence[float]] = {}

    def ours() -> None:
        evaluator.reset()
        evaluator.process(detections)
        found["resdet"] = list(evaluator.evaluate()["bbox"].values())

    def official() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            run = COCOeval(data, data.loadRes(array), "bbox")
            run.evaluate()
            run.accumulate()
            run.summarize()
        found["pycocotools"] = run.stats.tolist()

    result = compare(
        Claim(f"detections to 12 COCO numbers, {images:,} images, {len(array):,} detections", 0.02),
        {"resdet": ours, "pycocotools": official},
        ours="resdet",
        peer="pycocotools",
        repeats=args.repeats,
        threads=threads,
        once=["pycocotools"],
    )
    if found["resdet"] != found["pycocotools"]:
        raise SystemExit(f"the numbers differ: {found}")
    report("Evaluation", [result], json_path=args.output, quick=args.quick)


def made_data(images: int) -> tuple[GroundTruth, list[Detections]]:
    """Objects and detections, the same in every run; each image's detections best first."""
    rng = np.random.default_rng(0)
    objects = rng.poisson(OBJECTS, images)
    boxes, labels = made_boxes(rng, objects.sum()), rng.integers(0, CLASSES, objects.sum())
    truth = GroundTruth(
        image_ids=tuple(range(1, images + 1)),
        category_ids=tuple(range(1, CLASSES + 1)),
        names=tuple(f"class {label}" for label in range(CLASSES)),
        sizes=np.tile(np.array(SIZE[::-1], dtype=np.float64), (images, 1)),
        image=np.repeat(np.arange(images), objects),
        category=labels,
        boxes=boxes,
        area=boxes[:, 2:].prod(1) * 0.7,  # of a mask
        crowd=rng.random(len(boxes)) < 0.01,
        difficult=np.zeros(len(boxes), dtype=np.bool_),
    )
    detections = []
    for image, last in enumerate(np.cumsum(objects)):
        rows = rng.integers(last - objects[image], last, PER_IMAGE // 2 if objects[image] else 0)
        near = boxes[rows] + rng.normal(0, 0.1, (len(rows), 4)) * np.tile(boxes[rows, 2:], 2)
        found = np.concatenate([near, made_boxes(rng, PER_IMAGE - len(rows))])
        corners = np.concatenate([found[:, :2], found[:, :2] + np.abs(found[:, 2:])], axis=1)
        detections.append(
            Detections(
                boxes=torch.from_numpy(corners.astype(np.float32)),
                scores=torch.from_numpy(np.sort(rng.random(PER_IMAGE).astype(np.float32))[::-1].copy()),
                labels=torch.from_numpy(np.concatenate([labels[rows], rng.integers(0, CLASSES, PER_IMAGE - len(rows))])),
                size=SIZE,
                image_id=image + 1,
            )
        )
    return truth, detections


def made_boxes(rng: np.random.Generator, count: int) -> Floats:
    """Boxes (count, 4) ``x, y, width, height`` within the image, small, medium and large ones."""
    sides = np.exp(rng.uniform(np.log(8), np.log(400), (count, 2)))
    return np.concatenate([rng.random((count, 2)) * (np.array(SIZE[::-1]) - sides), sides], axis=1)


def official_data(truth: GroundTruth) -> COCO:
    """The ground truth as pycocotools has it, indexed."""
    columns = zip(truth.image.tolist(), truth.category.tolist(), truth.boxes.tolist(), truth.area.tolist(), strict=True)
    data = COCO()
    data.dataset = {
        "images": [{"id": key} for key in truth.image_ids],
        "categories": [{"id": key, "name": name} for key, name in zip(truth.category_ids, truth.names, strict=True)],
        "annotations": [
            {"id": row + 1, "image_id": image + 1, "category_id": label + 1, "bbox": box, "area": area, "iscrowd": int(crowd)}
            for row, ((image, label, box, area), crowd) in enumerate(zip(columns, truth.crowd, strict=True))
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        data.createIndex()
    return data


def official_array(detections: Sequence[Detections]) -> Floats:
    """(D, 7): image, x, y, width, height, score, category."""
    parts = []
    for item in detections:
        boxes = item.boxes.double().numpy()
        rows = [boxes[:, :2], boxes[:, 2:] - boxes[:, :2], item.scores.double()[:, None], item.labels[:, None] + 1.0]
        parts.append(np.concatenate([np.full((len(boxes), 1), item.image_id), *rows], axis=1))
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
