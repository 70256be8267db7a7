"""`resdet info`."""

from __future__ import annotations

import argparse
import contextlib
import io
from pathlib import Path

import pytest
import torch

from resdet.commands import info
from resdet.config.schema import RUN_CONFIGS
from resdet.errors import ConfigError, DataError
from resdet.models.backbones.registry import create_backbone, list_backbones


def _run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    info.add_arguments(parser)
    return info.run(parser.parse_args(arguments))


@pytest.fixture(scope="module")
def shown() -> str:
    """What `resdet info` prints without arguments."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert _run() == 0
    return output.getvalue()


def test_lists_the_shipped_run_files(configs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--configs") == 0
    first, empty, *rows = capsys.readouterr().out.splitlines()
    assert (first, empty) == (f"run files in {configs}:", "")
    assert [row.split()[0] for row in rows] == sorted(path.stem for path in configs.glob("*.yaml"))
    assert max(map(len, rows)) <= 128
    (row,) = [row for row in rows if row.startswith("coco_r50 ")]
    assert row.split("  ")[-1].strip().startswith("Faster R-CNN, ResNet-50-C4, COCO 2017")


def test_an_installation_without_run_files_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("resdet.facts.run_files.shipped_folder", lambda name: tmp_path / name)
    with pytest.raises(ConfigError, match=r"configs: no run files: the package is not installed as a whole"):
        _run("--configs")


def test_lists_versions_and_the_cost_of_every_backbone(shown: str) -> None:
    assert f"torch                   {torch.__version__.split('+')[0]}" in shown
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line}
    assert set(list_backbones()) <= set(rows)
    assert rows["resnet50"] == ["25,557,032", "3.858", "G", "3.8", "G"]
    assert rows["preact_resnet18"] == ["11,687,720", "1.814", "G"]
    assert rows["cifar_preact_bottleneckDEPTH"] == ["9n", "+", "2"]


def test_lists_every_option_with_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--options") == 0
    output = capsys.readouterr().out
    assert [line for line in output.splitlines() if line.endswith(":")] == [f"run file of task {task}:" for task in RUN_CONFIGS]
    assert "  model.backbone.width = 0: " in output
    assert "  data.train[0].format = 'coco': " in output
    assert "  data.hflip = 0.5: probability of a horizontal flip in training [0 … 1]" in output


def test_prints_a_run_file_and_its_backbone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.yaml"
    path.write_text("task: detection\nmodel:\n  backbone:\n    name: resnet18\n")
    assert _run("--config", str(path)) == 0
    output = capsys.readouterr().out
    assert "name: resnet18" in output
    assert "short_side:" in output
    assert "11,689,512" in output


def test_says_what_a_weights_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.pth"
    torch.save(create_backbone("resnet34", num_classes=7).state_dict(), path)
    assert _run("--weights", str(path)) == 0
    output = capsys.readouterr().out
    assert "looks like    resnet34" in output
    assert "classes       7" in output
    assert "unknown, no BN statistics" in output


def _facts(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert _run("--weights", str(path)) == 0
    return {line[:14].strip(): line[14:] for line in capsys.readouterr().out.splitlines()}


def test_says_what_shows_what_weights_want(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = create_backbone("resnet18", num_classes=7, width=8)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    found = _facts(tmp_path / "weights.pth", capsys)
    assert found["size"] == f"{(tmp_path / 'weights.pth').stat().st_size / 1e6:.1f} MB"
    assert found["looks like"] == "resnet18, width 8"
    assert (found["names of"], found["task"], found["classes"]) == ("torchvision", "classification", "7")
    assert found["pixels"].endswith(": assumed, nothing shows it")
    named = tmp_path / "resnet18-f37072fd.pth"
    torch.save(network.state_dict(), named)
    assert _facts(named, capsys)["pixels"].endswith(": its name is that of torchvision's weights")
    network.bn1.running_var.fill_(58.0**2)
    torch.save(network.state_dict(), tmp_path / "bytes.pth")
    assert _facts(tmp_path / "bytes.pth", capsys)["convert"].startswith("refused: ")
    bottlenecks = create_backbone("resnet50", num_classes=7, width=4)
    torch.save(bottlenecks.state_dict(), tmp_path / "weights.pth")
    assert _facts(tmp_path / "weights.pth", capsys)["looks like"] == "resnet50, stride in the 3x3 (assumed), width 4"


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        _run("--weights", str(tmp_path / "absent.pth"))
    broken = tmp_path / "broken.pth"
    broken.write_text("not weights")
    with pytest.raises(DataError, match=r"broken\.pth: is a text, and holds no tensors"):
        _run("--weights", str(broken))
