"""What every test may use: the real data beside the repository, a tiny COCO data set, the shipped run files."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
import torch
from coco_files import CocoFiles
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]

# what torch.compile keeps belongs to the instructions it was compiled for, which caps change without its knowing
_CAPS = "-".join(os.environ.get(name, "") for name in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_CBWR"))
os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(ROOT / "build" / "cache" / f"inductor-{_CAPS}")

# the same examples in every run, and no deadline: the machine may be busy with other tests
hypothesis.settings.register_profile("resdet", deadline=None, derandomize=True)
hypothesis.settings.load_profile("resdet")


@pytest.fixture(scope="session", autouse=True)
def threads() -> None:
    """One thread, or as many as TEST_THREADS says: sums in the same order in every run, in parallel no more than processors.

    Threads of several processes that wait for each other on one processor are ten times slower than none; programs that a test
    starts inherit the setting.
    """
    os.environ["OMP_NUM_THREADS"] = os.environ.get("TEST_THREADS", "1")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images and weights beside the repository; skips where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data: no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def configs() -> Path:
    """The folder of the shipped run files."""
    return ROOT / "configs"


@pytest.fixture
def tiny_coco(tmp_path: Path) -> CocoFiles:
    """Six images, 64 x 48 and 48 x 64 in turn: red boxes (category 1) and green disks (category 7) on grey.

    The image with id 5 is empty, the one with id 6 holds a crowd region besides its objects.
    """
    files = CocoFiles(tmp_path / "tiny_coco" / "images", tmp_path / "tiny_coco" / "instances.json")
    files.images.mkdir(parents=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for image_id in range(1, 7):
        width, height = (64, 48) if image_id % 2 else (48, 64)
        name = f"{image_id:06d}.png"
        picture = Image.new("RGB", (width, height), (128, 128, 128))
        draw = ImageDraw.Draw(picture)
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        objects = [(1, (4 + image_id, 6, 16, 20), 0), (7, (28, 18 + image_id, 16, 16), 0)] if image_id != 5 else []
        for category, (x, y, w, h), _ in objects:
            shape = draw.rectangle if category == 1 else draw.ellipse
            shape((x, y, x + w - 1, y + h - 1), fill=(220, 30, 30) if category == 1 else (30, 200, 30))
        if image_id == 6:
            objects.append((1, (30, 0, 12, 12), 1))
        for category, (x, y, w, h), crowd in objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [float(x), float(y), float(w), float(h)],
                    "area": float(w * h),
                    "iscrowd": crowd,
                }
            )
        picture.save(files.images / name)
    categories = [{"id": 1, "name": "box"}, {"id": 7, "name": "disk"}]
    files.write({"images": images, "annotations": annotations, "categories": categories})
    return files
