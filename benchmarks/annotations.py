"""COCO-sized annotations: the memory of a worker, its growth over an epoch, and reading the file, with the cache and without.

The file is made: as many images and boxes as COCO's train2017, seeded, with outlines as long as its own on average. Nothing is
decoded: workers draw every image's target twice, in random order. Its memory is what it shares with nobody and its share of
what it does (PSS); its growth is that of what it shares with nobody (USS) over the second epoch. Linux only.

    python benchmarks/annotations.py [--images 118000] [--boxes 860000]
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measure import Claim, Result, Sample, arguments, compare_in_processes, measure_step, print_sample
from reporting import report

MEBI = 2**20
MOST, GROWTH = 400 * 10**6, 1 * MEBI  # "none": allocators round
BATCHES = 100
STARTS = ("fork", "forkserver", "spawn")  # Linux: the first before Python 3.14, the second from it on


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--boxes", type=int, default=860_000)
    parser.add_argument("--way", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        way, place = args.way[0], Path(args.way[1])
        if way in STARTS:
            epoch(place, way)
        else:
            print_sample(reading(place, place / "cache" if way == "from the cache" else None))
        return
    images, boxes = (1000, 7000) if args.quick else (args.images, args.boxes)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), images, boxes)
        size = f"{images:,} images, {boxes:,} boxes".replace(",", "\N{NARROW NO-BREAK SPACE}")
        results = [result for start in STARTS for result in worker_memory(size, start, folder)]
        ways = {way: command(way, folder) for way in ("from the cache", "from the json")}
        read = compare_in_processes(
            Claim(f"reading the annotations, {size}", None),
            ways,
            ours="from the cache",
            peer="from the json",
            repeats=min(args.repeats, 3),
        )
        results += [read, replace(read, claim=Claim("its peak of memory", None, "bytes"))]
    report("Annotations", results, json_path=args.output, quick=args.quick)


def worker_memory(size: str, start: str, folder: str) -> list[Result]:
    """What a worker held at most, and by how much its own memory grew; of one run, for memory does not scatter."""
    done = subprocess.run(command(start, folder), check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    held = [json.loads(line) for line in done.stdout.splitlines()]
    # the two workers take turns; in the first epoch they copy a few pages that they share at first, and fill allocators' caches
    first, last = held[BATCHES - 2 : BATCHES], held[-2:]
    grown = max(each["Uss"] for each in last) - max(each["Uss"] for each in first)
    figures = (
        (Claim(f"memory of a worker, {size}, {start}", MOST, "bytes"), max(each["Pss"] for each in held)),
        (Claim(f"its growth over an epoch, {start}", GROWTH, "bytes"), grown),
    )
    return [Result(claim, {"resdet": [Sample(0.0, 0.0, value)]}, "resdet", None) for claim, value in figures]


def command(way: str, folder: str) -> list[str]:
    """The process that measures a way."""
    return [sys.executable, __file__, "--way", way, folder]


def make(folder: Path, images: int, boxes: int) -> None:
    """Write ``instances.json`` with outlines, and empty image files."""
    import numpy as np

    draw = np.random.default_rng(0)
    (folder / "images").mkdir()
    rows: dict[str, list[Any]] = {"images": [], "categories": [{"id": k + 1, "name": f"class {k}"} for k in range(80)]}
    for number in range(1, images + 1):
        name = f"{number:012}.jpg"
        (folder / "images" / name).touch()
        rows["images"].append({"id": number, "file_name": name, "height": 480, "width": 640})
    owners = draw.integers(1, images + 1, boxes).tolist()
    corners, sides = draw.uniform(0, 400, (boxes, 2)).round(2), draw.uniform(4, 80, (boxes, 2)).round(2)
    labels, outline = draw.integers(1, 81, boxes).tolist(), draw.uniform(0, 480, 50).round(2).tolist()
    with (folder / "instances.json").open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(rows)[:-1] + ', "annotations": [')
        for key, (owner, label, corner, side) in enumerate(zip(owners, labels, corners.tolist(), sides.tolist(), strict=True)):
            entry = {"id": key + 1, "image_id": owner, "category_id": label, "iscrowd": 0, "bbox": corner + side}
            entry |= {"area": side[0] * side[1], "segmentation": [outline]}
            file.write((", " if key else "") + json.dumps(entry))
        file.write("]}")


@dataclass(frozen=True)
class Targets:
    """A view that draws targets and reads what its process holds."""

    dataset: Any

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, keys: list[tuple[int, int]]) -> dict[str, int]:
        """The memory of this process after ``keys`` were drawn, bytes: ``Pss``, and what it shares with nobody, ``Uss``."""
        for index, _ in keys:
            self.dataset.target(index)
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        held = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        return {"Pss": held["Pss"], "Uss": held["Private_Clean"] + held["Private_Dirty"]}


def epoch(folder: Path, start: str) -> None:
    """Print what two workers held after each of their batches of two epochs."""
    import torch.multiprocessing as processes

    from resdet.data.formats.coco import read_coco
    from resdet.data.loading.loader import train_loader
    from resdet.data.loading.samplers import endless_batches

    processes.set_start_method(start)
    view = Targets(read_coco(folder / "images", folder / "instances.json", cache=folder / "cache"))
    size = max(1, len(view) // BATCHES)
    batches = itertools.islice(endless_batches(len(view), size, 0), 2 * BATCHES)
    for held in train_loader(view, list(batches), 2):
        print(json.dumps(held), flush=True)


def reading(folder: Path, cache: Path | None) -> Sample:
    """Reading the file, and by how much that raised the peak of the process."""
    from resdet.data.formats.coco import read_coco

    return measure_step(lambda: read_coco(folder / "images", folder / "instances.json", cache=cache))


if __name__ == "__main__":
    main()
