"""What recorded passes refuse, as far as a CPU can show it; what they compute is shown in ``tests/gpu``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cifar_files import written_cifar10
from torch import nn

import resdet
from resdet.config import load_config
from resdet.engine.graphs import replay
from resdet.engine.precision import Precision
from resdet.errors import ConfigError


def test_without_a_gpu_nothing_is_recorded() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(ConfigError, match=r"'run\.cuda_graphs' needs a GPU, the device is cpu"):
        replay(module, torch.zeros(1, 3, 8, 8), Precision("fp32", torch.device("cpu")))


def test_a_run_on_the_cpu_says_so_and_leaves_no_folder(tmp_path: Path) -> None:
    root = str(written_cifar10(tmp_path / "cifar", 2))
    options = {"data.train.root": root, "data.val.root": root, "run.cuda_graphs": True, "run.batch": 4}
    with pytest.raises(ConfigError, match=r"needs a GPU"):
        resdet.train("cifar10_r20", output=tmp_path / "run", device="cpu", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ("coco_r50", ["run.cuda_graphs=true"], r"'run\.cuda_graphs' is for classifiers"),
        ("cifar10_r20", ["run.cuda_graphs=true", "run.accumulate=3"], r"'run\.accumulate' must divide 'run\.batch' 128"),
        ("imagenet_r50", ["data.resident=true"], r"'data\.resident' is for crops that are neither resized nor coloured"),
    ],
)
def test_what_does_not_go_together(config: str, options: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(config, options)
