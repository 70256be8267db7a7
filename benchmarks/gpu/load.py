"""Whether workers keep up: 640×480 JPEGs to batches of 224×224 crops in the device's memory, all of the processors at it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import input as photos  # of the benchmarks' folder
from stage import Deadline, Report, arguments, device, wait

from resdet.data.formats.folder import read_folder
from resdet.data.loading.loader import train_loader
from resdet.data.loading.samplers import endless_batches
from resdet.data.loading.views import ClassificationView
from resdet.data.transforms.classification import ClassificationTrainTransform


def main() -> None:
    args = arguments(__doc__).parse_args()
    where, deadline = device(args.rehearse), Deadline(args.seconds)
    report = Report(args.output, "The way of the data: images a second")
    count, batch = (8, 4) if args.rehearse else (512, 256)
    workers = [0, 1] if args.rehearse else [os.cpu_count() or 1, (os.cpu_count() or 2) // 2]
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(photos.shown(None, min(count, 64))):
            for copy in range(0, count, 64):
                path = Path(folder) / str(number % 2) / f"{number + copy}.jpg"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
        dataset = read_folder(Path(folder), None)
        for way, fast in (("data.decode fast", True), ("data.decode exact", False)):
            for processes in workers:
                transform = ClassificationTrainTransform(224, (), 0, 0.5, 0.0, crop_from="area")
                view = ClassificationView(dataset, transform, fast=fast)
                loader = train_loader(view, endless_batches(len(dataset), batch, 0), processes, pin=where.type == "cuda")
                for _ in range(2):
                    next(loader).to(where)
                wait(where)
                began, images = time.perf_counter(), 0
                while images < batch * (2 if args.rehearse else 40) and time.perf_counter() - began < min(4, deadline.left):
                    images += len(next(loader).to(where))
                wait(where)
                report.row(way=way, workers=processes, images=f"{images / (time.perf_counter() - began):.0f}")
                loader.close()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
