"""What the evaluations of a run that goes on leave for ``resdet report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_detectors import short_run

import resdet
from resdet.engine.run import Hook, Run
from resdet.engine.task import Task
from resdet.report.html.run import config_of, write_report

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN")


class Looking(Hook):
    """Writes the report in the middle of the run."""

    def __init__(self) -> None:
        self.pages: dict[int, str] = {}

    def after_step(self, run: Run) -> None:
        if run.iteration in (1, 5):
            page, *_ = write_report(run.folder, config_of(run.folder))
            self.pages[run.iteration] = page.read_text(encoding="utf-8")


def trained(tiny_coco: Any, folder: Path, hook: Hook) -> None:
    options = short_run(tiny_coco)
    (source,) = options["data.train"]
    own = {"data.val.root": source["root"], "data.val.annotations": source["annotations"], "run.eval_every": 4}
    resdet.train("coco_r50", output=folder, device="cpu", hooks=[hook], **{**options, **own})


def test_the_report_of_a_run_that_goes_on(tiny_coco: Any, tmp_path: Path) -> None:
    looking = Looking()
    trained(tiny_coco, tmp_path / "run", looking)
    assert "no evaluation has written detections.json" in looking.pages[1]
    assert 'id="pictures"' not in looking.pages[1].lower()
    assert "Training has not ended: the numbers and pictures are those of its last evaluation." in looking.pages[5]
    assert ">Pictures</h2>" in looking.pages[5]
    assert not (tmp_path / "run" / "last_evaluation").exists()
    assert (tmp_path / "run" / "detections.json").is_file()


def test_a_full_disk_does_not_end_the_training(tiny_coco: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x/detections.json")

    monkeypatch.setattr("resdet.training.detection.task.DetectionTask.write_evaluation", full)
    with pytest.warns(UserWarning, match=r"x/detections\.json: no results for a report: No space left on device"):
        trained(tiny_coco, tmp_path / "run", Hook())
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_every_task_writes_its_evaluation() -> None:
    from resdet.training.classification.task import ClassificationTask
    from resdet.training.detection.task import DetectionTask
    from resdet.training.localization.task import LocalizationTask

    for task in (ClassificationTask, DetectionTask, LocalizationTask):
        assert task.write_evaluation is not Task.write_evaluation
