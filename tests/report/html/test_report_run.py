"""``resdet report`` and ``eval --report``: from the files of a run to its page."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny_detectors import SMALL, tiny_detector, written

from resdet.cli import main
from resdet.config import load_config
from resdet.evaluation import score_files
from resdet.report.html import Page, write_page
from resdet.report.html.blocks import Gallery, Picture, Section
from resdet.report.html.detection import key_numbers
from resdet.report.html.pictures import shown_pictures
from resdet.report.html.run import config_of, write_report
from resdet.report.html.summary import previous_run, to_reach

LOG = [{"iteration": n, "lr": 0.1, "loss": 2.0 / n, "loss_a": 1.0 / n, "loss_b": 1.0 / n} for n in range(1, 9)]


@pytest.fixture
def run(tiny_coco: Any, tmp_path: Path) -> Path:
    """A run folder on six pictures, with detections, numbers and a log."""
    source = {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)}
    return make_run(tmp_path / "runs" / "mine", source, tiny_coco.read())


def make_run(folder: Path, source: dict, content: dict, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    config = {"task": "detection", "from_scratch": True, "data": {"train": [source], "val": source}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    generator = np.random.default_rng(seed)
    rows = [
        {
            "image_id": each["image_id"],
            "category_id": each["category_id"],
            "bbox": (np.array(each["bbox"]) + generator.normal(0, 1, 4)).tolist(),
            "score": float(generator.uniform(0.3, 1)),
        }
        for each in content["annotations"][: -2 - seed]
    ]
    rows.append({"image_id": 5, "category_id": 1, "bbox": [1.0, 1.0, 12.0, 9.0], "score": 0.97})
    (folder / "detections.json").write_text(json.dumps(rows))
    metrics = score_files(source["annotations"], folder / "detections.json")
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LOG))
    return folder


def data_of(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    return json.loads(text.partition('id="page-data">')[2].partition("</script>")[0])


def headings(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [part.partition("</h2>")[0].rpartition(">")[2] for part in text.split("<h2")[1:]]


def test_report_writes_the_page_and_the_suspicions(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().err == f"written: {run / 'report.html'}, {run / 'label_suspicions.json'}\n"
    sections = [
        "Summary",
        "Pictures",
        "AP",
        "Scores",
        "Confusion",
        "Errors",
        "Calibration",
        "Suspected labels",
        "Learning",
        "Data",
    ]
    assert headings(run / "report.html") == sections
    pictures = data_of(run / "report.html")["gallery"]["pictures"]
    assert [picture[0] for picture in pictures] == [f"{number:06d}.png" for number in range(1, 7)]
    assert all((run / picture[1]).is_file() for picture in pictures)  # the links lead to the originals
    assert [picture[2:4] for picture in pictures[:2]] == [[64, 48], [48, 64]]
    suspicious = json.loads((run / "label_suspicions.json").read_text())
    assert suspicious[0]["kind"] == "no box"
    assert suspicious[0]["image_id"] == 5
    assert suspicious[0]["file"].endswith("000005.png")


def test_a_run_that_has_not_evaluated_yet(run: Path) -> None:
    (run / "detections.json").unlink()
    (run / "metrics.json").unlink()
    assert main(["report", str(run)]) == 0
    assert headings(run / "report.html") == ["Learning", "Data"]
    text = (run / "report.html").read_text("utf-8")
    assert "There are no results yet, and no pictures: no evaluation has written detections.json." in text


def test_a_run_that_goes_on_shows_its_last_evaluation(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = run / "last_evaluation"
    last.mkdir()
    for name in ("detections.json", "metrics.json"):
        (run / name).rename(last / name)
    told = "Training has not ended: the numbers and pictures are those of its last evaluation."
    assert main(["report", str(run)]) == 0
    assert told in (run / "report.html").read_text("utf-8")
    assert headings(run / "report.html")[:2] == ["Summary", "Pictures"]
    pictures = data_of(run / "report.html")["gallery"]["pictures"]
    assert len(pictures) == 6
    assert all((run / picture[1]).is_file() for picture in pictures)
    assert main(["report", "compare", str(run), str(run)]) == 0
    assert f"Training has not ended: {run}" in (run / "compare.html").read_text("utf-8")
    # of a run that has ended since, its own results count
    for name in ("detections.json", "metrics.json"):
        shutil.copyfile(last / name, run / name)
    assert main(["report", str(run)]) == 0
    assert told not in (run / "report.html").read_text("utf-8")


def test_a_run_without_a_step_or_a_validation_set(run: Path) -> None:
    (run / "log.jsonl").write_text("")
    config = yaml.safe_load((run / "config.yaml").read_text())
    del config["data"]["val"]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["report", str(run)]) == 0
    text = (run / "report.html").read_text("utf-8")
    assert "There is no validation set to show results on." in text
    assert "No learning curves: " in text


def test_a_picture_that_cannot_be_read(run: Path, tiny_coco: Any) -> None:
    (tiny_coco.images / "000002.png").write_bytes(b"no picture")
    page, _ = write_report(run, load_config(run / "config.yaml"))
    assert "1 of the pictures could not be read; their boxes are shown without them." in page.read_text("utf-8")
    assert [picture[2:4] for picture in data_of(page)["gallery"]["pictures"][:2]] == [[64, 48], [48, 64]]


def test_a_file_whose_name_is_no_text(run: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 100%#.png")
    try:
        Image.new("RGB", (20, 10)).save(tmp_path / name)
    except OSError:
        pytest.skip("a file system whose names are text")
    (shown,) = shown_pictures([0], lambda _: tmp_path / name, lambda _: Image.new("RGB", (1, 1)), tmp_path)
    assert shown.link == "caf%E9%20100%25%23.png"
    gallery = Gallery([Picture(*shown, [], [])], ("cat",), ("right", "left out"), 0.5)
    page = write_page(tmp_path / "page.html", Page("Page", {}, [Section("Pictures", [gallery])]))
    assert data_of(page)["gallery"]["pictures"][0][:2] == [name, shown.link]


def test_data_that_is_gone(run: Path, tiny_coco: Any) -> None:
    shutil.rmtree(tiny_coco.images)
    assert main(["report", str(run)]) == 0
    text = (run / "report.html").read_text("utf-8")
    assert "The validation set cannot be shown: " in text
    assert headings(run / "report.html") == ["Summary", "Learning"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "RUN/nowhere"], "nowhere: no such folder"),
        (["report", "RUN/config.yaml"], "config.yaml: must be the folder of a run, is a file"),
        (["report", "RUN/.."], "holds no run: there is no config.yaml in it or in the folder above"),
        (["report", "RUN", "RUN"], "report takes one run folder, or compare A B; got "),
        (["report", "compare", "RUN"], "report compare takes two run folders, got 1"),
    ],
)
def test_mistakes(run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([each.replace("RUN", str(run)) for each in arguments]) == 2
    assert message in capsys.readouterr().err


def test_detections_of_other_data_are_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "detections.json").write_text('[{"image_id": 77, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}]')
    assert main(["report", str(run)]) == 3
    assert (
        "detections.json: result 0: 'image_id' must be one of the ground truth's 6 image ids, got 77" in capsys.readouterr().err
    )


def test_results_of_other_classes_are_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["per_class"] = {"disk": {}, "box": {}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert main(["report", str(run)]) == 3
    assert "metrics.json: has the classes disk, box; the data has box, disk" in capsys.readouterr().err


def test_the_numbers_of_the_run_before_and_the_run_file(run: Path, tiny_coco: Any) -> None:
    source = yaml.safe_load((run / "config.yaml").read_text())["data"]["val"]
    other = make_run(run.parent / "other", source, tiny_coco.read(), seed=2)
    elsewhere = make_run(run.parent / "elsewhere", {**source, "root": "x"}, tiny_coco.read(), seed=3)
    for age, folder in ((300, other), (200, elsewhere), (100, run)):
        stamp = (run / "log.jsonl").stat().st_mtime - age
        os.utime(folder / "metrics.json", (stamp, stamp))
    previous = previous_run(run, run / "metrics.json", key_numbers)
    assert previous is not None
    assert previous.name == "other"
    assert previous.values["AP"] == json.loads((other / "metrics.json").read_text())["bbox"]["AP"]
    assert previous_run(other, other / "metrics.json", key_numbers) is None
    write_report(run, config_of(run))
    assert f"{previous.values['AP']:.3f} in other (" in (run / "report.html").read_text("utf-8")
    assert to_reach(run) == ""
    assert to_reach(Path("runs/voc07_r101")) == "mAP 0.764 with the VOC07 (11 point) metric (paper, Table 7)"


def test_eval_writes_a_report(tiny_coco: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = written(tmp_path / "a.safetensors", tiny_detector(1, ["box", "disk"]), (48, 64))
    source = {"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)}
    data = {"val": source, "test_short_side": 48, "max_side": 64, "workers": 0}
    values = {"task": "detection", "model": {**SMALL, "test": {"score_thresh": 0.01}}, "data": data}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    output = tmp_path / "eval"
    command = [
        "eval",
        "--config",
        str(tmp_path / "run.yaml"),
        "--weights",
        str(weights),
        "--output",
        str(output),
        "--device",
        "cpu",
    ]
    assert main(command) == 0
    assert not (output / "report.html").exists()
    assert main([*command, "--report"]) == 0
    assert f"{output / 'report.html'}, {output / 'label_suspicions.json'}\n" in capsys.readouterr().err
    assert "Pictures" in headings(output / "report.html")
    scored = ["eval", "--ground-truth", str(tiny_coco.annotations), "--detections", str(output / "detections.json"), "--report"]
    assert main(scored) == 2
