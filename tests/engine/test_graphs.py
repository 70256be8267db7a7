"""What recorded passes refuse, as far as a CPU can show it; what they compute is shown in ``tests/gpu``."""

from __future__ import annotations

from pathlib import Path

import pytest
from cifar_files import written_cifar10

import resdet
from resdet.config import load_config
from resdet.errors import ConfigError


def test_a_run_on_the_cpu_says_so_and_leaves_no_folder(tmp_path: Path) -> None:
    root = str(written_cifar10(tmp_path / "cifar", 2))
    options = {"data.train.root": root, "data.val.root": root, "run.cuda_graphs": True, "run.batch": 4}
    with pytest.raises(ConfigError, match=r"needs a GPU"):
        resdet.train("cifar10_r20", output=tmp_path / "run", device="cpu", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ("imagenet_loc_r101_rpn", ["run.cuda_graphs=true"], r"'run\.cuda_graphs' is for classifiers and detectors"),
        ("coco_r50", ["run.cuda_graphs=true", "run.compile=true"], r"either option 'run\.cuda_graphs' or 'run\.compile' for"),
        (
            "coco_r50",
            ["run.cuda_graphs=true", "run.checkpoint_activations=true"],
            r"either option 'run\.cuda_graphs' or 'run\.checkpoint_activations' for a detector, got both",
        ),
        (
            "cifar10_r20",
            ["run.cuda_graphs=true", "run.accumulate=2"],
            r"'run\.accumulate' must be 1 with 'run\.cuda_graphs'.*got 2",
        ),
        (
            "cifar10_r20",
            ["run.cuda_graphs=true", "regularization.mixup=0.2"],
            r"'regularization\.mixup' .*must be 0.*got 0\.2 and 0",
        ),
        ("imagenet_r50", ["data.resident=true"], r"'data\.resident' is for crops that are neither resized nor coloured"),
    ],
)
def test_what_does_not_go_together(config: str, options: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(config, options)
