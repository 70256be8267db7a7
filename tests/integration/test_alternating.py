"""The four steps, through the command: what each trains and keeps, kills, resumes, and proposals from files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from close_detections import assert_close_detections, edges_of, rows_as_detections
from run_files import RunFile, changed, write_run_file
from safetensors.torch import load_file

import resdet.training.detection.alternating as alternating
from resdet.cli import main
from resdet.config.schema import DetectionSourceConfig, DetectionTestConfig
from resdet.data.proposals import make_proposals, read_provenance, write_proposals
from resdet.data.sources.detection import build_dataset
from resdet.engine.checkpoint_hooks import CheckpointHook
from resdet.engine.run import Progress
from resdet.models.build.detector import build_postprocess
from resdet.models.detection.faster_rcnn import FasterRCNN

STEPS = ("step1_rpn", "step2_roi", "step3_rpn", "step4_roi")
OPTIONS = {
    "training": "alternating",
    "alternating": {"rpn": {"batch": 3, "iterations": 4, "milestones": [3]}, "roi": {"iterations": 3}},
    "schedule": {"iterations": 9, "warmup_iterations": 2},
    "model.test.score_thresh": 0.002,  # trained so little, a detector is sure of nothing
    "data.workers": 0,
    "run.log_every": 1,
    "run.checkpoint_every": 2,
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(detection_values: RunFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alternating")
    return write_run_file(folder / "alt.yaml", changed(detection_values, OPTIONS))


@pytest.fixture(scope="module")
def unbroken(config: Path) -> Path:
    folder = config.parent / "unbroken"
    assert main(command(config, folder)) == 0
    return folder


def command(config: Path, folder: Path, *more: str) -> list[str]:
    return ["train-det", "--config", str(config), "--output", str(folder), "--device", "cpu", *more]


def model(folder: Path, step: str = "") -> dict[str, torch.Tensor]:
    return load_file(folder / step / "model.safetensors")


def differing(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
    """The parts, "trunk", "rpn", "roi_heads", in which two networks differ by a bit or more."""
    assert one.keys() == other.keys()
    return {name.partition(".")[0] for name in one if not torch.equal(one[name], other[name])}


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_each_step_trains_its_part_and_keeps_the_rest(unbroken: Path) -> None:
    steps = {step: model(unbroken, step) for step in STEPS}
    assert differing(steps["step1_rpn"], steps["step2_roi"]) == {"trunk", "rpn", "roi_heads"}
    assert differing(steps["step2_roi"], steps["step3_rpn"]) == {"rpn"}
    assert differing(steps["step3_rpn"], steps["step4_roi"]) == {"roi_heads"}
    assert differing(steps["step4_roi"], model(unbroken)) == set()
    for step in STEPS:
        lines, part = log(unbroken / step), step[-3:]
        assert [line["iteration"] for line in lines] == list(range(1, 5 if part == "rpn" else 4))
        assert {name for name in lines[0] if name.startswith("loss_")} == {f"loss_{part}_cls", f"loss_{part}_box"}
        assert (unbroken / step / "report" / "curves.png").is_file()
    rates = [line["lr"] for line in log(unbroken / "step1_rpn")]
    assert rates[2:] == pytest.approx([0.005, 0.0005])
    metrics = json.loads((unbroken / "metrics.json").read_text())
    assert metrics["bbox"]["AP"] is not None
    assert json.loads((unbroken / "steps.json").read_text()).keys() == set(STEPS)


def test_only_the_part_of_a_step_has_momentum(unbroken: Path) -> None:
    trained = {}
    for step in STEPS:
        state = torch.load(unbroken / step / "state.pt", weights_only=True)
        trained[step] = sum(len(group["params"]) for group in state["optimizer"]["param_groups"])
    trunk = trained["step1_rpn"] - trained["step3_rpn"]
    assert trained["step3_rpn"] == 6  # three convolutions
    assert trained["step2_roi"] - trained["step4_roi"] == trunk > 10


def test_the_result_is_a_detector_like_any_other(unbroken: Path, shapes: Path, tmp_path: Path) -> None:
    run = [
        "eval",
        "--config",
        str(unbroken / "config.yaml"),
        "--weights",
        str(unbroken / "model.safetensors"),
        "--device",
        "cpu",
    ]
    assert main([*run, "--output", str(tmp_path)]) == 0
    found, expected = (json.loads((folder / "detections.json").read_text()) for folder in (tmp_path, unbroken))
    assert len(expected) > 0
    # the run evaluates the network as it trains, eval its fast form: equal up to rounding
    assert {row["image_id"] for row in found} == {row["image_id"] for row in expected}
    for image_id in {row["image_id"] for row in expected}:
        mine, theirs = (rows_as_detections([row for row in rows if row["image_id"] == image_id]) for rows in (found, expected))
        assert_close_detections(mine, theirs, edges=edges_of(build_postprocess(DetectionTestConfig(score_thresh=0.002))))


class KilledError(Exception):
    """Where a test ends the program."""


def test_killed_everywhere_and_resumed_is_the_unbroken_run(
    config: Path, unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    # before anything is saved, a run begins anew without being asked to resume
    for where, resume in (
        ("step1_rpn:1", ()),
        ("step2_roi:3", ()),
        ("step3_rpn:4", ("--resume",)),
        ("step4_roi:2", ("--resume",)),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CheckpointHook, "after_step", killed_before_save(*where.split(":")))
            with pytest.raises(KilledError):
                main(command(config, folder, *resume))
        if where == "step2_roi:3":
            assert main(command(config, folder)) == 2
            assert "holds a run; pass --resume" in capsys.readouterr().err
            shutil.rmtree(folder / "proposals")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(alternating, "cached_proposals", killed_after_images(patch, 17))
                with pytest.raises(KilledError):
                    main(command(config, folder, "--resume"))
            (kept,) = (folder / "proposals" / "step1_rpn").iterdir()
            # the words of the first release: with others a resumed run would not know what it has kept
            assert read_provenance(kept)["filter"].keys() == {"pre_nms", "post_nms", "nms_iou", "min_size"}
    assert main(command(config, folder, "--resume")) == 0
    for step in ("", *STEPS):
        assert differing(model(folder, step), model(unbroken, step)) == set(), step
        assert not step or len(log(folder / step)) == len(log(unbroken / step))
    assert (folder / "detections.json").read_bytes() == (unbroken / "detections.json").read_bytes()
    assert json.loads((folder / "steps.json").read_text()) == json.loads((unbroken / "steps.json").read_text())


def killed_before_save(step: str, iteration: str) -> Callable[[CheckpointHook, Progress], None]:
    after_step = CheckpointHook.after_step
    pending = [True]

    def killed(self: CheckpointHook, progress: Progress) -> None:
        if pending and self.model_path.parent.name == step and progress.iteration == int(iteration):
            pending.clear()
            raise KilledError
        after_step(self, progress)

    return killed


def killed_after_images(patch: pytest.MonkeyPatch, images: int) -> Callable[..., Any]:
    propose, whole, count = FasterRCNN.propose, alternating.cached_proposals, [0]

    def counted(self: FasterRCNN, batch: Any) -> Any:
        count[0] += len(batch)
        if count[0] == images:
            raise KilledError
        return propose(self, batch)

    patch.setattr(FasterRCNN, "propose", counted)
    return lambda *args, **options: whole(*args, **options, shard=10)


def test_a_finished_run_is_not_trained_again(
    config: Path, unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(unbroken, tmp_path / "run"))
    before = {step: (folder / step / "state.pt").stat().st_mtime_ns for step in STEPS}
    assert main(command(config, folder, "--resume")) == 0
    assert {step: (folder / step / "state.pt").stat().st_mtime_ns for step in STEPS} == before
    capsys.readouterr()
    assert main(command(config, folder)) == 2
    assert "holds a run; pass --resume" in capsys.readouterr().err


def test_another_model_in_a_finished_step_is_refused(
    config: Path, unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(unbroken, tmp_path / "run"))
    shutil.copy(folder / "step1_rpn" / "model.safetensors", folder / "step2_roi" / "model.safetensors")
    (folder / "step4_roi" / "model.safetensors").unlink()
    assert main(command(config, folder, "--resume")) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "step2_roi/model.safetensors: is not the model that the finished step left there" in errors[0]


def test_a_step_that_began_on_other_proposals_is_refused(
    config: Path, unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(unbroken, tmp_path / "run"))
    # as if step 3 had been trained once more meanwhile: step 4 has begun on what the former left
    finished = json.loads((folder / "steps.json").read_text())
    before = finished["step3_rpn"]
    del finished["step4_roi"]
    shutil.copy(folder / "step2_roi" / "model.safetensors", folder / "step3_rpn" / "model.safetensors")
    finished["step3_rpn"] = finished["step2_roi"]
    (folder / "steps.json").write_text(json.dumps(finished))
    assert main(command(config, folder, "--resume")) == 2
    assert "step3_rpn/00000.safetensors: made anew, for it is of another model" in caplog.text
    errors = capsys.readouterr().err
    for word in ("start", "proposals"):
        assert f"step4_roi/state.pt: trained on {word} '{before}', the data has '{finished['step2_roi']}' now" in errors


def test_precomputed_proposals_are_used_in_every_place(
    detection_values: RunFile, run_file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file for training and one for validation: the region classifier never asks the RPN."""
    values = changed(detection_values, {**OPTIONS, "data.hflip": 0.0, "data.short_side": [64]})
    for split in ("train", "val"):
        source = values["data"]["train"][0] if split == "train" else values["data"]["val"]
        dataset = build_dataset([DetectionSourceConfig(**source)])
        boxes = [dataset.target(index).boxes + 1 for index in range(len(dataset))]
        found = make_proposals(dataset.image_ids, boxes, [torch.ones(len(each)) for each in boxes])
        source["proposals"] = str(tmp_path / f"{split}.safetensors")
        write_proposals(source["proposals"], found)
    seen: list[bool] = []
    losses = FasterRCNN.losses

    def spied(self: FasterRCNN, images: Any, targets: Any, proposals: Any = None, parts: Any = ("rpn", "roi")) -> Any:
        seen.append(proposals is not None)
        if proposals is not None:
            for boxes, target in zip(proposals, targets, strict=True):
                scale = target.size[1] / 96 if target.size[1] > target.size[0] else target.size[0] / 96
                inside = boxes[: len(target)] - target.boxes
                assert inside.abs().max() <= scale * 1.5 + 0.1  # moved by one pixel of the original
        return losses(self, images, targets, proposals, parts)

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
    assert f"detector from {detector_run / 'model.safetensors'}:\nloaded" in caplog.text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointHook, "after_step", killed_before_save("broken", "5"))
        with pytest.raises(KilledError):
            main(command(config, tmp_path / "broken"))
    assert main(command(config, tmp_path / "broken", "--resume")) == 0
    assert differing(model(tmp_path / "whole"), model(tmp_path / "broken")) == set()
    assert torch.equal(model(tmp_path / "whole")["trunk.conv1.weight"], model(detector_run)["trunk.conv1.weight"])
