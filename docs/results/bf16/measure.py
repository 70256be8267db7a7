"""A trained detector in bfloat16 beside float32 on real photos: AP with a paired bootstrap, and the largest score difference.

Usage: python measure.py KANGAROO MODEL OUTPUT   (the data; the model file; a folder for detections)

The photos are drawn anew 1000 times, with replacement, the same draw for both: a difference of AP is told from chance where the
middle 95 % of its draws leave out 0. Scores are compared between detections of the two that overlap by IoU 0.9 and more.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resdet.cli import main
from resdet.data.formats.voc import read_voc
from resdet.evaluation.coco import evaluate_coco
from resdet.ops.iou import box_iou

DRAWS = 1000
METRICS = ("AP", "AP50", "AP75")


def evaluate(data: str, model: str, precision: str, output: Path) -> list[dict[str, Any]]:
    """Run ``resdet eval`` and return the detections."""
    config = str(Path(__file__).with_name("r50.yaml"))
    options = ["--weights", model, "--precision", precision, "--device", "cpu", "--output", str(output)]
    if status := main(["eval", "--config", config, *options, f"data.val.root={data}"]):
        sys.exit(status)
    found: list[dict[str, Any]] = json.loads((output / "detections.json").read_text(encoding="utf-8"))
    return found


def numbers(truth: dict[str, Any], found: list[dict[str, Any]], images: list[int]) -> np.ndarray:
    """The metrics on these images, which may come several times."""
    annotations, results = [], []
    sizes = {row["id"]: row for row in truth["images"]}
    for number, image in enumerate(images, start=1):
        own = [row for row in truth["annotations"] if row["image_id"] == image]
        annotations += [{**row, "id": len(annotations) + k, "image_id": number} for k, row in enumerate(own, start=1)]
        results += [{**row, "image_id": number} for row in found if row["image_id"] == image]
    drawn = [{**sizes[image], "id": number} for number, image in enumerate(images, start=1)]
    box = evaluate_coco({"images": drawn, "annotations": annotations, "categories": truth["categories"]}, results)
    return np.array([box.to_dict()["bbox"][key] for key in METRICS], dtype=float)


def score_difference(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Of detections of the same objects the largest and the mean difference of scores; the share that has a counterpart."""
    differences, count = [], 0
    for image in {row["image_id"] for row in one}:
        rows, others = ([row for row in found if row["image_id"] == image] for found in (one, other))
        boxes = [torch.tensor([row["bbox"] for row in each]).reshape(-1, 4) for each in (rows, others)]
        overlap = box_iou(*(torch.cat([each[:, :2], each[:, :2] + each[:, 2:]], 1) for each in boxes))
        count += len(rows)
        for row, ious in zip(rows, overlap, strict=True):
            if len(ious) and float(ious.max()) >= 0.9:
                differences.append(abs(row["score"] - others[int(ious.argmax())]["score"]))
    return max(differences), float(np.mean(differences)), len(differences) / count


def measure(data: str, model: str, output: Path) -> None:
    """Evaluate in both formats and print what differs."""
    truth = read_voc(data, "val").ground_truth()
    images = [row["id"] for row in truth["images"]]
    found = {name: evaluate(data, model, name, output / name) for name in ("fp32", "bf16")}
    rng = np.random.default_rng(0)
    draws = [rng.choice(images, len(images)).tolist() for _ in range(DRAWS)]
    whole = {name: numbers(truth, rows, images) for name, rows in found.items()}
    differences = np.array([numbers(truth, found["bf16"], draw) - numbers(truth, found["fp32"], draw) for draw in draws])
    low, high = np.percentile(differences, (2.5, 97.5), axis=0)
    for index, name in enumerate(METRICS):
        of_both = f"fp32 {whole['fp32'][index]:.4f}, bf16 {whole['bf16'][index]:.4f}"
        print(f"{name}: {of_both}; 95 % of the differences between {low[index]:+.4f} and {high[index]:+.4f}")
    for least in (0.0, 0.5):
        sure = [row for row in found["fp32"] if row["score"] >= least]
        largest, mean, share = score_difference(sure, found["bf16"])
        what = f"{len(sure)} detections of fp32 from score {least:g} on"
        print(
            f"{what}: {share:.1%} found by bf16 too (IoU 0.9); scores differ by {largest:.4f} at most, {mean:.5f} in the mean"
        )


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
