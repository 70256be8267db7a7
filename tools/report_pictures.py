#!/usr/bin/env python3
"""Draw the pictures of docs/report.md: a page about generated data, photographed by a browser without a window.

python tools/report_pictures.py docs/images     needs chromium, chromedriver and selenium
"""

import argparse
import contextlib
import io
import json
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from resdet.config import load_config
from resdet.data.formats.coco import read_coco
from resdet.data.synthetic.scenes import make_shapes
from resdet.evaluation import GroundTruth, score_detections
from resdet.files import write_text
from resdet.report.html.run import write_report
from resdet.report.results import write_detections, write_metrics

_WIDTH, _HEIGHT, _LESS = 1280, 1120, 800  # pixels of the pictures
_CONFIG = """
task: detection
from_scratch: true
data:
  train: [{format: coco, root: DATA/images/train, annotations: DATA/annotations/instances_train.json}]
  val: {format: coco, root: DATA/images/val, annotations: DATA/annotations/instances_val.json}
"""


def main() -> None:
    """Make the data, the run and the page, and photograph it light and dark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--run", type=Path, help="keep the run here (default: nowhere)")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        run = make_run(arguments.run or Path(temporary))
        with contextlib.chdir(run.parent):  # the page shows the name of the folder
            page, *_ = write_report(run.name, load_config("shapes/config.yaml"))
            photograph(page, folder)


def make_run(folder: Path) -> Path:
    """A run folder on generated shapes, as a detector would have left it that is good, but not perfect."""
    data, run = folder / "data", folder / "shapes"
    make_shapes(data, train=120, val=80, size=256, seed=4)
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / "config.yaml", _CONFIG.replace("DATA", str(data.absolute())))
    truth = GroundTruth.from_dataset(read_coco(data / "images" / "val", data / "annotations" / "instances_val.json"))
    found = guesses(truth, np.random.default_rng(0))
    write_detections(run, found)
    write_metrics(run, score_detections(truth, found))
    write_text(run / "log.jsonl", "".join(json.dumps(line) + "\n" for line in log_lines()))
    return run


def log_lines() -> list[dict[str, Any]]:
    """The log of a training of 2,000 steps."""
    lines: list[dict[str, Any]] = []
    for iteration in range(20, 2001, 20):
        rate, near = (0.01 if iteration < 1500 else 0.001), math.exp(-iteration / 500)
        parts = {"loss_rpn": 0.1 + 0.4 * near, "loss_class": 0.2 + near, "loss_box": 0.15 + 0.7 * near}
        lines.append({"iteration": iteration, "lr": rate, "loss": sum(parts.values()), **parts})
        if iteration % 200 == 0:
            last = {"AP": 0.56, "AP50": 0.74, "AP75": 0.67}
            bbox = {name: value * (1 - math.exp(-iteration / 700)) for name, value in last.items()}
            lines.append({"iteration": iteration, "eval": {"bbox": bbox}, "score": bbox["AP"]})
    return lines


def guesses(truth: GroundTruth, generator: np.random.Generator) -> dict[str, Any]:
    """Detections as columns of COCO results: near objects, of other classes, twice, and anywhere."""
    rows = []
    for image, category, box in zip(truth.image.tolist(), truth.category.tolist(), truth.boxes, strict=True):
        if generator.random() < 0.9:
            sure = generator.beta(6, 1.6)
            spread = 0.03 if generator.random() < 0.85 else 0.25
            label = category if generator.random() < 0.93 else int(generator.integers(len(truth.names)))
            rows.append((image, label, box + generator.normal(0, spread, 4) * box[[2, 3, 2, 3]], sure))
        if generator.random() < 0.12:
            rows.append((image, category, box * generator.uniform(0.92, 1.05), generator.beta(1.5, 5)))
    for image in range(len(truth.image_ids)):
        for _ in range(generator.poisson(0.5)):
            box = np.concatenate([generator.uniform(0, 180, 2), generator.uniform(12, 70, 2)])
            rows.append((image, int(generator.integers(len(truth.names))), box, generator.beta(1.3, 3)))
    images, categories, boxes, scores = zip(*rows, strict=True)
    return {
        "image_id": np.array(truth.image_ids)[list(images)],
        "category_id": np.array(truth.category_ids)[list(categories)],
        "bbox": np.maximum(np.stack(boxes), 0.5),
        "score": np.array(scores),
    }


def photograph(page: Path, folder: Path) -> None:
    """Write ``report.png``, the beginning of the page, and ``report_viewer.png``, a picture of it in full size, dark."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location, driver = (
        shutil.which(name) or sys.exit(f"{name}: not here") for name in ("chromium", "chromedriver")
    )
    size = f"--window-size={_WIDTH},{_HEIGHT}"
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--force-prefers-reduced-motion", size):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        browser.get(page.absolute().as_uri())
        _save(browser.get_screenshot_as_png(), folder / "report.png")
        browser.set_window_size(_WIDTH, _LESS)
        browser.find_element("id", "theme").click()
        browser.execute_script("document.querySelectorAll('.card')[1].click()")
        time.sleep(1)  # the picture is read from its file
        _save(browser.get_screenshot_as_png(), folder / "report_viewer.png")
    finally:
        browser.quit()


def _save(png: bytes, path: Path) -> None:
    """Few colours make a small file."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(256, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
