"""Whole detectors, exported and compared with their models on photos: the table of docs/results/export.

    python tools/measure_export.py FOLDER_OF_PHOTOS … --weights resnet50_msra_bgr_stride_in_1x1.fp16.pth [--photos 20]

Each detector is written for ONNX Runtime and for OpenVINO, and each file is refused where a box is more than 0.01 pixels or a
score more than 0.0001 from the model's. Heads are untrained and spread; a trunk without weights of its own is untrained too,
with branches that add little. CPU seconds are those of one thread, the best of three, for the largest photo.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from inference import spread
from machine import about_machine, checkout, versions

import resdet
from resdet.config import config_from_dict
from resdet.config.schema import DetectorConfig
from resdet.data.transforms.sizes import to_tensor
from resdet.export.export import export_file
from resdet.images import read_image
from resdet.inference.detector import Detector
from resdet.models.build import build_detector

KINDS: dict[str, dict[str, Any]] = {
    "ResNet-50, stride in the 1×1": {"backbone": {"name": "resnet50", "stride_in_1x1": True}},
    "ResNet-101": {"backbone": {"name": "resnet101"}},
    "ResNet-50, stride in the 3×3": {"backbone": {"name": "resnet50"}},
    "ResNet-50, context": {"backbone": {"name": "resnet50", "stride_in_1x1": True}, "roi": {"context": True}},
    "ResNet-50, 20 classes, RoIAlign half a pixel off": {
        "backbone": {"name": "resnet50", "stride_in_1x1": True},
        "roi": {"pooling": "align_v1"},
    },
}
SHORT, LONG, PROPOSALS, CLASSES = 480, 800, 100, 80


def main() -> None:
    """Measure, and print a row for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    photos = chosen(args.folders, args.photos)
    print(f"commit {checkout()}, {about_machine()['cpu']}, {versions()}", flush=True)
    sizes = sorted({Image.open(photo).size for photo in photos})
    print(
        f"{len(photos)} photos of {len(sizes)} sizes: {', '.join(f'{width} × {height}' for width, height in sizes)}", flush=True
    )
    for kind in args.kinds:
        with tempfile.TemporaryDirectory() as folder:
            measure(kind, photos, Path(folder), args.weights)


def chosen(folders: list[str], count: int) -> list[Path]:
    """So many photos, as many of each folder, evenly spaced in it."""
    found = []
    for folder in folders:
        paths, share = sorted(Path(folder).rglob("*.jpg")), -(-count // len(folders))
        found += paths[:: max(len(paths) // share, 1)][:share]
    return found[:count]


def measure(kind: str, photos: list[Path], folder: Path, weights: str) -> None:
    """Export one detector for both runtimes and print the rows."""
    torch.manual_seed(0)
    values = {"rpn": {"post_nms_top_n_test": PROPOSALS}, **KINDS[kind]}
    own = values["backbone"].get("stride_in_1x1", False)  # as the weights have it
    values["backbone"] = {**values["backbone"], **({"weights": weights, "pixels": "msra"} if own else {})}
    classes = 20 if "20 classes" in kind else CLASSES
    model = build_detector(config_from_dict(DetectorConfig, values), [f"class {label}" for label in range(classes)]).eval()
    with torch.no_grad():
        spread(model, to_tensor(read_image(photos[0])))
    source = folder / "model.safetensors"
    resdet.save(Detector(model, short_side=SHORT, max_side=LONG), source)
    largest = max(photos, key=lambda photo: Image.open(photo).size[0])
    in_torch = seconds(resdet.load_detector(source, device="cpu"), largest)
    for suffix, runtime in ((".onnx", "ONNX Runtime"), (".xml", "OpenVINO")):
        begun = time.perf_counter()
        made = export_file(source, folder / f"out{suffix}", images=photos)
        taken = seconds(resdet.load_detector(made.path), largest)
        cells = (
            kind,
            runtime,
            made.pictures,
            made.losses["detections"].split(",")[0],
            made.losses["box"],
            made.losses["score"],
        )
        times = (f"{made.size / 1e6:.1f}", f"{in_torch:.2f}", f"{taken:.2f}")
        print("| " + " | ".join(map(str, (*cells, *times))) + f" |  ({time.perf_counter() - begun:.0f} s)", flush=True)


def seconds(model: Any, photo: str | Path, rounds: int = 3) -> float:
    """Processor seconds of a photo, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        model.predict(photo)
        best = min(best, time.process_time() - begun)
    return best


if __name__ == "__main__":
    main()
