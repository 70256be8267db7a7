"""Weights and models that are missing, broken, or another network's."""

from __future__ import annotations

import pytest
from error_lab import Lab, caffe_like, coco_val, foreign_of_bytes, foreign_safetensors, half_of, malicious, written
from error_rows import Row, check, no_run_folder, row

WEIGHTS = [
    row(
        "missing",
        lambda lab: lab.train_det("model.backbone.weights=gone.pth"),
        2,
        r"option 'model\.backbone\.weights': no such file: gone\.pth",
        after=no_run_folder,
    ),
    row(
        "of another depth",
        lambda lab: lab.train_det("model.backbone.name=resnet34", f"model.backbone.weights={lab.classifier}/model.safetensors"),
        2,
        r"model\.safetensors: weights that look like resnet18 do not fit option 'model\.backbone\.name'=resnet34 .*: "
        r"\d+ loaded, \d+ missing \(layer1\.2\.conv1\.weight, .*\), 0 unexpected, 2 mismatched",
    ),
    row(
        "of another width",
        lambda lab: lab.train_det("model.backbone.width=16", f"model.backbone.weights={lab.classifier}/model.safetensors"),
        2,
        r"weights that look like resnet18 do not fit option 'model\.backbone\.name'=resnet18 \(shortcut B, width 16\)",
    ),
    row(
        "of a detector",
        lambda lab: lab.train_det(f"model.backbone.weights={lab.detector}/model.safetensors"),
        2,
        r"model\.safetensors: holds a detector; option 'model\.backbone\.weights' takes a classifier",
    ),
    row(
        "of another pixel convention",
        lambda lab: lab.train_det("model.backbone.pixels=msra", f"model.backbone.weights={lab.classifier}/model.safetensors"),
        2,
        r"its pixel convention is torchvision, option 'model\.backbone\.pixels' asks for msra",
    ),
    row(
        "of another stride",
        lambda lab: lab.train_det("model.backbone.name=resnet50", f"model.backbone.weights={caffe_like(lab)}"),
        2,
        r"it was trained with stride_in_1x1=True, option 'model\.backbone\.stride_in_1x1' asks for False",
    ),
    row(
        "foreign, on bytes, by their statistics",
        lambda lab: lab.train_det(f"model.backbone.weights={foreign_of_bytes(lab)}"),
        2,
        r"foreign\.pth: its BN statistics belong to input of standard deviation 58.*set model\.backbone\.pixels=msra",
    ),
    row(
        "that are no weights",
        lambda lab: lab.train_det(f"model.backbone.weights={written(lab.folder / 'notes.pth', b'hello')}"),
        3,
        r"notes\.pth: is a text, and holds no tensors",
    ),
    row(
        "safetensors cut short",
        lambda lab: lab.train_det(f"model.backbone.weights={half_of(lab.classifier / 'model.safetensors', lab.folder)}"),
        3,
        r"half\.safetensors: not a safetensors file, or a truncated one",
    ),
    row(
        "a pickle with code",
        lambda lab: lab.train_det(f"model.backbone.weights={malicious(lab.folder / 'evil.pth', lab.folder / 'pwned')}"),
        3,
        r"evil\.pth: not a torch weights file that can be read without executing a pickle",
        after=lambda lab: not (lab.folder / "pwned").exists(),
    ),
    row(
        "model of other classes",
        lambda lab: lab.eval(*coco_val(lab)),
        3,
        r"instances\.json: class 'box' is not among the classes asked for",
        r"only in the file: box; only asked for: ring, square",
    ),
    row(
        "classifier of other classes",
        lambda lab: lab.eval(
            f"data.val.root={lab.crops}", weights=lab.classifier / "model.safetensors", config=lab.classifier / "config.yaml"
        ),
        3,
        r"crops: class 'blue' is not among the classes asked for",
        r"crops: class 'red' is not among the classes asked for",
        r"only in the file: blue, red; only asked for: arrow",
    ),
    row(
        "eval with another backbone",
        lambda lab: lab.eval("model.backbone.name=resnet34"),
        2,
        r"model\.safetensors: was trained with 'model\.backbone\.name' 'resnet18', the config says 'resnet34'",
    ),
    row(
        "eval with other anchors and another pooling",
        lambda lab: lab.eval("model.anchors.sizes=[32]", "model.roi.pooling=pool"),
        2,
        r"was trained with 'model\.anchors\.sizes' \[12\.0, 24\.0, 48\.0\], the config says \[32\.0\]",
        r"was trained with 'model\.roi\.pooling' 'align', the config says 'pool'",
    ),
    row(
        "eval of a classifier with a detector's config",
        lambda lab: lab.eval(weights=lab.classifier / "model.safetensors"),
        2,
        r"model\.safetensors: holds a classification model, the config describes a detection model",
    ),
    row("eval of missing weights", lambda lab: lab.eval(weights=lab.folder / "gone"), 2, r"gone: no such model file"),
    row(
        "predict with a foreign file",
        lambda lab: lab.predict(lab.crops / "red", weights=foreign_safetensors(lab)),
        2,
        r"foreign\.safetensors: holds weights without a resdet card: `resdet convert` makes a model file of it",
    ),
    row(
        "predict with half a file",
        lambda lab: lab.predict(lab.crops / "red", weights=half_of(lab.detector / "model.safetensors", lab.folder)),
        3,
        r"half\.safetensors: not a safetensors model file",
    ),
    row(
        "predict with a picture as weights",
        lambda lab: lab.predict(lab.crops / "red", weights=lab.crops / "red" / "1.png"),
        3,
        r"1\.png: not a safetensors model file",
    ),
]


@pytest.mark.parametrize("mistake", WEIGHTS, ids=lambda mistake: mistake.name)
def test_wrong_weights(mistake: Row, lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    check(mistake, lab, capfd)
