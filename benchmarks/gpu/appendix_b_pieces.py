"""The pieces of appendix_b.py: drawing the data, training, evaluating, comparing, timing. Each runs in a process of its own."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from stage import by_turns, ms

import resdet
from resdet.data.synthetic.scenes import make_shapes, write_scenes
from resdet.evaluation.compare import Difference, compare_detections
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.files import read_ground_truth
from resdet.files import write_json
from resdet.training.evaluate import EvaluationOptions

REFINE = {"refine": True, "vote_iou": 0.5, "nms_thresh": 0.3}
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Plan:
    """Sizes and places.

    Attributes:
        folder: for data and runs.
        device: cuda or cpu.
        weights: of the backbone; None: those of a narrow classifier that is trained on crops.
        train: training images.
        val: validation images.
        few: the first of these, for what needs several scales.
        side: the longer side of a made image, pixels.
        short_side: to which the shorter one is resized.
        pyramid: shorter sides of multi-scale testing.
        iterations: of a detector's training, in all.
        width: of the narrow classifier.
        steps: of the narrow classifier.
        regions: of an image, in training.
        timed: images on which a detector is timed.
        workers: processes that read images, for each training or evaluation.
        timing: seconds that timing may take.
        precision: the number format of convolutions.
    """

    folder: Path
    device: str
    weights: Path | None
    train: int = 2000
    val: int = 2000
    few: int = 500
    side: int = 600
    short_side: int = 600
    pyramid: tuple[int, ...] = (200, 400, 600, 800, 1000)
    iterations: int = 1000
    width: int = 32
    steps: int = 2000
    regions: int = 128
    timed: int = 8
    workers: int = 2
    timing: float = 10.0
    precision: str = "bf16"

    def annotations(self, split: str) -> Path:
        """The annotation file of ``train``, ``val`` or ``few``."""
        return self.folder / "data" / f"{split}.json"

    def source(self, split: str) -> dict[str, str]:
        """A data set as a run file names it."""
        return {"format": "coco", "root": str(self.folder / "data"), "annotations": str(self.annotations(split))}

    def run(self, name: str) -> Path:
        """A run folder."""
        return self.folder / name

    def model(self, name: str) -> Path:
        """The model file of a run."""
        return self.run(name) / "model.safetensors"

    def test(self, variant: str) -> dict[str, Any]:
        """Options of ``model.test``."""
        scales = {"short_sides": list(self.pyramid)}
        return {"baseline": {}, "refinement": REFINE, "multi-scale": scales, "both": REFINE | scales}[variant]

    def images(self, variant: str) -> str:
        """The set that a variant is measured on."""
        return "few" if "short_sides" in self.test(variant) else "val"


def draw(plan: Plan, split: str, part: int, parts: int) -> None:
    """A part of a split: the scenes of ``resdet data make shapes --seed PART``."""
    count = len(range(part, getattr(plan, split), parts))
    if count:
        write_scenes(plan.folder / "data" / str(part), split, count, plan.side, (part, SPLITS.index(split), 0))


def join(plan: Plan, parts: int) -> None:
    """One annotation file for all parts of each split, and one for the first few of validation."""
    for split in SPLITS:
        whole: dict[str, Any] = {"images": [], "annotations": []}
        for part in range(parts):
            path = plan.folder / "data" / str(part) / "annotations" / f"instances_{split}.json"
            if not path.is_file():
                continue
            own = json.loads(path.read_text(encoding="utf-8"))
            images, objects = len(whole["images"]), len(whole["annotations"])
            for row in own["images"]:
                name = f"{part}/images/{split}/{row['file_name']}"
                whole["images"].append(row | {"id": row["id"] + images, "file_name": name})
            for row in own["annotations"]:
                moved = {"id": row["id"] + objects, "image_id": row["image_id"] + images}
                whole["annotations"].append(row | moved)
            whole["categories"] = own["categories"]
        if split == "val":
            few = {"images": whole["images"][: plan.few], "categories": whole["categories"]}
            known = {row["id"] for row in few["images"]}
            few["annotations"] = [row for row in whole["annotations"] if row["image_id"] in known]
            write_json(plan.annotations("few"), few, indent=None)
        write_json(plan.annotations(split), whole, indent=None)


def classifier(plan: Plan) -> list[dict[str, Any]]:
    """Train the demo's narrow classifier, from which detectors start where no weights are given."""
    if plan.model("classifier").is_file():
        return []
    crops = plan.folder / "crops"
    if not crops.exists():
        make_shapes(crops, train=plan.train // 2, val=8, size=160, seed=0)
    folder = plan.run("classifier")
    resdet.train(
        "demo_cls",
        output=folder,
        device=plan.device,
        restart=folder.exists(),
        **{
            "data.train.root": str(crops / "crops" / "train"),
            "data.val.root": str(crops / "crops" / "val"),
            "data.workers": plan.workers,
            "model.backbone.width": plan.width,
            "schedule.iterations": plan.steps,
            "schedule.milestones": milestones(plan.steps),
            "run.checkpoint_every": plan.steps,
            "run.loggers": [],
            "recompute_bn": min(1000, plan.train),
        },
    )
    return []


def milestones(iterations: int) -> list[int]:
    """Where the learning rate falls: after 7 and after 9 tenths."""
    return sorted({max(iterations * tenths // 10, 1) for tenths in (7, 9)})


def train(plan: Plan, kind: str, seed: int) -> list[dict[str, Any]]:
    """Train a detector: ``plain``, ``context``, or ``four-step`` with a quarter of the iterations in each step."""
    name = f"{kind}_{seed}"
    if plan.model(name).is_file():
        return []
    folder, total = plan.run(name), plan.iterations
    quarter = {"iterations": total // 4, "milestones": milestones(total // 4)}
    began = time.monotonic()
    resdet.train(
        "coco_r50",
        output=folder,
        device=plan.device,
        restart=folder.exists(),
        data={
            "train": [plan.source("train")],
            "short_side": [plan.short_side],
            "test_short_side": plan.short_side,
            "workers": plan.workers,
        },
        training="alternating" if kind == "four-step" else "joint",
        alternating={"rpn": quarter, "roi": quarter},
        **{
            "data.val": None,
            "model.backbone.name": "resnet18",
            "model.backbone.weights": str(plan.weights or plan.model("classifier")),
            "model.backbone.width": 0 if plan.weights else plan.width,
            "model.roi.batch_size_per_image": plan.regions,
            "model.roi.context": kind == "context",
            "optimizer.lr": 0.01,
            "optimizer.base_batch": 0,
            "optimizer.clip_norm": 10,
            "schedule.iterations": total,
            "schedule.milestones": milestones(total),
            "schedule.warmup_iterations": -1,
            "run.batch": 4,
            "run.seed": seed,
            "run.precision": plan.precision,
            "run.log_every": max(total // 10, 1),
            "run.checkpoint_every": total,
            "run.eval_every": 0,
            "run.loggers": [],
        },
    )
    return [{"model": kind, "seeds": str(seed), "piece": "training", "s": round(time.monotonic() - began, 1)}]


def evaluate(plan: Plan, kind: str, seeds: tuple[int, ...], variant: str, against: Path | None) -> list[dict[str, Any]]:
    """Evaluate a detector, or several together, and compare it with the detections of another evaluation."""
    names = [f"{kind}_{seed}" for seed in seeds]
    folder, images = evaluation(plan, kind, seeds, variant), plan.images(variant)
    began = time.monotonic()
    if not (folder / "metrics.json").is_file():
        resdet.evaluate(
            plan.run(names[0]) / "config.yaml",
            [plan.model(name) for name in names],
            output=folder,
            how=EvaluationOptions(device=plan.device, precision=plan.precision),
            data={"val": plan.source(images), "workers": plan.workers},
            model={"test": plan.test(variant)},
        )
    seconds = time.monotonic() - began
    box = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["bbox"]
    row = {
        "model": kind,
        "seeds": " ".join(map(str, seeds)),
        "piece": variant,
        "s": round(seconds, 1),
        "images": getattr(plan, images),
        "AP": round(box["AP"], 4),
        "AP50": round(box["AP50"], 4),
    }
    if against:
        row["against"] = against.name.replace("_", " ")
        for each in compared(plan.annotations(images), against, folder)[:2]:
            ends = {"gain": each.change, "low": each.low, "high": each.high}
            row |= {f"{each.name} {end}": round(value, 4) for end, value in ends.items()}
    return [row]


def evaluation(plan: Plan, kind: str, seeds: tuple[int, ...], variant: str) -> Path:
    """The folder of an evaluation."""
    return plan.folder / "evaluations" / f"{kind}_{''.join(map(str, seeds))}_{variant}"


def compared(annotations: Path, before: Path, after: Path) -> list[Difference]:
    """AP and AP50 of two evaluations on the images of an annotation file, which the first may have more of."""
    truth = read_ground_truth(annotations)
    known = set(truth.image_ids)
    sides = []
    for folder in (before, after):
        rows = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
        sides.append(DetectionColumns.from_results([row for row in rows if row["image_id"] in known], truth))
    return compare_detections(truth, *sides)


def times(plan: Plan, models: list[tuple[str, tuple[int, ...], str]]) -> list[dict[str, Any]]:
    """How long each way takes for an image, from the picture in memory to detections, one image at a time."""
    rows = json.loads(plan.annotations("few").read_text(encoding="utf-8"))["images"][: plan.timed]
    images = [np.asarray(Image.open(plan.folder / "data" / row["file_name"]).convert("RGB")) for row in rows]
    ways: dict[tuple[str, ...], partial[None]] = {}
    for kind, seeds, variant in models:
        files = [plan.model(f"{kind}_{seed}") for seed in seeds]
        detector = resdet.load(files, device=plan.device, precision=plan.precision, test=plan.test(variant))
        ways[kind, " ".join(map(str, seeds)), variant] = partial(_each, detector.predict, images)
    # two rounds of warm-up: each picture's size is new to cuDNN once
    found = by_turns(ways, torch.device(plan.device), rounds=15, seconds=plan.timing, warmup=2)
    return [
        {"model": kind, "seeds": seeds, "piece": f"time of {variant}", "ms an image": ms(median / len(images))}
        for (kind, seeds, variant), median in found.items()
    ]


def _each(predict: Any, images: list[Any]) -> None:
    for image in images:
        predict(image)
