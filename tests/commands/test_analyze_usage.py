"""What `resdet analyze` refuses before it computes anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from analyzing import command, noise_config

from resdet.cli import main

Analyze = Callable[..., int]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_config(tmp_path_factory.mktemp("analyze"))


@pytest.fixture
def analyze(config: Path, tmp_path: Path) -> Analyze:
    return lambda name, *arguments: main([*command(name, config, tmp_path / "out"), *arguments])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["lesion"], "analyze lesion needs --weights"),
        (["norm", "--rates", "0.1", "-1"], "--rates must be numbers above 0, got '-1'"),
        (["norm", "--rates", "0.1", "nan"], "--rates must be numbers above 0, got 'nan'"),
        (["norm", "--networks", "cifar_resnet9"], "6n + 2"),
        (["degradation", "--networks", "cifar_resnet8", "--seeds", "2"], "--seeds does not go with analyze degradation"),
        (["permutation"], "analyze permutation needs --weights"),
        (["diff", "--weights", "a"], "analyze diff compares two files of --weights, got 1"),
        (["paths"], "analyze paths needs --networks or --weights"),
        (["responses"], "analyze responses needs --networks or --weights"),
        (["degradation"], "analyze degradation needs --networks or --runs"),
        (["lesion", "--weights", "a", "--batches", "2"], "--batches does not go with analyze lesion"),
        (["responses", "--weights", "a", "b", "--networks", "c"], "1 for 2 files"),
        (["gradients", "--weights", "a", "--iterations", "2"], "it does not go with --weights"),
        (["degradation", "--networks", "cifar_resnet8", "cifar_resnet8"], "must not name the same twice"),
        (["degradation", "--networks", "cifar_resnet9", "cifar_resnt20"], "cifar_resnt20"),
        (["degradation", "--networks", "cifar_resnet9", "cifar_resnt20"], "6n + 2"),
        (["responses", "--networks", "cifar_resnet9"], "6n + 2"),
        (["degradation", "--runs", "absent"], "--iterations, --seeds and key=value do not go with them"),
        (["responses", "--weights", "absent.pth"], "absent.pth: no such model file"),
        (["degradation", "--networks", "cifar_resnet8", "data.val.root="], "'data.val.root' must name the test images"),
        (["shortcuts", "model.backbone.name=cifar_plain8"], "needs a residual network in option 'model.backbone.name'"),
        (["responses", "--networks", "cifar_resnet8", "optimizer.learning=1"], "unknown option 'optimizer.learning'"),
    ],
)
def test_wrong_usage(analyze: Analyze, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str) -> None:
    assert analyze(*arguments) == 2
    assert problem in capsys.readouterr().err


def test_numbers_out_of_range(analyze: Analyze, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, problem in ((["--draws", "0"], "must be at least 1, got 0"), (["--images", "x"], "must be an integer")):
        with pytest.raises(SystemExit) as stopped:
            analyze("lesion", *arguments)
        assert stopped.value.code == 2
        assert problem in capsys.readouterr().err


def test_needs_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "shortcuts", "--output", str(tmp_path)]) == 2
    assert "analyze shortcuts needs --config FILE" in capsys.readouterr().err
