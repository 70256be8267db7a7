"""``resdet train-cls --data PATH`` on labelled crops, from their folder, a list and a zip of them alone."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import resdet
from resdet.cli import main
from resdet.config import load_config
from resdet.config.schema import ClassificationRunConfig
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.training.classification.task import classification_task

# a narrow network with random weights, for no time at all
QUICK = ["model.backbone.width=4", "model.backbone.weights=", "data.workers=0", "schedule.iterations=6", "data.crop=32"]


def crops(shapes: Path, root: Path) -> Path:
    """The training crops as one folder for each class."""
    shutil.copytree(shapes / "crops" / "train", root)
    return root


def a_list(shapes: Path, root: Path) -> Path:
    """A CSV beside the folder of all crops, with the columns that Keras users write."""
    (root / "images").mkdir(parents=True)
    with (root / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "Filename", "Class"))
        for number, path in enumerate(sorted((shapes / "crops" / "train").rglob("*.jpg"))):
            shutil.copy(path, root / "images" / f"{number}.jpg")
            rows.writerow((number, f"{number}.jpg", path.parent.name))
    return root


def a_zip(shapes: Path, root: Path) -> Path:
    """A zip of the folders train and valid, in a folder."""
    root.mkdir()
    with zipfile.ZipFile(root / "export.zip", "w") as zipped:
        for part, name in (("train", "train"), ("val", "valid")):
            for path in sorted((shapes / "crops" / part).rglob("*.jpg")):
                zipped.write(path, f"export/{name}/{path.parent.name}/{path.name}")
    return root / "export.zip"


@pytest.mark.filterwarnings("ignore:.*reads the column 'Filename' as path, the column 'Class' as label")
@pytest.mark.parametrize("made", [crops, a_list, a_zip])
def test_one_command(
    made: Callable[[Path, Path], Path],
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    path = made(shapes, tmp_path / "mine")
    command = ["train-cls", "--data", str(path), "--budget", "10s", "--device", "cpu", *QUICK]
    assert main(command) == 0
    out, said = capsys.readouterr()
    run = tmp_path / "runs" / path.stem
    assert "data:  " in said
    assert "plan:  resnet18" in said
    assert "top-1 error" in out
    assert resdet.load_classifier(run / "model.safetensors", device="cpu").names == tuple(
        sorted(folder.name for folder in (shapes / "crops" / "train").iterdir())
    )
    metrics = json.loads((run / "metrics.json").read_text())
    split = run / "split" / "val.csv"
    validated = len(split.read_text().splitlines()) - 1 if split.exists() else len(list((shapes / "crops/val").rglob("*.jpg")))
    assert metrics["meta"]["images"] == validated > 0
    # a used folder is not overwritten; the run in it can be continued, and its file is one for the next time
    assert main(command) == 2
    assert main([*command, "--resume", "schedule.iterations=6"]) == 0
    assert main(["eval", "--config", str(run / "config.yaml")]) == 0
    assert json.loads((run / "eval" / "metrics.json").read_text())["top1_error"] == metrics["top1_error"]


def test_from_python_the_path_tells_the_task(shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = resdet.train(
        data=crops(shapes, tmp_path / "mine"),
        output=tmp_path / "run",
        device="cpu",
        budget="10s",
        model={"backbone": {"width": 4, "weights": ""}},
        schedule={"iterations": 6},
        **{"data.crop": 32, "data.workers": 0},
    )
    said = capsys.readouterr().out
    assert said.startswith(
        "task:  classification, for there are classes of whole images and no boxes\ndata:  folders of classes"
    )
    assert isinstance(run.config, ClassificationRunConfig)
    assert isinstance(load_config(run.folder / "config.yaml"), ClassificationRunConfig)
    assert 0 <= run.metrics["top1_error"] <= 1
    assert run.iteration == 6
    with pytest.raises(ConfigError, match="with which alone 'task', 'model' and 'budget' go"):
        resdet.train("demo_cls", task="classification")


def test_a_classifier_is_fine_tuned_from_another(
    shapes: Path, classifier_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The weights are there from the first step, and the two classes have a classifier of their own; it is said once."""
    for name in ("disk", "star"):
        shutil.copytree(shapes / "crops" / "train" / name, tmp_path / "mine" / name)
    weights = classifier_run / "model.safetensors"
    options = [f"model.backbone.weights={weights}", "model.backbone.width=8", *QUICK[2:], "optimizer.lr=0"]
    assert (
        main(["train-cls", "--data", str(tmp_path / "mine"), "--budget", "10s", "--output", str(tmp_path / "run"), *options])
        == 0
    )
    assert [text.partition(": ")[2] for text in caplog.messages if "starts anew" in text] == [
        "its classifier is for 8 other classes: that of the 2 here starts anew"
    ]
    before, after = (resdet.load(path, device="cpu").model for path in (weights, tmp_path / "run" / "model.safetensors"))
    for name, tensor in before.backbone.named_parameters():
        if not name.startswith("fc."):
            assert torch.equal(tensor, after.backbone.get_parameter(name)), name
    assert after.names == ("disk", "star")


@pytest.mark.filterwarnings("ignore:.*shows what these weights want")
def test_weights_without_bn_statistics_get_them_before_training(shapes: Path, tmp_path: Path) -> None:
    """The network computes what its weights say, and normalizing by a batch, as training does, is nearly the same."""
    torch.manual_seed(0)
    network = create_backbone("resnet18", width=8, num_classes=8)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.bias, -1, 1)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    data = [f"data.{part}.root={shapes / 'crops' / part}" for part in ("train", "val")]
    options = ["model.backbone.width=8", f"model.backbone.weights={tmp_path / 'weights.pth'}", "data.workers=0", *data]
    config = load_config("demo_cls", options)
    assert isinstance(config, ClassificationRunConfig)
    model = classification_task(config, torch.device("cpu")).model
    x = model.normalize(torch.randint(0, 255, (4, 3, 64, 64), dtype=torch.uint8))
    with torch.no_grad():
        torch.testing.assert_close(model.eval().backbone(x), network.eval()(x), rtol=1e-3, atol=1e-3)
    assert model.backbone.bn1.running_mean.abs().max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --config FILE, a run file, or --data PATH"),
        (["--config", "demo_cls", "--budget", "5min"], "--budget goes with --data"),
        (["--data", ".", "--recompute-bn"], "--recompute-bn goes with --config"),
        (["--data", ".", "--model", "r101"], "--model must be one of r18, r50 for a classifier"),
        (["--data", "nowhere"], "--data must name a folder"),
    ],
)
def test_arguments_that_do_not_go_together(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train-cls", *arguments]) == 2
    assert message in capsys.readouterr().err
