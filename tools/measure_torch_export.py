"""Files of torch.export, plain and compiled by AOTInductor, beside their models: a table of docs/results/export.

    python tools/measure_torch_export.py PHOTO … --weights resnet18_imagenet_pq.fp16.pth

A ResNet-18 classifier with these weights, and a detector on them whose heads are untrained and spread. Each file is held
against its model on the photos. Seconds of a picture are processor seconds of one thread, resizing and reading included, the
best of eight, for the first photo; seconds to write are those of the process and of the compiler.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from inference import spread
from machine import about_machine, checkout, versions
from measure_export import seconds

import resdet
from resdet.config import config_from_dict
from resdet.config.schema import DetectorConfig
from resdet.data.transforms.sizes import to_tensor
from resdet.errors import ResdetError
from resdet.export.check import try_exported
from resdet.export.subject import read_subject
from resdet.export.torch_files import write_torch_file
from resdet.images import read_image
from resdet.inference.detector import Detector
from resdet.inference.load_exported import model_of
from resdet.models.build import build_detector
from resdet.models.convert.convert_file import convert_file

SHORT, LONG, PROPOSALS, CLASSES = 600, 1000, 300, 20
ROUNDS = 8


def main() -> None:
    """Measure, and print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--weights", required=True)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"commit {checkout()}, {about_machine()['cpu']}, {versions()}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        classifier, detector = Path(folder) / "classifier.safetensors", Path(folder) / "detector.safetensors"
        convert_file(args.weights, classifier)
        resdet.save(made_detector(args.weights, args.photos[0]), detector)
        for source in (classifier, detector):
            measure(source, args.photos)


def made_detector(weights: str, photo: str) -> Detector:
    """A detector with a trained trunk, whose heads are spread on a photo."""
    torch.manual_seed(0)
    values = {"backbone": {"name": "resnet18", "weights": weights}, "rpn": {"post_nms_top_n_test": PROPOSALS}}
    model = build_detector(config_from_dict(DetectorConfig, values), [f"class {label}" for label in range(CLASSES)]).eval()
    with torch.no_grad():
        spread(model, to_tensor(read_image(photo)))
    return Detector(model, short_side=SHORT, max_side=LONG)


def measure(source: Path, photos: list[str]) -> None:
    """Rows of one model: in torch, and as both files."""
    subject, pictures = read_subject(source, resize=False, test={}), [read_image(photo) for photo in photos]
    row(source.stem, "the plain model", "", "", seconds(subject.original, photos[0], ROUNDS))
    row(source.stem, "resdet.load", "", "", seconds(resdet.load(source, device="cpu"), photos[0], ROUNDS))
    for compiled in (False, True):
        target = source.with_suffix(".pt2")
        begun, clock = processor_seconds(), time.perf_counter()
        program = write_torch_file(target, subject, {}, compiled=compiled)
        spent, waited = processor_seconds() - begun, time.perf_counter() - clock
        trial = try_exported(program, subject, pictures)
        if trial.problems:
            raise ResdetError(trial.problems)
        taken = seconds(model_of(program), photos[0], ROUNDS)
        way = "compiled" if compiled else "torch.export"
        row(source.stem, way, f"{target.stat().st_size / 1e6:.1f}", f"{spent:.0f} ({waited:.0f} on the clock)", taken)
        print(f"  {trial.losses}", flush=True)


def row(*cells: object) -> None:
    """A row of the table."""
    print("| " + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |", flush=True)


def processor_seconds() -> float:
    """Of this process, and of those it started that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


if __name__ == "__main__":
    main()
