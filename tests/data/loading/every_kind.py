"""A program that loads every kind of data set with one worker, started in one way, and tells what came.

python every_kind.py METHOD FOLDER    # a digest a kind, then errors, then what becomes of the worker
"""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import os
import sys
import warnings
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from resdet.data.convert.shard_writer import write_shards
from resdet.data.convert.write import convert_dataset
from resdet.data.formats.cifar import read_cifar
from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.formats.image_list import read_image_list
from resdet.data.formats.shards import read_shards
from resdet.data.formats.voc import read_voc
from resdet.data.formats.yolo import read_yolo
from resdet.data.loading.loader import train_loader
from resdet.data.loading.region_crops import RegionView
from resdet.data.loading.views import ClassificationView, DetectionView, LocalizationView
from resdet.data.localization import dominant_objects
from resdet.data.proposals import make_proposals
from resdet.data.synthetic.scenes import make_shapes
from resdet.data.transforms.augmentation import build_augmentation
from resdet.data.transforms.classification import ClassificationTrainTransform
from resdet.data.transforms.detection import DetectionTrainTransform
from resdet.data.transforms.localization import LocalizationTrainTransform
from resdet.errors import DataError

KEYS = [(0, 5), (2, 6), (1, 7)]


def halves(image: Image.Image) -> list[Tensor]:
    """An image at two scales."""
    return [pil_to_tensor(image.reduce(2)), pil_to_tensor(image)]


def make_files(folder: Path) -> None:
    """Write a data set of each kind into a new folder."""
    make_shapes(folder / "shapes", train=8, val=1, size=64, seed=0)
    coco = read_coco(folder / "shapes" / "images" / "train", next((folder / "shapes").rglob("*train*.json")))
    for to in ("voc", "yolo"):
        convert_dataset(coco, to, folder / to, "train")
    crops = folder / "shapes" / "crops" / "train"
    write_shards(read_folder(crops), crops, folder / "shards", "train", 1 << 20)
    lines = [f"{path.relative_to(crops).as_posix()},{path.parent.name}" for path in sorted(crops.rglob("*.jpg"))]
    (folder / "list.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    (folder / "cifar").mkdir()
    draw = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        rows = draw.integers(0, 256, (2, 3073), dtype=np.uint8)
        rows[:, 0] %= 10
        (folder / "cifar" / f"{name}.bin").write_bytes(rows.tobytes())
    (folder / "cifar" / "batches.meta.txt").write_text("".join(f"{chr(ord('a') + k)}\n" for k in range(10)))


def views(folder: Path) -> dict[str, Any]:
    """A view of each kind of data set, with all that is random in training."""
    coco = read_coco(folder / "shapes" / "images" / "train", next((folder / "shapes").rglob("*train*.json")))
    augmentation = build_augmentation([{"name": "ColorJitter", "brightness": 0.5}, {"name": "RandomVerticalFlip"}])
    sized = DetectionTrainTransform((40, 50), 100, 0.5, augmentation=augmentation)
    plain = DetectionTrainTransform((40, 50), 100, 0.5)
    regions, by_index = (
        make_proposals(ids, [torch.tensor([[1.0, 2, 30, 40]])] * len(ids), [torch.ones(1)] * len(ids))
        for ids in (coco.image_ids, [0, 1, 2])
    )
    crops = folder / "shapes" / "crops" / "train"
    square, area = (
        ClassificationTrainTransform(24, (26, 32), 2, 0.5, 0.1),
        ClassificationTrainTransform(24, (), 0, 0.5, 0.1, crop_from="area"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of images without objects
        boxed = dominant_objects(coco)
    return {
        "coco": DetectionView(coco, sized, seed=1, pyramid=halves, proposals=regions),
        "voc": DetectionView(read_voc(folder / "voc", "train"), plain, seed=2, fast=True),
        "yolo": DetectionView(read_yolo(folder / "yolo", "train"), sized, seed=3),
        "folder": ClassificationView(read_folder(crops), square, seed=4),
        "list": ClassificationView(read_image_list(crops, folder / "list.csv"), area, seed=5),
        "shards": ClassificationView(read_shards(folder / "shards", "train"), area, seed=6, fast=True),
        "cifar": ClassificationView(
            read_cifar(folder / "cifar", "train"), ClassificationTrainTransform(32, (), 4, 0.5, 0), seed=7
        ),
        "localization": LocalizationView(boxed, LocalizationTrainTransform(32, (36, 40), 0.5, 0.1), seed=8),
        "regions": RegionView(boxed, by_index, np.zeros(3, np.int32), 16),
    }


class All:
    """Views as one: each batch holds one of each, and the process that loaded it."""

    def __init__(self, parts: dict[str, Any]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(KEYS)

    def batch(self, keys: Sequence[tuple[int, int]]) -> list[Any]:
        return [os.getpid(), *(part.batch(keys) for part in self.parts.values())]


class Faulty:
    """Errors of a user's data and of a program, by the key."""

    def __len__(self) -> int:
        return 2

    def batch(self, keys: Sequence[tuple[int, int]]) -> int:
        if keys[0][0] == 0:
            raise DataError(["a.jpg: cannot be read", "b.jpg: neither"])
        raise ZeroDivisionError("a fault of ours")


def digest(value: Any) -> str:
    """A word for all that a value holds, its tensors' types and shapes too."""
    found = hashlib.sha256()

    def add(item: Any) -> None:
        found.update(type(item).__name__.encode())
        if isinstance(item, Tensor):
            found.update(f"{item.dtype} {tuple(item.shape)}".encode() + item.contiguous().numpy().tobytes())
        elif dataclasses.is_dataclass(item):
            for part in vars(item).values():
                add(part)
        elif isinstance(item, (list, tuple)):
            found.update(str(len(item)).encode())
            for part in item:
                add(part)
        else:
            found.update(repr(item).encode())

    add(value)
    return found.hexdigest()[:16]


def main() -> None:
    method, folder = sys.argv[1], Path(sys.argv[2])
    multiprocessing.set_start_method(method)
    every = All(views(folder))
    batches = train_loader(every, (list(KEYS) for _ in count()), 1)
    worker, *loaded = next(batches)
    for name, batch in zip(every.parts, loaded, strict=True):
        print(name, digest(batch))
    for index in range(2):
        try:
            list(train_loader(Faulty(), [[(index, 0)]], 1))
        except DataError as error:
            print("DataError", *error.problems, sep="; ")
        except ZeroDivisionError as error:
            print("ZeroDivisionError", "a fault of ours" in str(error), sep="; ")
    print("worker", worker, flush=True)
    if sys.stdin.readline().strip() == "wait":
        sys.stdin.read()
    # the iterator is kept: ending is not left to the collector


if __name__ == "__main__":
    main()
