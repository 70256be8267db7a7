"""Every switch of the paper's appendix B on the three trained detectors; prints the table of README.md.

Usage: python measure.py KANGAROO RUNS   (the data; the folder of the runs kangaroo, kangaroo_seed1 and kangaroo_context)

With 33 photos a difference of some points is chance. So each row also has the standard error of its difference to the first
row, by drawing the photos anew 200 times, with replacement, the same draw for both (paired bootstrap).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from resdet.cli import main
from resdet.data.formats.voc import read_voc
from resdet.evaluation.coco import evaluate_coco

REFINE = ("model.test.refine=true", "model.test.vote_iou=0.5", "model.test.nms_thresh=0.3")
# the paper's pyramid in proportion: 200, 400, 600, 800, 1000 at 600
PYRAMID = ("model.test.short_sides=[107,213,320,427,533]",)
FLIP = ("model.test.flip=true",)
BASE, SEED1, CONTEXT = "kangaroo", "kangaroo_seed1", "kangaroo_context"
ROWS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "baseline": ((BASE,), ()),
    "box voting 0.5": ((BASE,), ("model.test.vote_iou=0.5",)),
    "refinement, NMS 0.3, voting 0.5": ((BASE,), REFINE),
    "mirror image": ((BASE,), FLIP),
    "pyramid 107 … 533": ((BASE,), PYRAMID),
    "soft NMS, gaussian": ((BASE,), ("model.test.soft_nms=gaussian",)),
    "baseline, another seed": ((SEED1,), ()),
    "ensemble of the two": ((BASE, SEED1), ()),
    "context": ((CONTEXT,), ()),
    "context, refinement, voting": ((CONTEXT,), REFINE),
    "context, refinement, voting, pyramid": ((CONTEXT,), (*REFINE, *PYRAMID)),
    "ensemble, refinement, voting, mirror image": ((BASE, SEED1), (*REFINE, *FLIP)),
}
DRAWS = 200


def evaluate(data: str, runs: Path, members: tuple[str, ...], options: tuple[str, ...], output: Path) -> list[dict[str, Any]]:
    """Run ``resdet eval`` and return the detections."""
    context = ("model.roi.context=true",) if CONTEXT in members else ()
    status = main(
        [
            *("eval", "--config", str(Path(__file__).with_name("baseline.yaml")), "--output", str(output), "--weights"),
            *(str(runs / name / "model.safetensors") for name in members),
            *(f"data.val.root={data}", *context, *options),
        ]
    )
    if status:
        sys.exit(status)
    found: list[dict[str, Any]] = json.loads((output / "detections.json").read_text())
    return found


def numbers(truth: dict[str, Any], found: list[dict[str, Any]], images: list[int]) -> np.ndarray:
    """AP, AP50 and AP75 on these images, which may come several times."""
    of_image: dict[int, list[dict[str, Any]]] = {}
    objects: dict[int, list[dict[str, Any]]] = {}
    for row in found:
        of_image.setdefault(row["image_id"], []).append(row)
    for row in truth["annotations"]:
        objects.setdefault(row["image_id"], []).append(row)
    sizes = {row["id"]: row for row in truth["images"]}
    drawn: dict[str, Any] = {"images": [], "annotations": [], "categories": truth["categories"]}
    results = []
    for number, image in enumerate(images, start=1):
        drawn["images"].append({**sizes[image], "id": number})
        for row in objects.get(image, []):
            drawn["annotations"].append({**row, "id": len(drawn["annotations"]) + 1, "image_id": number})
        results += [{**row, "image_id": number} for row in of_image.get(image, [])]
    box = evaluate_coco(drawn, results).to_dict()["bbox"]
    return np.array([box[key] for key in ("AP", "AP50", "AP75")], dtype=float)


def measure(data: str, runs: Path) -> None:
    """Evaluate every row and print the table."""
    truth = read_voc(data, "val").ground_truth()
    ids = [row["id"] for row in truth["images"]]
    rng = np.random.default_rng(0)
    draws = [rng.choice(ids, len(ids)).tolist() for _ in range(DRAWS)]
    lines = []
    reference: list[np.ndarray] = []
    for number, (name, (members, options)) in enumerate(ROWS.items()):
        found = evaluate(data, runs, members, options, runs / "kangaroo_switches" / str(number))
        values = numbers(truth, found, ids)
        resampled = [numbers(truth, found, draw) for draw in draws]
        reference = reference or resampled
        errors = np.std(np.array(resampled) - np.array(reference), axis=0)
        cells = [f"{value:.3f}" + (f" ± {error:.3f}" if number else "") for value, error in zip(values, errors, strict=True)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("| | AP | AP50 | AP75 |\n|---|---|---|---|", *lines, sep="\n")


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]))
