"""What docs/report.md does in FiftyOne: the objects and an evaluation's detections are there, with equal boxes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import python_blocks
from tiny_detectors import SMALL, tiny_detector, written

from resdet.cli import main
from resdet.data.synthetic.scenes import make_shapes

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs" / "report.md"
Boxes = dict[int, list[tuple[Any, ...]]]


@pytest.fixture
def fiftyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package, with a database of its own."""
    monkeypatch.setenv("FIFTYONE_DATABASE_DIR", str(tmp_path / "database"))
    monkeypatch.setenv("FIFTYONE_DO_NOT_TRACK", "true")
    package = pytest.importorskip("fiftyone", reason="fiftyone is not installed")
    try:
        package.list_datasets()
    except package.core.config.FiftyOneConfigError as error:
        pytest.skip(f"fiftyone starts no database: {error}")
    yield package
    for name in package.list_datasets():
        package.delete_dataset(name)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder has what the page names: photos with objects, and a run folder with ``detections.json``."""
    monkeypatch.chdir(tmp_path)
    make_shapes("shapes", train=1, val=3, size=64, seed=0)
    Path("shapes/images").rename("photos")
    Path("shapes/annotations").rename("annotations")
    truth = Path("annotations/instances_val.json")
    source = {"format": "coco", "root": "photos/val", "annotations": str(truth)}
    data = {"val": source, "test_short_side": 64, "max_side": 96, "workers": 0}
    Path("mine.yaml").write_text(json.dumps({"task": "detection", "model": SMALL, "data": data}))
    names = [each["name"] for each in json.loads(truth.read_text())["categories"]]
    written(Path("model.safetensors"), tiny_detector(1, names), (64, 96))
    assert main(["eval", "--config", "mine.yaml", "--weights", "model.safetensors", "--output", "runs/mine"]) == 0


def as_coco(rows: list[dict[str, Any]]) -> Boxes:
    """Of each picture the class number, box and score (1 where there is none) of its rows, sorted."""
    found = defaultdict(list)
    for row in rows:
        found[row["image_id"]].append((row["category_id"], *row["bbox"], row.get("score", 1)))
    return {number: sorted(each) for number, each in found.items()}


def of_samples(samples: Any, field: str, numbers: dict[str, int]) -> Boxes:
    """The same of FiftyOne's samples, whose boxes are shares of the sides."""
    found = {}
    for sample in samples:
        sides = (sample.metadata.width, sample.metadata.height) * 2
        labels = sample[field].detections if sample[field] else []
        found[sample.coco_id] = sorted(
            (
                numbers[each.label],
                *(part * side for part, side in zip(each.bounding_box, sides, strict=True)),
                each.confidence or 1,
            )
            for each in labels
        )
    return {number: each for number, each in found.items() if each}


def same(ours: Boxes, theirs: Boxes) -> None:
    assert ours.keys() == theirs.keys()
    for number, rows in ours.items():
        # a quotient and a product, each rounded in float64
        assert [pytest.approx(row, rel=1e-14, abs=1e-12) for row in rows] == theirs[number]


@pytest.mark.usefixtures("run")
def test_the_boxes_there_are_ours(fiftyone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(fiftyone, "launch_app", shown.append)
    (_, code), *_ = [block for block in python_blocks(PAGE.read_text(encoding="utf-8")) if "fiftyone" in block[1]]
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    truth = json.loads(Path("annotations/instances_val.json").read_text())
    detections = json.loads(Path("runs/mine/detections.json").read_text())
    assert len(truth["annotations"]) > 3
    assert len(detections) > 10
    numbers = {each["name"]: each["id"] for each in truth["categories"]}
    same(as_coco(truth["annotations"]), of_samples(names["photos"], "detections", numbers))
    same(as_coco(detections), of_samples(names["photos"], "predictions", numbers))
    (view,) = shown
    wrong = view.values("eval_fp")
    assert len(wrong) == 3
    assert wrong == sorted(wrong, reverse=True)
