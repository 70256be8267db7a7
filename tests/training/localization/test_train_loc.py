"""`resdet train-loc` from a run file to a run folder: both stages on drawn images, resumed, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageDraw

import resdet
from resdet.cli import main
from resdet.config.localization_data import LocalizationDataConfig, LocalizationSourceConfig
from resdet.data.proposals import make_proposals, read_provenance
from resdet.errors import DataError
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionNet
from resdet.models.model_file import read_card, read_model
from resdet.training.localization.images import read_boxed_images
from resdet.training.localization.proposals import match_regions

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN")
NAMES = ("n01", "n02")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny-ImageNet's layout, train and val the same: 8 images of 64 x 64, red boxes of n01 and green disks of n02 on noise."""
    root = tmp_path_factory.mktemp("images")
    (root / "wnids.txt").write_text("\n".join(NAMES))
    (root / "val" / "images").mkdir(parents=True)
    rows = []
    for number in range(8):
        name, color = NAMES[number % 2], [(230, 20, 20), (20, 230, 20)][number % 2]
        generator = np.random.default_rng(number)
        picture = Image.fromarray(generator.integers(90, 130, (64, 64, 3), dtype=np.uint8))
        side = int(generator.integers(20, 36))
        x, y = generator.integers(0, 64 - side, 2).tolist()
        corners = (x, y, x + side - 1, y + side - 1)
        (ImageDraw.Draw(picture).rectangle if number % 2 == 0 else ImageDraw.Draw(picture).ellipse)(corners, fill=color)
        folder = root / "train" / name
        (folder / "images").mkdir(parents=True, exist_ok=True)
        picture.save(folder / "images" / f"{name}_{number}.png")
        picture.save(root / "val" / "images" / f"val_{number}.png")
        box = "\t".join(map(str, corners))
        with (folder / f"{name}_boxes.txt").open("a") as file:
            file.write(f"{name}_{number}.png\t{box}\n")
        rows.append(f"val_{number}.png\t{name}\t{box}\n")
    (root / "val" / "val_annotations.txt").write_text("".join(rows))
    return root


def run_file(path: Path, root: Path, iterations: int, **model: object) -> str:
    content = {
        "task": "localization",
        "model": {
            "backbone": {"name": "resnet18", "width": 8},
            "anchors": {"sizes": [20, 32, 48], "ratios": [1]},
            "rcnn": {"side": 32, "proposals": 10},
            "test": {"short_sides": [64], "proposals": 10},
            **model,
        },
        "data": {
            "train": {"format": "tiny_imagenet", "root": str(root)},
            "val": {"format": "tiny_imagenet", "root": str(root), "split": "val"},
            "crop": 64,
            "short_side": [64, 64],
            "lighting": 0,
            "workers": 0,
        },
        "optimizer": {"lr": 0.02, "clip_norm": 5},
        "schedule": {"iterations": iterations},
        "run": {"batch": 8, "log_every": 5, "checkpoint_every": 1000},
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


def logged_losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.slow
def test_both_stages_learn_drawn_images(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = str(tmp_path / "rpn"), str(tmp_path / "rcnn")
    config = run_file(tmp_path / "a.yaml", images, 240)
    assert main(["train-loc", "--config", config, "--output", first, "--device", "cpu"]) == 0
    assert "GT-class localization error" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "rpn" / "metrics.json").read_text())
    losses = logged_losses(tmp_path / "rpn")
    assert losses[-1] < 0.3 * losses[0]
    assert metrics["gt_class_loc_error"] <= 0.25
    for name in ("config.yaml", "best.safetensors", "state.pt", "per_class.csv", "predictions.json", "report/curves.png"):
        assert (tmp_path / "rpn" / name).is_file(), name
    card = read_card(tmp_path / "rpn" / "model.safetensors")
    assert (card.task, card.architecture["stage"], card.names, card.test) == ("localization", "rpn", list(NAMES), {"crop": 64})

    weights = str(tmp_path / "rpn" / "model.safetensors")
    config = run_file(tmp_path / "b.yaml", images, 40, stage="rcnn", weights=weights)
    assert main(["train-loc", "--config", config, "--output", second, "--device", "cpu"]) == 0
    assert read_card(tmp_path / "rcnn" / "model.safetensors").architecture["stage"] == "rcnn"
    losses = logged_losses(tmp_path / "rcnn")
    assert losses[-1] < 0.8 * losses[0]
    shard = tmp_path / "rcnn" / "proposals" / "00000.safetensors"
    assert read_provenance(shard)["filter"] == [10, 0.7]
    trained, start = read_model(tmp_path / "rcnn" / "model.safetensors")[0], read_model(weights)[0]
    for key, tensor in start.items():
        assert torch.equal(trained[f"rpn.{key}"], tensor), key
    finder = resdet.load(tmp_path / "rcnn" / "model.safetensors", device="cpu")
    found = finder.predict(images / "val" / "images" / "val_0.png", ["n01"])
    assert ((found.boxes >= 0) & (found.boxes <= 64)).all()

    picture, output = str(images / "val" / "images" / "val_0.png"), str(tmp_path / "out")
    assert main(["predict", "--weights", weights, "--output", output, picture]) == 2
    assert "holds a localizer, which must be told the classes" in capsys.readouterr().err

    # another run's proposals are not touched
    made = shard.stat().st_mtime_ns
    assert main(["train-loc", "--config", config, "--output", second, "--device", "cpu", "model.rcnn.proposals=5"]) == 2
    assert "holds a run; pass --resume" in capsys.readouterr().err
    assert shard.stat().st_mtime_ns == made


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["rpn", "rcnn"])
def test_a_resumed_run_ends_like_one_that_was_not_stopped(
    tmp_path: Path, images: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {}
    if stage == "rcnn":
        config = run_file(tmp_path / "rpn.yaml", images, 3)
        assert main(["train-loc", "--config", config, "--output", str(tmp_path / "rpn"), "--device", "cpu"]) == 0
        model = {"stage": "rcnn", "weights": str(tmp_path / "rpn" / "model.safetensors")}
    config = run_file(tmp_path / "a.yaml", images, 4, **model)
    outputs = [str(tmp_path / name) for name in ("whole", "parts")]
    options = ["--device", "cpu", "run.checkpoint_every=2"]
    assert main(["train-loc", "--config", config, "--output", outputs[0], *options]) == 0
    # the process dies in the third step, when the state of the second is saved
    owner: type = PerClassRPN if stage == "rpn" else RegionNet
    losses, calls = owner.losses, [0]

    def dying(*args: object) -> object:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return losses(*args)

    monkeypatch.setattr(owner, "losses", dying)
    assert main(["train-loc", "--config", config, "--output", outputs[1], *options]) == 130
    monkeypatch.undo()
    assert main(["train-loc", "--config", config, "--output", outputs[1], "--resume", *options]) == 0
    whole, parts = (read_model(Path(output) / "model.safetensors")[0] for output in outputs)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_regions_are_matched_to_the_boxes_of_their_image(images: Path) -> None:
    source = LocalizationSourceConfig("tiny_imagenet", str(images))
    found = read_boxed_images(LocalizationDataConfig(train=source))
    assert found.boxed == list(range(8))
    box = found.dataset.boxes(5)[0]
    width = box[2] - box[0]
    near, far = box + torch.tensor([width / 3, 0, width / 3, 0]), box + torch.tensor([width / 2, 0, width / 2, 0])
    regions = make_proposals([2, 5], [torch.zeros(0, 4), torch.stack([far, near, box])], [torch.zeros(0), torch.ones(3)])
    assert match_regions(found.dataset, regions, 0.49).tolist() == [-1, 0, 0]  # a third aside: an IoU of one half


def test_a_training_set_without_a_box(tmp_path: Path, images: Path) -> None:
    for name in NAMES:
        folder = tmp_path / "train" / name / "images"
        folder.mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(folder / f"{name}_0.png")
        (tmp_path / "train" / name / f"{name}_boxes.txt").write_text("")
    with pytest.warns(UserWarning, match="box"), pytest.raises(DataError, match="no image has a box to train on"):
        read_boxed_images(LocalizationDataConfig(train=LocalizationSourceConfig("tiny_imagenet", str(tmp_path))))


@pytest.mark.parametrize(
    ("command", "override", "status", "message"),
    [
        ("train-cls", "run.batch=4", 2, "'task' is localization; its command is train-loc"),
        (
            "train-loc",
            "model.stage=rcnn",
            2,
            "option 'model.weights' must name a trained per-class RPN where",
        ),
        ("train-loc", "model.weights=x.safetensors", 2, "option 'model.weights' goes with 'model.stage' rcnn"),
        (
            "train-loc",
            "model.rpn.bg_iou_thresh=0.6",
            2,
            "option 'model.rpn.bg_iou_thresh' must be at most 'model.rpn.fg_iou_thresh' (0.5), got 0.6",
        ),
        ("train-loc", "model.test.short_sides=[]", 2, "option 'model.test.short_sides' must not be empty"),
        ("train-loc", "data.short_side=[80, 64]", 2, "option 'data.short_side' must be [] or [lowest, highest], got [80, 64]"),
        ("train-loc", "schedule.warmup_until_error=0.5", 2, "detectors and localizers have no training error"),
        ("train-loc", "data.train.root=nowhere", 2, "option 'data.train.root' must name a folder, got 'nowhere'"),
        ("train-loc", "data.short_side=[32, 40]", 3, "are less than the crop of 64; set data.short_side"),
    ],
)
def test_mistakes_are_told(
    tmp_path: Path, images: Path, command: str, override: str, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_file(tmp_path / "a.yaml", images, 3)
    assert main([command, "--config", config, "--output", str(tmp_path / "run"), "--device", "cpu", override]) == status
    assert message in capsys.readouterr().err


def test_the_rpn_of_the_second_stage_must_be_there(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = run_file(tmp_path / "a.yaml", images, 3, stage="rcnn", weights=str(tmp_path / "none.safetensors"))
    assert main(["train-loc", "--config", config, "--output", str(tmp_path / "run")]) == 2
    assert "none.safetensors: no such model file" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
