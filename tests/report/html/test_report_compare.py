"""``resdet report compare``: two runs side by side."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from test_report_run import make_run

from resdet.cli import main
from resdet.evaluation.predictions import Predictions, write_predictions


@pytest.fixture
def runs(tiny_coco: Any, tmp_path: Path) -> tuple[Path, Path]:
    source = {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)}
    before, after = (make_run(tmp_path / name, source, tiny_coco.read(), seed) for name, seed in (("old", 2), ("new", 0)))
    return before, after


def test_two_detectors(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    before, after = runs
    assert main(["report", "compare", str(before), str(after)]) == 0
    out, err = capsys.readouterr()
    assert err == f"written: {after / 'compare.html'}\n"
    numbers = [json.loads((run / "metrics.json").read_text())["bbox"] for run in runs]
    assert out.splitlines()[0].split()[:4] == ["AP", f"{numbers[0]['AP']:.3f}", "->", f"{numbers[1]['AP']:.3f}"]
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["AP", "AP50", "AP75"]
    assert out.splitlines()[-1].startswith("images: ")
    text = (after / "compare.html").read_text(encoding="utf-8")
    assert "new compared with old" in text
    assert '"runs":["old","new"]' in text
    assert "Left: old. Right: new." in text
    assert '<th scope="col"><button type="button"></button>' not in text


def test_what_cannot_be_compared(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    before, after = runs
    config = yaml.safe_load((before / "config.yaml").read_text())
    config["data"]["val"]["root"] = "elsewhere"
    (before / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["report", "compare", str(before), str(after)]) == 2
    assert "error: runs of different validation sets: data.val.root is 'elsewhere' in " in capsys.readouterr().err
    (before / "config.yaml").write_text("task: classification\n")
    assert main(["report", "compare", str(before), str(after)]) == 2
    assert f"runs of different tasks: {before} is classification, {after} is detection" in capsys.readouterr().err
    (before / "config.yaml").write_text((after / "config.yaml").read_text())
    (before / "detections.json").unlink()
    assert main(["report", "compare", str(before), str(after)]) == 2
    assert f"error: {before}: holds no results: there is no detections.json" in capsys.readouterr().err


def test_two_classifiers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("n02084071", "n02121808")
    (tmp_path / "words.txt").write_text("n02084071\tdog, domestic dog\n")
    for label, name in enumerate(names):
        (tmp_path / "val" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (16, 16), (200 * label, 30, 30)).save(tmp_path / "val" / name / f"{number}.png")
    labels = np.array([0] * 4 + [1] * 4)
    source = {"format": "folder", "root": str(tmp_path / "val")}
    for run, right in (("old", 4), ("new", 7)):
        (tmp_path / run).mkdir()
        config = {"task": "classification", "data": {"val": source}}
        (tmp_path / run / "config.yaml").write_text(yaml.safe_dump(config))
        sure = np.where(np.arange(8) < right, 0.9, 0.2)
        probabilities = np.stack([np.where(labels == 0, sure, 1 - sure), np.where(labels == 1, sure, 1 - sure)], 1)
        files = tuple(f"{number}.png" for number in range(8))
        write_predictions(
            tmp_path / run / "predictions.npz", Predictions(probabilities.astype(np.float32), labels, names, files)
        )
    assert main(["report", str(tmp_path / "new")]) == 0
    page = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert "Confusion" in page
    assert 'title="dog (n02084071)"' in page
    capsys.readouterr()
    assert main(["report", "compare", str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.split()[:5] == ["top-1", "error", "0.500", "->", "0.125"]
    assert last == "images: 3 better, 0 worse, 5 alike"
    page = (tmp_path / "new" / "compare.html").read_text(encoding="utf-8")
    assert "its class is right now and was wrong before" in page
    assert 'title="dog (n02084071)"' in page
    assert re.findall(r'title="(better|worse|may be chance)"', page) == ["better"]  # the error fell, by 3 in 8


def test_two_evaluations_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (16, 16)).save(mkdir(tmp_path / "val" / "cat") / "0.png")
    Image.new("RGB", (16, 16)).save(mkdir(tmp_path / "val" / "dog") / "0.png")
    config = {"task": "classification", "data": {"val": {"format": "folder", "root": str(tmp_path / "val")}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    for name, sure in (("a", 0.9), ("b", 0.2)):
        probabilities = np.array([[sure, 1 - sure], [0, 1]], np.float32)
        predictions = Predictions(probabilities, np.arange(2), ("cat", "dog"), ("cat/0.png", "dog/0.png"))
        write_predictions(tmp_path / f"{name}.npz", predictions)
        files = [
            "--config",
            tmp_path / "mine.yaml",
            "--predictions",
            tmp_path / f"{name}.npz",
            "--output",
            tmp_path / "out" / name,
        ]
        assert main(["eval", *map(str, files)]) == 0
    assert main(["report", "compare", str(tmp_path / "out" / "a"), str(tmp_path / "out" / "b")]) == 0
    assert capsys.readouterr().out.endswith("images: 0 better, 1 worse, 1 alike\n")


def mkdir(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
