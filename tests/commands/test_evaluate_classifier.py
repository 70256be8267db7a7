"""``eval`` of classifiers: one network, several, foreign weights, and prediction files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from rounding import gamma, network
from safetensors.torch import save_file
from torch import nn

from resdet.cli import main
from resdet.config import config_to_dict, load_config
from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.evaluation import Predictions, read_predictions, write_predictions
from resdet.models.build import build_classifier
from resdet.models.classifier import Classifier
from resdet.models.model_file import ModelCard, write_model

NAMES = ("ant", "bee, wild", "cat")
Eval = Callable[..., tuple[dict[str, Any], Predictions]]


@dataclass(frozen=True)
class Shop:
    """Networks, data and a run file."""

    folder: Path
    config: Path

    def file(self, name: str) -> str:
        return str(self.folder / name)


def make_classifier(name: str, seed: int, *, pixels: str = "auto", classes: int = 3) -> tuple[Classifier, ModelCard]:
    torch.manual_seed(seed)
    names = [*NAMES, "dog"][:classes]
    config = ClassifierConfig(backbone=BackboneConfig(name=name, width=4, pixels=pixels))
    classifier = build_classifier(config, names).eval()
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
    card = ModelCard(
        "classification", config_to_dict(config), names, classifier.pixels.to_dict(), {"short_side": 32, "crop": 32}
    )
    return classifier, card


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    generator = np.random.default_rng(0)
    for label, name in enumerate(NAMES):
        (folder / "val" / name).mkdir(parents=True)
        for number in range(4):
            size = (34 + 9 * number, 50 - 7 * label, 3)
            Image.fromarray(generator.integers(0, 256, size, dtype=np.uint8)).save(folder / "val" / name / f"{number}.png")
    for file, name, pixels in (("a", "resnet18", "auto"), ("b", "resnet34", "msra")):
        classifier, card = make_classifier(name, ord(file), pixels=pixels)
        write_model(folder / f"{file}.safetensors", classifier.state_dict(), card)
    classifier, _ = make_classifier("resnet18", ord("a"))
    state = classifier.backbone.state_dict()
    torch.save({f"module.{key}": value for key, value in state.items()}, folder / "foreign.pth")
    save_file(state, folder / "foreign.safetensors")
    torch.save({key: value for key, value in state.items() if not key.startswith("fc.")}, folder / "headless.pth")
    four, card = make_classifier("resnet18", 0, classes=4)
    torch.save(four.backbone.state_dict(), folder / "four.pth")
    write_model(folder / "four.safetensors", four.state_dict(), card)
    other = ModelCard(card.task, card.architecture, ["ant", "bee", "cat"], card.pixels, card.test)
    write_model(folder / "other.safetensors", classifier.state_dict(), other)
    (folder / "cut.safetensors").write_bytes((folder / "a.safetensors").read_bytes()[:1000])
    config = {
        "task": "classification",
        "model": {"backbone": {"name": "resnet18", "width": 4}},
        "data": {"val": {"format": "folder", "root": str(folder / "val")}, "crop": 32, "test_short_side": 32, "workers": 0},
        "output": str(folder / "run"),
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    return Shop(folder, folder / "run.yaml")


@pytest.fixture
def evaluate(shop: Shop, tmp_path: Path) -> Eval:
    def run(*arguments: str, output: str = "out") -> tuple[dict[str, Any], Predictions]:
        assert main(["eval", "--config", str(shop.config), "--output", str(tmp_path / output), *arguments]) == 0
        metrics = json.loads((tmp_path / output / "metrics.json").read_text())
        return metrics, read_predictions(tmp_path / output / "predictions.npz")

    return run


def test_one_network(shop: Shop, evaluate: Eval, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics, predictions = evaluate("--weights", shop.file("a.safetensors"))
    assert predictions.names == NAMES
    assert predictions.files == tuple(f"{name}/{number}.png" for name in NAMES for number in range(4))
    assert predictions.labels.tolist() == [label for label in range(3) for _ in range(4)]
    classifier, _ = make_classifier("resnet18", ord("a"))
    view = ClassificationTestTransform(32, 32)
    images = torch.stack([view(Image.open(shop.folder / "val" / file)) for file in predictions.files])
    with torch.no_grad():
        logits = classifier(images)
    # a probability moves by half as much as the logits, at most
    moved = float(logits.abs().max()) / 2 * network(18, 9 * 32, torch.float32)
    np.testing.assert_allclose(predictions.probabilities, logits.softmax(1).numpy(), rtol=0, atol=moved)
    wrong = (logits.argmax(1).numpy() != predictions.labels).mean()
    assert (metrics["top1_error"], metrics["top5_error"]) == (wrong, 0)
    assert metrics["meta"] == {
        "metric": "top-k",
        "images": 12,
        "views": "center",
        "short_sides": [32],
        "crop": 32,
        "flip": False,
        "models": ["resnet18"],
        "shares": [1.0],
    }
    with (tmp_path / "out" / "confusion.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == [row[0] for row in rows[1:]] == list(NAMES)
    assert sum(int(cell) for row in rows[1:] for cell in row[1:]) == 12
    assert {path.name for path in (tmp_path / "out" / "report").iterdir()} == {"confusion.png", "reliability.png"}
    assert f"top-1 error {100 * wrong:.2f} %" in capsys.readouterr().out


def test_the_run_s_own_model_is_the_default(shop: Shop, evaluate: Eval) -> None:
    (shop.folder / "run").mkdir(exist_ok=True)
    (shop.folder / "run" / "model.safetensors").write_bytes((shop.folder / "a.safetensors").read_bytes())
    metrics, predictions = evaluate()
    again, same = evaluate("--weights", shop.file("a.safetensors"), output="again")
    assert metrics == again
    assert np.array_equal(predictions.probabilities, same.probabilities)


@pytest.mark.parametrize("views", ["center", "ten_crop", "dense"])
def test_options_behind_the_files_are_options(shop: Shop, evaluate: Eval, views: str) -> None:
    options = [f"test.views={views}", "test.short_sides=[40,64]", *(["test.flip=true"] if views == "dense" else [])]
    metrics, predictions = evaluate("--weights", shop.file("a.safetensors"), *options)
    assert metrics["meta"]["views"] == views
    assert metrics["meta"]["short_sides"] == [40, 64]
    assert metrics["meta"]["flip"] == (views == "dense")
    _, plain = evaluate("--weights", shop.file("a.safetensors"), output="plain")
    assert not np.allclose(predictions.probabilities, plain.probabilities, atol=1e-3)


def test_an_ensemble_is_the_weighted_average_and_so_is_one_of_files(shop: Shop, evaluate: Eval, tmp_path: Path) -> None:
    both = [shop.file("a.safetensors"), shop.file("b.safetensors")]
    metrics, ensemble = evaluate("--weights", *both, "--shares", "3", "1", "test.views=dense", output="both")
    assert metrics["meta"]["models"] == ["resnet18", "resnet34"]
    assert metrics["meta"]["shares"] == [0.75, 0.25]
    assert metrics["meta"]["weights"] == both
    _, first = evaluate("--weights", both[0], "test.views=dense", output="first")
    _, second = evaluate("--weights", both[1], "test.views=dense", "model.backbone.name=resnet34", output="second")
    expected = 0.75 * first.probabilities.astype(float) + 0.25 * second.probabilities.astype(float)
    np.testing.assert_allclose(ensemble.probabilities, expected, rtol=0, atol=gamma(4, torch.float32))
    assert not np.allclose(first.probabilities, second.probabilities, atol=0.01)

    files = [str(tmp_path / name / "predictions.npz") for name in ("first", "second")]
    of_files, averaged = evaluate("--predictions", *files, "--shares", "3", "1", output="files")
    assert np.array_equal(averaged.probabilities, ensemble.probabilities)
    assert {**of_files, "meta": None} == {**metrics, "meta": None}
    assert of_files["meta"] == {"metric": "top-k", "images": 12, "predictions": files, "shares": [0.75, 0.25]}


def test_the_config_need_not_describe_the_members_of_an_ensemble(shop: Shop, evaluate: Eval) -> None:
    file = shop.file("b.safetensors")  # the config's network is a resnet18
    _, found = evaluate("--weights", file, file)
    _, alone = evaluate("--weights", file, "model.backbone.name=resnet34", output="alone")
    assert np.array_equal(found.probabilities, alone.probabilities)


@pytest.mark.parametrize("file", ["foreign.pth", "foreign.safetensors"])
def test_foreign_weights_run_in_the_config_s_network(shop: Shop, evaluate: Eval, file: str) -> None:
    metrics, found = evaluate("--weights", shop.file(file))
    expected, own = evaluate("--weights", shop.file("a.safetensors"), output="own")
    assert found.names == NAMES
    assert metrics == expected
    assert np.array_equal(found.probabilities, own.probabilities)
    _, both = evaluate("--weights", shop.file("b.safetensors"), shop.file(file), output="both")
    assert not np.allclose(both.probabilities, own.probabilities, atol=0.01)


def predictions_like(change: dict[str, Any]) -> Predictions:
    files = tuple(f"{name}/{number}.png" for name in NAMES for number in range(4))
    values = {
        "probabilities": np.full((12, 3), 1 / 3, np.float32),
        "labels": np.arange(12) // 4,
        "names": NAMES,
        "files": files,
    }
    return Predictions(**{**values, **change})


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    folder = tmp_path / "npz"
    changes: dict[str, dict[str, Any]] = {
        "good": {},
        "names": {"names": ("ant", "cat", "bee, wild")},
        "labels": {"labels": np.zeros(12, np.int64)},
        "rows": {"probabilities": np.full((12, 3), 0.5, np.float32)},
    }
    for name, change in changes.items():
        write_predictions(folder / f"{name}.npz", predictions_like(change))
    (folder / "eval").mkdir()
    (folder / "eval" / "predictions.npz").write_bytes((folder / "good.npz").read_bytes())
    return folder


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("--weights A B --shares 1", 2, "--shares must be one number above 0 for each of 2 files, got 1"),
        ("--weights A B --shares 1 x", 2, "for each of 2 files, got 1 x"),
        ("--weights A B --shares 1 0", 2, "for each of 2 files, got 1 0"),
        ("--weights A --shares 1 nan", 2, "for each of 1 file, got 1 nan"),
        ("--weights A --predictions P/good.npz", 2, "--weights and --predictions exclude each other"),
        ("--weights data.workers=0", 2, "--weights needs at least one value before the options, got 'data.workers=0'"),
        ("--weights A data.workerz=0", 2, "unknown option 'data.workerz'"),
        ("--weights A F/gone.pth", 2, "F/gone.pth: no such model file"),
        ("--weights CUT", 3, "cut.safetensors: not a safetensors model file"),
        ("--weights B", 2, "was trained with 'model.backbone.name' 'resnet34', the config says 'resnet18'"),
        ("--weights A OTHER", 2, "other.safetensors: class 1 is 'bee', but 'bee, wild' in "),
        ("--weights A FOUR", 2, "four.safetensors: 4 classes, but 3 in "),
        ("--weights S/headless.pth", 2, "headless.pth: holds no classifier: must have 'fc.weight'"),
        ("--weights S/four.pth", 2, "four.pth: its classifier has 4 classes, the data has 3"),
        ("--weights S/foreign.pth model.backbone.name=resnet34", 2, "do not fit option 'model.backbone.name'=resnet34"),
        ("--weights A S/run.yaml", 3, "run.yaml: is a text, and holds no tensors"),
        ("--predictions P/gone.npz", 2, "gone.npz: no such predictions file"),
        ("--predictions S/foreign.pth", 3, "foreign.pth: array 'probabilities' is missing"),
        ("--predictions P/rows.npz", 3, "they do not for 12 of 12 (ant/0.png: 0.5, 0.5, 0.5)"),
        ("--predictions P/good.npz P/names.npz", 2, "names.npz: class 1 is 'cat', but 'bee, wild' in "),
        ("--predictions P/good.npz P/labels.npz", 3, "labels.npz: the label of bee, wild/0.png is 0, but 1 in "),
        (
            "--predictions P/eval/predictions.npz --output P/eval",
            2,
            "predictions.npz would be overwritten; choose another --output",
        ),
        ("--predictions P/good.npz --shares 1 1", 2, "for each of 1 file, got 1 1"),
        ("--weights A test.views=ten", 2, "option 'test.views' must be one of center, ten_crop, dense"),
        ("--weights A test.flip=true", 2, "option 'test.flip' goes with 'test.views' dense"),
        ("--weights A --ground-truth x.json --detections y.json", 2, "--config, --weights: have no effect on results files"),
    ],
)
def test_mistakes(
    shop: Shop, npz: Path, tmp_path: Path, arguments: str, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    short = {name: shop.file(f"{name.lower()}.safetensors") for name in ("A", "B", "CUT", "OTHER", "FOUR")}
    places = {"P/": f"{npz}/", "S/": f"{shop.folder}/"}
    words = [short.get(word, places.get(word[:2], word[:2]) + word[2:]) for word in arguments.split()]
    output = [] if "--output" in words else ["--output", str(tmp_path / "out")]
    capsys.readouterr()
    assert main(["eval", "--config", str(shop.config), *output, *words]) == status
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_a_detector_s_config_is_for_detectors(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "detector.yaml"
    config.write_text(yaml.safe_dump({"task": "detection"}))
    classifier = shop.file("a.safetensors")
    for arguments, message in (
        (["--weights", classifier], "holds a classification model, the config describes a detection model"),
        (["--weights", classifier, classifier], "a.safetensors: holds a classification model; an ensemble is of detectors"),
        (["--predictions", "a"], "detector.yaml: a detector is evaluated from --weights, got --predictions"),
    ):
        assert main(["eval", "--config", str(config), *arguments]) == 2
        assert message in capsys.readouterr().err


def test_predictions_of_the_same_data_elsewhere_fit(shop: Shop, evaluate: Eval, tmp_path: Path) -> None:
    (tmp_path / "moved").symlink_to(shop.folder / "val")
    _, here = evaluate("--weights", shop.file("a.safetensors"))
    _, there = evaluate("--weights", shop.file("a.safetensors"), f"data.val.root={tmp_path / 'moved'}", output="there")
    assert here.files == there.files


def test_a_config_that_people_wrote_stays(shop: Shop, evaluate: Eval, tmp_path: Path) -> None:
    for crop in (32, 24):
        evaluate("--weights", shop.file("a.safetensors"), f"data.crop={crop}")
        assert load_config(tmp_path / "out" / "config.yaml").data.crop == crop
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("# mine\n")
    evaluate("--weights", shop.file("a.safetensors"), output="mine")
    assert (tmp_path / "mine" / "config.yaml").read_text() == "# mine\n"
