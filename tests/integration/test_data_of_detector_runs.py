"""Detectors trained through the command on data with all that is optional: proposals from files, transforms, repeats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from detector_runs import ALTERNATING, KilledError, command, differing, killed_before_save, log, model
from run_files import RunFile, changed

from resdet.cli import main
from resdet.config.schema import DetectionSourceConfig
from resdet.data.proposals import make_proposals, write_proposals
from resdet.data.sources.detection import build_dataset
from resdet.engine.checkpoint_hooks import CheckpointHook
from resdet.models.detection.faster_rcnn import FasterRCNN

pytestmark = pytest.mark.slow


def test_precomputed_proposals_are_used_in_every_place(
    detection_values: RunFile, run_file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file for training and one for validation: the region classifier never asks the RPN."""
    values = changed(detection_values, {**ALTERNATING, "data.hflip": 0.0, "data.short_side": [64]})
    for split in ("train", "val"):
        source = values["data"]["train"][0] if split == "train" else values["data"]["val"]
        dataset = build_dataset([DetectionSourceConfig(**source)])
        boxes = [dataset.target(index).boxes + 1 for index in range(len(dataset))]
        found = make_proposals(dataset.image_ids, boxes, [torch.ones(len(each)) for each in boxes])
        source["proposals"] = str(tmp_path / f"{split}.safetensors")
        write_proposals(source["proposals"], found)
    seen: list[bool] = []
    losses = FasterRCNN.losses

    def spied(self: FasterRCNN, images: Any, targets: Any, proposals: Any = None, *others: Any) -> Any:
        seen.append(proposals is not None)
        if proposals is not None:
            for boxes, target in zip(proposals, targets, strict=True):
                scale = target.size[1] / 96 if target.size[1] > target.size[0] else target.size[0] / 96
                inside = boxes[: len(target)] - target.boxes
                assert inside.abs().max() <= scale * 1.5 + 0.1  # moved by one pixel of the original
        return losses(self, images, targets, proposals, *others)

    monkeypatch.setattr(FasterRCNN, "losses", spied)
    monkeypatch.setattr(FasterRCNN, "propose", lambda *_: pytest.fail("the RPN was asked for training proposals"))
    assert main(command(Path(run_file(values)), tmp_path / "alternating")) == 0
    assert seen == [False] * 4 + [True] * 3 + [False] * 4 + [True] * 3
    assert not (tmp_path / "alternating" / "proposals").exists()
    seen.clear()
    joint = run_file(changed(values, {"training": "joint", "schedule": {"iterations": 2}}), None, "joint.yaml")
    assert main(command(Path(joint), tmp_path / "joint")) == 0
    assert seen == [True] * 2
    assert {"loss_rpn_cls", "loss_roi_cls"} <= log(tmp_path / "joint")[0].keys()
    # nothing but the file's regions is tested: without them there is nothing to detect
    dataset = build_dataset([DetectionSourceConfig(**{**values["data"]["val"], "proposals": ""})])
    empty = make_proposals(dataset.image_ids, [torch.zeros(0, 4)] * len(dataset), [torch.zeros(0)] * len(dataset))
    write_proposals(tmp_path / "val.safetensors", empty)
    run = ["eval", "--config", joint, "--weights", str(tmp_path / "joint" / "model.safetensors"), "--device", "cpu"]
    assert main([*run, "--output", str(tmp_path / "eval"), "model.test.score_thresh=0"]) == 0
    assert json.loads((tmp_path / "eval" / "detections.json").read_text()) == []


def test_a_wrong_file_of_proposals_is_told(
    detection_values: RunFile, run_file: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.safetensors"
    write_proposals(path, make_proposals([1, 999], [torch.zeros(0, 4)] * 2, [torch.zeros(0)] * 2))
    values = changed(detection_values, {"data.workers": 0})
    values["data"]["train"][0]["proposals"] = str(path)
    assert main(command(Path(run_file(values)), tmp_path / "run")) == 3
    assert "p.safetensors: images that the data set does not have: 1, with the ids 999" in capsys.readouterr().err
    values["data"]["train"][0]["proposals"] = str(tmp_path / "none")
    assert main(command(Path(run_file(values)), tmp_path / "run")) == 2
    assert "option 'data.train.proposals' must name a file" in capsys.readouterr().err
    values["data"]["train"] = [values["data"]["train"][0], {**values["data"]["train"][0], "proposals": ""}]
    assert main(command(Path(run_file(values)), tmp_path / "run")) == 2
    assert "option 'data.train[1].proposals' must name a file, as that of the other" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_all_options_of_the_data_together(
    detection_values: RunFile,
    detector_run: Path,
    run_file: Callable[..., str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fine-tuning with transforms, sizes between two, repeats, and images without objects; resumed bit for bit."""
    transforms = [{"name": "RandomIoUCrop"}, {"name": "RandomZoomOut", "side_range": [1, 2]}, "RandomPhotometricDistort"]
    (source,) = detection_values["data"]["train"]
    content = json.loads(Path(source["annotations"]).read_text())
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] > 6]
    annotations = tmp_path / "some_empty.json"
    annotations.write_text(json.dumps(content))
    options = {
        "data.train": [{**source, "annotations": str(annotations)}],
        "data.transforms": transforms,
        "data.short_side": [60, 80],
        "data.short_side_drawn": "between",
        "data.repeat_thresh": 0.5,
        "data.skip_empty": False,
        "model.weights": str(detector_run / "model.safetensors"),
        "model.freeze_at": 1,
        "data.workers": 0,
        "schedule": {"iterations": 6},
        "run.checkpoint_every": 3,
        "run.log_every": 1,
    }
    config = Path(run_file(detection_values, options))
    assert main(command(config, tmp_path / "whole")) == 0
    assert f"detector from {detector_run / 'model.safetensors'}: loaded" in caplog.text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointHook, "after_step", killed_before_save("broken", "5"))
        with pytest.raises(KilledError):
            main(command(config, tmp_path / "broken"))
    assert main(command(config, tmp_path / "broken", "--resume")) == 0
    assert differing(model(tmp_path / "whole"), model(tmp_path / "broken")) == set()
    assert torch.equal(model(tmp_path / "whole")["trunk.conv1.weight"], model(detector_run)["trunk.conv1.weight"])
