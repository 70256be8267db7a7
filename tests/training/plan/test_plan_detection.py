"""Plans of detectors, on a clock of our own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resdet.config import load_config
from resdet.config.schema import DetectionRunConfig
from resdet.data.dataset import DetectionDataset, concatenate
from resdet.data.sources.detection import build_dataset
from resdet.errors import ConfigError
from resdet.training.plan import detection, plan_detection, planned_run
from resdet.training.plan.run import run_folder
from resdet.training.plan.timing import Timing

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[DetectionRunConfig]:
    """A machine on which a step takes a second for every 100,000 pixels of shorter side squared; the configs it timed."""
    timed: list[DetectionRunConfig] = []

    def time_detection(config: DetectionRunConfig, dataset: DetectionDataset, device: torch.device) -> Timing:
        timed.append(config)
        return Timing(step=config.data.test_short_side**2 / 1e5, image=0.1)

    monkeypatch.setattr(detection, "time_detection", time_detection)
    return timed


def planned(files: Any, folder: Path, budget: float = 1800.0, *overrides: str, **options: object) -> DetectionRunConfig:
    return plan_detection(
        files.images.parent, device=CPU, output=folder, budget=budget, overrides=overrides, say=lambda line: None, **options
    ).config


def test_the_steps_fill_the_time(tiny_coco: Any, tmp_path: Path) -> None:
    config = planned(tiny_coco, tmp_path / "run", 120)
    step = config.data.test_short_side**2 / 1e5
    images = len(build_dataset([config.data.val]))
    assert config.schedule.iterations * step + 0.1 * images + 15 == pytest.approx(120, abs=step)
    first, second = config.schedule.milestones
    assert 0 < first < second < config.schedule.iterations
    assert config.schedule.warmup_iterations < first


def test_where_there_is_no_time_the_picture_is_smaller(tiny_coco: Any, tmp_path: Path, clock: list[DetectionRunConfig]) -> None:
    """320 is wanted, but only at 256 there would be more steps; the least is taken whatever the steps are."""
    config = planned(tiny_coco, tmp_path / "run", 60)
    assert [timed.data.test_short_side for timed in clock] == [320, 256]
    assert config.data.test_short_side == 256
    assert config.data.short_side == [230, 256, 282]
    clock.clear()
    assert planned(tiny_coco, tmp_path / "long", 10_000).data.test_short_side == 320
    assert len(clock) == 1


def test_steps_end_where_they_would_only_repeat(tiny_coco: Any, tmp_path: Path) -> None:
    config = planned(tiny_coco, tmp_path / "run", 10**6)
    usable = 6 - 1 - len(build_dataset([config.data.val]))  # one of the six has no objects
    assert config.schedule.iterations in (round(100 * usable / 2), round(100 * (usable + 1) / 2))


def test_what_is_given_wins_and_is_what_is_timed(tiny_coco: Any, tmp_path: Path, clock: list[DetectionRunConfig]) -> None:
    config = planned(
        tiny_coco, tmp_path / "run", 600, "run.batch=1", "schedule.iterations=7", "schedule.milestones=[5]", "data.hflip=0"
    )
    assert (config.run.batch, config.schedule.iterations, config.schedule.milestones, config.data.hflip) == (1, 7, [5], 0)
    assert all(timed.run.batch == 1 for timed in clock)


def test_the_split_is_written_beside_the_run_and_read_from_there(tiny_coco: Any, tmp_path: Path) -> None:
    config = planned(tiny_coco, tmp_path / "run")
    train, val = build_dataset(config.data.train), build_dataset([config.data.val], config.data.names)
    assert len(train) + len(val) == 6
    assert len(val) == 1
    assert Path(config.data.val.images) == tmp_path / "run" / "split" / "val.txt"
    assert config.data.names == ["box", "disk"]
    again = planned(tiny_coco, tmp_path / "again")
    assert Path(again.data.val.images).read_text() == Path(config.data.val.images).read_text()


def test_the_plan_is_told_and_the_config_can_be_read_again(tiny_coco: Any, tmp_path: Path) -> None:
    told: list[str] = []
    plan = plan_detection(tiny_coco.images.parent, device=CPU, output=tmp_path / "run", budget=100, say=told.append)
    assert told == plan.lines
    text = "\n".join(told)
    assert "2 classes: box, disk" in text
    assert f"{plan.config.schedule.iterations:,} steps of 2 images, about 2 minutes on" in text
    assert str(tmp_path / "run" / "config.yaml") in text


def test_what_would_be_in_vain_is_told(tiny_coco: Any, tmp_path: Path) -> None:
    config = planned(tiny_coco, tmp_path / "run")
    dataset = build_dataset(config.data.train, config.data.names)
    assert detection.doubts(config, dataset) == []
    many = concatenate([dataset] * 3)  # ten small objects are worth a word
    small = replace(config, data=replace(config.data, short_side=[16]))
    assert [found.kind for found in detection.doubts(small, many)] == ["objects-small"]
    fractions = replace(dataset, boxes=dataset.boxes / 1000)
    assert [found.kind for found in detection.doubts(config, fractions)] == ["boxes-as-fractions"]


@pytest.mark.parametrize(
    ("model", "name"), [(None, "resnet18"), ("r18", "resnet18"), ("r50", "resnet50"), ("r101", "resnet101")]
)
def test_models(model: str | None, name: str, tiny_coco: Any, tmp_path: Path) -> None:
    config = planned(tiny_coco, tmp_path / "run", model=model)
    assert config.model.backbone.name == name
    assert config.model.backbone.weights == f"datasets/weights/{name}.pth"


def test_another_model_is_an_error(tiny_coco: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--model must be one of r18, r50, r101 for a detector, got 'r34'"):
        planned(tiny_coco, tmp_path / "run", model="r34")


def test_a_folder_with_a_run_is_told_before_anything_is_timed(
    tiny_coco: Any, tmp_path: Path, clock: list[DetectionRunConfig]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run_2").mkdir()
    (tmp_path / "run" / "state.pt").touch()
    with pytest.raises(ConfigError, match=r"run holds a run; .* such as .*run_3"):
        planned_run(tiny_coco.images.parent, output=tmp_path / "run", device=CPU)
    assert not clock


def test_resuming_plans_nothing(tiny_coco: Any, tmp_path: Path, clock: list[DetectionRunConfig]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("base: demo_det\n")
    config = planned_run(tiny_coco.images.parent, output=tmp_path / "run", device=CPU, resume=True)
    assert config.schedule == load_config("demo_det").schedule
    assert config.output == str(tmp_path / "run")
    assert not clock


def test_the_data_s_name_is_the_run_s() -> None:
    assert run_folder("some/my photos.zip") == Path("runs/my_photos")
    assert run_folder("x/data.yaml") == Path("runs/data")
    assert run_folder("x", "y") == Path("y")
