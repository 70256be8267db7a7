"""A classifier's plan: its split, its size, batch and schedule for the time there is, and what is said of odd classes."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resdet.config.schema import ClassificationRunConfig
from resdet.data.formats.image_list import read_image_list
from resdet.errors import ConfigError, DataError
from resdet.training.plan import choose_classes, classification, plan_classification, planned_run
from resdet.training.plan.facts import ClassFacts
from resdet.training.plan.timing import Timing
from resdet.training.schedule import scaled_rate

Planned = Callable[..., tuple[ClassificationRunConfig, list[str]]]


def photos(folder: Path, count: int, side: int = 40) -> None:
    """Photos of coarse noise, no two alike, the same for the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(str(folder.name).encode()))
    for number in range(count):
        noise = Image.fromarray(rng.integers(0, 255, (9, 8, 3), dtype=np.uint8))
        noise.resize((side + 10, side), Image.Resampling.NEAREST).save(folder / f"{number:03}.png")


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Plans the run of a folder on a machine whose steps take half a second at 224 pixels, and an image 0.01."""

    def time(config: ClassificationRunConfig, *_: object) -> Timing:
        return Timing(0.5 * (config.data.crop / 224) ** 2 * config.run.batch / 32, 0.01)

    def plan(
        folder: Path, *overrides: str, budget: float = 600, model: str | None = None
    ) -> tuple[ClassificationRunConfig, list[str]]:
        plan = plan_classification(
            folder,
            device=torch.device("cpu"),
            output=tmp_path / "run",
            model=model,
            budget=budget,
            overrides=overrides,
            say=lambda _: None,
        )
        assert isinstance(plan.config, ClassificationRunConfig)
        return plan.config, plan.lines

    monkeypatch.setattr(classification, "time_classification", time)
    return plan


def listed(file: str) -> list[tuple[str, str]]:
    with Path(file).open(newline="") as lines:
        header, *rows = csv.reader(lines)
    assert header == ["path", "label"]
    return [(path, label) for path, label in rows]


def test_a_folder_is_split_by_class(tmp_path: Path, planned: Planned) -> None:
    for name, count in (("cat", 30), ("dog, small", 15), ("emu", 5)):
        photos(tmp_path / "pets" / name, count)
    config, lines = planned(tmp_path / "pets")
    parts = [listed(source.annotations) for source in (config.data.train, config.data.val)]
    assert [Counter(label for _, label in part) for part in parts] == [
        {"cat": 24, "dog, small": 12, "emu": 4},
        {"cat": 6, "dog, small": 3, "emu": 1},
    ]
    everything = {path.relative_to(tmp_path / "pets").as_posix() for path in (tmp_path / "pets").rglob("*.png")}
    assert {path for part in parts for path, _ in part} == everything
    assert all(path.rpartition("/")[0] == label for part in parts for path, label in part)
    for source in (config.data.train, config.data.val):
        assert (source.format, source.root) == ("list", str(tmp_path / "pets"))
        assert read_image_list(source.root, source.annotations).names == ("cat", "dog, small", "emu")
    assert lines[:3] == [
        "data:  folders of classes",
        f"split: 40 images for training, 10 for validation; lists in {tmp_path / 'run' / 'split'}",
        "train: 40 images of 3 classes: cat, dog, small, emu",
    ]
    assert planned(tmp_path / "pets")[0] == config


def test_copies_of_a_photo_stay_together(tmp_path: Path, planned: Planned) -> None:
    for name in ("cat", "dog"):
        photos(tmp_path / "pets" / name, 10)
        for path in list((tmp_path / "pets" / name).iterdir()):
            with Image.open(path) as image:
                image.resize((200, 160)).convert("RGB").save(path.with_name(f"again{path.stem}.jpg"), quality=80)
    config, _ = planned(tmp_path / "pets")
    parts = [
        {path.replace("again", "")[:-4] for path, _ in listed(s.annotations)} for s in (config.data.train, config.data.val)
    ]
    assert len(parts[1]) == 4
    assert not parts[0] & parts[1]


def test_linked_images_are_listed_where_they_are(tmp_path: Path, planned: Planned) -> None:
    for name in ("cat", "dog"):
        photos(tmp_path / "all" / name, 6)
        (tmp_path / "chosen" / name).mkdir(parents=True)
        for path in (tmp_path / "all" / name).iterdir():
            (tmp_path / "chosen" / name / path.name).symlink_to(path)
    config, _ = planned(tmp_path / "chosen")
    dataset = read_image_list(config.data.train.root, config.data.train.annotations)
    assert len(dataset) + len(listed(config.data.val.annotations)) == 12
    assert {dataset.path(index).parent.parent for index in range(len(dataset))} == {tmp_path / "all"}


def test_parts_are_taken_as_they_are(tmp_path: Path, planned: Planned) -> None:
    for part in ("train", "valid"):
        for name in ("cat", "dog"):
            photos(tmp_path / part / name, 4)
    config, lines = planned(tmp_path)
    assert (config.data.train.root, config.data.val.root) == (str(tmp_path / "train"), str(tmp_path / "valid"))
    assert lines[0] == "data:  folders of classes, in train and valid"
    assert lines[1].startswith("note:  8 images of validation are copies of one in training: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_list_may_say_the_parts(form: str, tmp_path: Path, planned: Planned) -> None:
    photos(tmp_path / "birds", 8)
    parts = ["train", "TEST", "train", "valid", "test", "Train", "valid", ""]
    rows = [(f"{number:03}.png", "owl" if number % 3 else "tit", part) for number, part in enumerate(parts)]
    text = "".join(f"{path},{name},{part}\n" for path, name, part in rows)
    if form == "jsonl":
        text = "".join(f'{{"file_name": "{path}", "label": "{name}", "split": "{part}"}}\n' for path, name, part in rows)
    list_of = tmp_path / "birds" / f"metadata.{form}"
    list_of.write_text(text if form == "jsonl" else f"file_name,label,split\n{text}")
    with pytest.warns(UserWarning, match="reads the column 'file_name' as path"):
        config, lines = planned(tmp_path / "birds")
    for source, wanted in ((config.data.train, [0, 2, 5]), (config.data.val, [3, 6])):
        assert listed(source.annotations) == [rows[number][:2] for number in wanted]
    assert lines[1].startswith(
        f"split: 3 images for training, 2 for validation, as metadata.{form} says, 3 of other parts left out; lists in "
    )


def test_the_plan_fills_the_time(tmp_path: Path, planned: Planned) -> None:
    for name in ("cat", "dog"):
        photos(tmp_path / "pets" / name, 200, side=150)
    config, lines = planned(tmp_path / "pets", budget=300)
    # 320 images: 32 a step; 80 to validate on, 0.8 s a time, so that all ten evaluations take 8 s of the 300
    assert (config.data.crop, config.data.test_short_side, config.run.batch, config.optimizer.lr) == (224, 256, 32, 0.01)
    assert config.schedule.iterations == int((300 - 15 - 8) / 0.5) == 554
    assert config.run.eval_every == 56
    assert (config.schedule.policy, config.schedule.warmup_iterations) == ("cosine", 27)
    time = f"about 5 minutes on {torch.get_num_threads()} threads (0.5 s a step)"
    assert lines[-3:-1] == [
        f"plan:  resnet18, 224 x 224 pixels, 554 steps of 32 images, {time}",
        "       55.4 passes over the images, learning rate 0.01, 10 evaluations",
    ]
    assert planned(tmp_path / "pets", budget=6000)[0].schedule.iterations == 600  # 60 passes: more would only repeat
    small = planned(tmp_path / "pets", budget=60)[0]
    # 100 steps (a bit more than eight passes) at 224 would take 50 s, there are 45 - 5.6 beside the seven evaluations
    assert (small.data.crop, small.data.test_short_side) == (192, 219)
    assert small.schedule.iterations == int((60 - 15 - 7 * 0.8) / (0.5 * (192 / 224) ** 2))


def test_what_is_chosen_can_be_overridden(tmp_path: Path, planned: Planned) -> None:
    for name in ("cat", "dog"):
        photos(tmp_path / "pets" / name, 30)
    config, _ = planned(tmp_path / "pets", "data.crop=96", "run.batch=8", "schedule.iterations=3")
    assert (config.data.crop, config.run.batch, config.schedule.iterations) == (96, 8, 3)
    assert scaled_rate(config.optimizer, 8) == 0.01 * 8 / 32
    config, lines = planned(tmp_path / "pets", "optimizer.lr=0.5")
    assert scaled_rate(config.optimizer, config.run.batch) == 0.5
    assert "learning rate 0.5," in lines[-2]
    assert planned(tmp_path / "pets", model="r50")[0].model.backbone.name == "resnet50"
    with pytest.raises(ConfigError, match="--model must be one of r18, r50 for a classifier, got 'r101'"):
        planned(tmp_path / "pets", model="r101")


@pytest.mark.parametrize(("side", "crop"), [(500, 224), (112, 224), (100, 224), (64, 128), (28, 64), (8, 64)])
def test_small_images_are_enlarged_to_twice_their_size(side: int, crop: int) -> None:
    assert choose_classes.wanted_crop(ClassFacts({"a": 5}, side)) == crop


@pytest.mark.parametrize(("images", "batch"), [(10, 4), (50, 13), (128, 32), (10**6, 32)])
def test_few_images_have_a_small_batch(images: int, batch: int) -> None:
    assert choose_classes.batch_of(ClassFacts({"a": images}, 100), 32) == batch


def test_odd_classes_are_told(tmp_path: Path, planned: Planned) -> None:
    for name, count in (("cat", 10), ("dog", 10), ("emu", 1)):
        photos(tmp_path / "pets" / name, count)
    (tmp_path / "pets" / "loose.png").touch()
    _, lines = planned(tmp_path / "pets")
    notes = [line.removeprefix("note:  ") for line in lines if line.startswith("note:")]
    assert notes[0].startswith(f"{tmp_path / 'pets'}: 1 image lies beside the folders of classes, loose.png")
    assert notes[1] == "one image to train on: emu; add some, for one is hardly learnt from"
    assert notes[2].startswith("no image to validate on: emu; ")
    assert len(notes) == 3


def test_classes_that_do_not_fit_are_refused(tmp_path: Path, planned: Planned) -> None:
    for part, names in (("train", ("cat", "dog")), ("val", ("Dog", "cat", "emu"))):
        for name in names:
            photos(tmp_path / "mixed" / part / name, 2)
    with pytest.raises(DataError, match=r"val: class Dog, emu is not among the 2 classes of .*train: a spelling\? Rename it"):
        planned(tmp_path / "mixed")
    (tmp_path / "empty" / "gnu").mkdir(parents=True)
    for name in ("cat", "dog"):
        photos(tmp_path / "empty" / name, 3)
    (tmp_path / "empty" / "gnu" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"gnu: holds no image .*: fill the folder, or remove it"):
        planned(tmp_path / "empty")
    (tmp_path / "one.csv").write_text("path,label\nempty/cat/000.png,cat\nempty/cat/001.png,cat\n")
    with pytest.raises(DataError, match="has one class, cat; a classifier needs two or more"):
        planned(tmp_path / "one.csv")
    for name in ("cat", "dog"):
        photos(tmp_path / "few" / name, 1)
    with pytest.raises(DataError, match="cannot be split for validation: every class has one image"):
        planned(tmp_path / "few")


def test_a_folder_with_a_run_of_another_task(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("task: detection\n")
    with pytest.raises(ConfigError, match="holds a run of task detection, not of classification; choose another --output"):
        planned_run(tmp_path, task="classification", output=tmp_path, resume=True)
    with pytest.raises(ConfigError, match="'task' must be detection or classification for data of your own, got 'poses'"):
        planned_run(tmp_path, task="poses", output=tmp_path)
