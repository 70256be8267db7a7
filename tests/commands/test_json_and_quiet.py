"""``--json`` is one document on standard output, ``--quiet`` leaves tables, warnings and errors, ``completion`` knows both."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resdet.cli import main
from resdet.commands.parsers import COMMANDS, actions_of, command_parser


def document(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> dict:
    assert main([*map(str, arguments), "--json"]) == status
    out = capsys.readouterr().out
    return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_check(capsys, shapes: Path) -> None:
    found = document(capsys, "data", "check", shapes)
    train = json.loads((shapes / "annotations" / "instances_train.json").read_text())
    assert found["sets"]["data.train[0]"]["images"] == len(train["images"])
    names = {each["id"]: each["name"] for each in train["categories"]}
    counted = [names[each["category_id"]] for each in train["annotations"] if not each["iscrowd"]]
    assert {name: count for name, count in found["sets"]["data.train[0]"]["classes"].items() if count} == {
        name: counted.count(name) for name in counted
    }
    assert {each["kind"] for each in found["findings"]} <= {"class-imbalance", "class-without-objects", "class-only-in-train"}


def test_check_of_broken_data_has_a_document_and_the_errors(capsys, shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes, tmp_path / "bad")
    next((tmp_path / "bad" / "images" / "val").iterdir()).write_bytes(b"")
    assert main(["data", "check", str(tmp_path / "bad"), "--json"]) == 3
    told = capsys.readouterr()
    assert "findings" in json.loads(told.out)
    assert "the file is empty" in told.err


def test_stats_have_the_numbers_of_the_text(capsys, shapes: Path) -> None:
    found = document(capsys, "data", "stats", shapes)
    assert main(["data", "stats", str(shapes)]) == 0
    rows = re.findall(r"^all +(\d+) +(\d+)", capsys.readouterr().out, re.MULTILINE)
    shown = [(each["class"][0]["objects"], each["class"][0]["images"]) for each in found.values()]
    assert shown == [(float(objects), float(images)) for objects, images in rows]
    assert found["data.val"]["anchors"][0]["anchors"] == "configured"


def test_statistics(capsys, shapes: Path, tmp_path: Path) -> None:
    source = ["--format", "folder", "--root", shapes / "crops" / "train"]
    pca = document(capsys, "data", "pca", *source, "--output", tmp_path / "pca.json")
    assert pca == json.loads((tmp_path / "pca.json").read_text())
    mean = document(capsys, "data", "mean", *source, "--output", tmp_path / "mean.safetensors")
    assert len(mean["mean"]) == len(mean["std"]) == 3
    assert mean["images"] == pca["images"]


def test_fix(capsys, shapes: Path, tmp_path: Path) -> None:
    found = document(capsys, "data", "fix", shapes, "--output", tmp_path / "fixed")
    assert {option: each["folder"] for option, each in found.items()} == {
        "data.train[0]": str(tmp_path / "fixed" / "train"),
        "data.val": str(tmp_path / "fixed" / "val"),
    }
    assert all(each["changes"] == {} for each in found.values())


def test_scores_are_those_of_metrics_json(capsys, shapes: Path, tmp_path: Path) -> None:
    truth = shapes / "annotations" / "instances_val.json"
    content = json.loads(truth.read_text())
    rows = [{**{key: each[key] for key in ("image_id", "category_id", "bbox")}, "score": 1} for each in content["annotations"]]
    (tmp_path / "found.json").write_text(json.dumps(rows))
    command = ["eval", "--ground-truth", truth, "--detections", tmp_path / "found.json", "--output", tmp_path]
    assert document(capsys, *command) == json.loads((tmp_path / "metrics.json").read_text())


def test_convert(capsys, weights: Callable[[str], str], tmp_path: Path) -> None:
    found = document(capsys, "convert", weights("resnet18"), tmp_path / "model.safetensors")
    assert found["facts"]["backbone"] == "resnet18, width 4"
    assert len(found["tensors"]["loaded"]) == 20 + 20 * 4 + 2  # convolutions, BN, and the last layer
    assert found["tensors"]["missing"] == []


def test_info(capsys) -> None:
    found = document(capsys, "info", "--configs", "--options")
    assert found["options"]["detection"]["run.batch"]["default"] == 16
    assert "demo_det" in found["configs"]
    backbones = {each["backbone"]: each for each in document(capsys, "info")["backbones"]}
    # of He et al. 2015: 3.8e9, cut and not rounded; torchvision's parameters
    assert np.floor(backbones["resnet50"]["multiply_adds"] / 1e8) == 38
    assert backbones["resnet50"]["parameters"] == 25_557_032


def test_paper(capsys) -> None:
    found = document(capsys, "paper", "table6")
    assert list(found) == ["table6"]
    assert all(row["name"] for row in found["table6"]["rows"])


def test_quiet_leaves_tables_and_errors(capsys, shapes: Path, tmp_path: Path) -> None:
    copy = ["data", "convert", "--format", "coco", "--root", str(shapes / "images" / "val")]
    copy += ["--annotations", str(shapes / "annotations" / "instances_val.json"), "--to", "yolo"]
    assert main([*copy, str(tmp_path / "loud")]) == 0
    assert "as yolo" in capsys.readouterr().out
    assert main([*copy, str(tmp_path / "quiet"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*copy, str(tmp_path / "quiet"), "--quiet"]) == 2
    assert "must be a new or an empty folder" in capsys.readouterr().err
    assert main(["data", "stats", str(shapes), "--quiet"]) == 0
    assert "recall 0.5" in capsys.readouterr().out
    assert main([*copy, str(tmp_path / "loud again")]) == 0  # the next command of the process is as loud as ever
    assert "as yolo" in capsys.readouterr().out


def test_every_command_has_quiet_and_those_with_tables_json() -> None:
    leaves = {}
    for name in COMMANDS:
        parser = command_parser(name)
        leaves |= {f"{name} {action}": its for action, its in actions_of(parser).items()} or {name: parser}
    options = {name: {text for action in its._actions for text in action.option_strings} for name, its in leaves.items()}
    assert [name for name, its in options.items() if "--quiet" not in its] == []
    with_json = {name for name, its in options.items() if "--json" in its}
    assert {"eval", "predict", "report", "info", "bench", "analyze", "convert", "export"} < with_json
    assert {"data check", "data fix", "data stats", "weights download"} < with_json
    assert "data make" not in with_json


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_actions_and_options(capsys, tmp_path: Path) -> None:
    assert main(["completion", "bash"]) == 0
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    program = """
    source ./completion
    function=$(complete -p resdet | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); $function resdet "${COMP_WORDS[COMP_CWORD]}"; echo "${COMPREPLY[@]}"; }
    try resdet pre
    try resdet data ch
    try resdet data check --js
    try resdet eval --rep
    """  # noqa: E501
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n") == ["predict", "check", "--json", "--report", ""]
