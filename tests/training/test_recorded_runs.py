"""``run.cuda_graphs`` of a detector, with a stand-in for what records; what a GPU computes is shown in ``tests/gpu``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from repeated_passes import Repeated
from tiny_detectors import short_run
from torch import Tensor

import resdet
from resdet.errors import ConfigError
from resdet.models.detection.training_rows import recorded
from resdet.training import start

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN")


def weights(tiny_coco: Any, output: Path, **options: Any) -> dict[str, Tensor]:
    """Of a short training of a tiny detector, in two parts a batch."""
    chosen = short_run(tiny_coco) | {"run.accumulate": 2, "run.kernels": "torch"} | options
    return resdet.train("coco_r50", output=output, device="cpu", **chosen).model.state_dict()


def test_a_run_with_recorded_passes_ends_with_the_same_weights(
    tiny_coco: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = weights(tiny_coco, tmp_path / "plain")
    monkeypatch.setattr(start, "check_recording", lambda _: None)
    monkeypatch.setattr(recorded, "Graphs", Repeated)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(Repeated, "made", [])
    found = weights(tiny_coco, tmp_path / "recorded", **{"run.cuda_graphs": True})
    assert sum(each.replays for each in Repeated.made) >= 4
    for name, value in plain.items():
        assert torch.equal(value, found[name]), name


def test_a_detector_on_a_cpu_records_nothing(tiny_coco: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'run\.cuda_graphs' needs a GPU, the device is cpu"):
        weights(tiny_coco, tmp_path / "run", **{"run.cuda_graphs": True})
