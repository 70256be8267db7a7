"""The four steps, through the command: what each trains and keeps, kills, and resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from close_detections import assert_close_detections, edges_of, rows_as_detections
from detector_runs import ALTERNATING, KilledError, command, differing, killed_before_save, log, model
from run_files import RunFile, changed, write_run_file

import resdet.training.detection.alternating as alternating
from resdet.cli import main
from resdet.config.schema import DetectionTestConfig
from resdet.data.proposals import read_provenance
from resdet.engine.checkpoint_hooks import CheckpointHook
from resdet.engine.task import Results
from resdet.models.build.detector import build_postprocess
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.training.detection.evaluation import DetectorEvaluation

STEPS = ("step1_rpn", "step2_roi", "step3_rpn", "step4_roi")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(detection_values: RunFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alternating")
    return write_run_file(folder / "alt.yaml", changed(detection_values, ALTERNATING))


@pytest.fixture(scope="module")
def unbroken(config: Path) -> Path:
    folder = config.parent / "unbroken"
    assert main(command(config, folder)) == 0
    return folder


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


def test_the_detector_is_evaluated_as_it_was_read(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the form in which a run would train it: channels last, compiled, averaged."""
    write, plain = DetectorEvaluation.write, []

    def watched(self: DetectorEvaluation, detector: FasterRCNN, folder: Path) -> Results:
        plain.append(all(parameter.is_contiguous() for parameter in detector.parameters()))
        return write(self, detector, folder)

    monkeypatch.setattr(DetectorEvaluation, "write", watched)
    assert main(command(config, tmp_path / "run", "run.channels_last=true")) == 0
    assert plain == [True]


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
