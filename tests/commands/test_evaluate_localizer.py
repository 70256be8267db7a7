"""``eval`` with a localization config: one localizer, an ensemble, a classifier's classes, a submission file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from resdet.cli import main
from resdet.config import config_to_dict
from resdet.config.localization import LocalizerConfig
from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.models.build import build_classifier, build_localizer
from resdet.models.model_file import ModelCard, write_model

NAMES = ["n01", "n02"]
Eval = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two localizers, a classifier and three images."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(NAMES))
    lines = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "val" / "images" / f"val_{number}.png")
        lines.append(f"val_{number}.png {NAMES[number % 2]} 0 0 63 47\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    backbone = BackboneConfig(name="resnet18", width=4)
    config = LocalizerConfig(backbone=backbone)
    for seed, name in enumerate(("a", "b")):
        torch.manual_seed(seed)
        with pytest.warns(UserWarning, match="frozen BN"):
            model = build_localizer(config, NAMES)
        torch.nn.init.normal_(model.head.cls.weight)
        card = ModelCard("localization", config_to_dict(config), NAMES, model.pixels.to_dict(), {"crop": 64})
        write_model(folder / f"{name}.safetensors", model.state_dict(), card)
    classifier = build_classifier(ClassifierConfig(backbone), NAMES)
    card = ModelCard("classification", config_to_dict(ClassifierConfig(backbone)), NAMES, classifier.pixels.to_dict(), {})
    write_model(folder / "classes.safetensors", classifier.state_dict(), card)
    torch.save(classifier.backbone.state_dict(), folder / "foreign.pth")
    values = {
        "task": "localization",
        "model": {"backbone": {"name": "resnet18", "width": 4}, "test": {"short_sides": [64]}},
        "data": {"val": {"format": "tiny_imagenet", "root": str(folder), "split": "val"}, "crop": 64, "workers": 0},
        "classes": {"model": {"backbone": {"name": "resnet18", "width": 4}}, "short_side": 32, "crop": 32},
    }
    (folder / "loc.yaml").write_text(yaml.safe_dump(values))
    return folder


@pytest.fixture
def evaluate(shop: Path, tmp_path: Path) -> Eval:
    def run(*arguments: str, status: int = 0, output: str = "out") -> dict[str, Any]:
        folder = tmp_path / output
        named = [str(shop / word) if (shop / word).exists() else word for word in arguments]
        assert main(["eval", "--config", str(shop / "loc.yaml"), "--output", str(folder), *named]) == status
        return json.loads((folder / "metrics.json").read_text()) if status == 0 else {}

    return run


def test_the_true_class_is_given(evaluate: Eval, tmp_path: Path) -> None:
    metrics = evaluate("--weights", "a.safetensors")
    assert metrics["gt_class_loc_error"] is not None
    assert metrics["top5_loc_error"] is None
    assert metrics["meta"]["classifiers"] == []
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [row["guesses"] for row in rows] == [None] * 3
    center = evaluate("--weights", "a.safetensors", "model.test.views=center", output="center")
    assert center["mean_iou"] != metrics["mean_iou"]


def test_a_constant_box_is_no_localizer(evaluate: Eval, shop: Path) -> None:
    """Its training images are the validation images here, whose boxes are whole images: it is always right."""
    source = [f"data.train.{name}" for name in ("format=tiny_imagenet", f"root={shop}", "split=val")]
    metrics = evaluate("--constant-box", *source)
    assert (metrics["gt_class_loc_error"], metrics["mean_iou"], metrics["top5_loc_error"]) == (0, 1, None)
    metrics = evaluate("--constant-box", "--classifier", "classes.safetensors", *source, output="classes")
    assert metrics["top5_loc_error"] == 0


def test_a_report_shows_every_image(evaluate: Eval, tmp_path: Path) -> None:
    evaluate("--weights", "a.safetensors", "--classifier", "classes.safetensors", "--report")
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    pictures = json.loads(text.partition('id="page-data">')[2].partition("</script>")[0])["gallery"]["pictures"]
    assert [picture[0] for picture in pictures] == ["val_0.png", "val_1.png", "val_2.png"]
    assert [len(picture[5]) for picture in pictures] == [1, 1, 1]


@pytest.mark.parametrize("classifiers", [["classes.safetensors"], ["foreign.pth"], ["classes.safetensors", "foreign.pth"]])
def test_classes_of_classifiers(evaluate: Eval, tmp_path: Path, classifiers: list[str]) -> None:
    metrics = evaluate("--weights", "a.safetensors", "b.safetensors", "--classifier", *classifiers)
    assert metrics["top5_error"] == 0
    # with two classes and five guesses the true one is among them, and so is its box
    assert metrics["top5_loc_error"] == metrics["gt_class_loc_error"]
    again = evaluate("--predictions", str(tmp_path / "out" / "submission.csv"), output="again")
    assert again["top1_error"] == metrics["top1_error"]
    assert again["meta"]["submission"].endswith("submission.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "classes.safetensors"], "localiz"),
        (
            ["--constant-box", "--weights", "a.safetensors"],
            "--constant-box goes with a localization config, and without --weights",
        ),
        (["--weights", "a.safetensors", "--shares", "1"], "--shares is for detectors and classifiers"),
        (["--predictions", "x.csv", "--classifier", "y"], "--predictions is one submission file"),
        (["--predictions", "x.csv", "y.csv"], "--predictions is one submission file"),
        (["--weights", "a.safetensors", "--classifier", "b.safetensors"], "b.safetensors"),
    ],
)
def test_wrong_usage(evaluate: Eval, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    evaluate(*arguments, status=2)
    assert message in capsys.readouterr().err


def test_classifiers_go_with_localizers(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cls.yaml").write_text(yaml.safe_dump({"task": "classification"}))
    assert main(["eval", "--config", str(tmp_path / "cls.yaml"), "--classifier", "x"]) == 2
    assert "--classifier goes with a localization config, 'task' is classification" in capsys.readouterr().err
