"""`resdet convert` with Detectron2's detectors: the card, and what the file itself says."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from zoo_state import zoo_state

from resdet.cli import main


def _card(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["resdet"])


def _write(path: Path, content: object) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


@pytest.mark.parametrize(
    ("mean", "std", "order"),
    [([103.53, 116.28, 123.675], [1.0, 1.0, 1.0], "BGR"), ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], "RGB")],
)
def test_a_detectors_own_pixels_are_taken(tmp_path: Path, mean: list, std: list, order: str) -> None:
    state = zoo_state(width=1, classes=20)
    state |= {key: torch.tensor(value).view(3, 1, 1) for key, value in (("pixel_mean", mean), ("pixel_std", std))}
    torch.save({"model": state, "optimizer": {"state": {}}, "iteration": 3}, tmp_path / "model_final.pth")
    assert main(["convert", str(tmp_path / "model_final.pth"), str(tmp_path / "a.safetensors")]) == 0
    card = _card(tmp_path / "a.safetensors")
    assert (card["pixels"]["order"], card["architecture"]["backbone"]["stride_in_1x1"]) == (order, order == "BGR")
    assert (len(card["names"]), card["names"][0]) == (20, "aeroplane")
    torch.save({"model": state | {"pixel_mean": torch.zeros(3, 1, 1)}}, tmp_path / "model_final.pth")
    assert main(["convert", str(tmp_path / "model_final.pth"), str(tmp_path / "b.safetensors")]) == 2


def test_the_card_of_a_detector_has_every_setting_of_detectron2s_c4(tmp_path: Path) -> None:
    state = zoo_state(depth=101, width=1)
    _write(tmp_path / "a.pkl", {"model": {key: value.numpy() for key, value in state.items()}, "__author__": "zoo"})
    assert main(["convert", str(tmp_path / "a.pkl"), str(tmp_path / "a.safetensors")]) == 0
    card = _card(tmp_path / "a.safetensors")
    assert (card["task"], len(card["names"]), card["names"][79]) == ("detection", 80, "toothbrush")
    assert card["test"] == {"short_side": 800, "max_side": 1333}
    model = card["architecture"]
    assert (model["backbone"]["name"], model["backbone"]["stride_in_1x1"]) == ("resnet101", True)
    assert model["anchors"] == {"sizes": [32, 64, 128, 256, 512], "ratios": [0.5, 1, 2], "rounded": False}
    rpn, roi, test = model["rpn"], model["roi"], model["test"]
    assert [rpn[key] for key in ("pre_nms_top_n_test", "post_nms_top_n_test", "nms_thresh", "min_size")] == [6000, 1000, 0.7, 0]
    assert [roi[key] for key in ("pooling", "pooled_size", "sampling_ratio")] == ["align", 14, 0]
    assert [test[key] for key in ("score_thresh", "nms_thresh", "detections_per_image")] == [0.05, 0.5, 100]


@pytest.mark.parametrize("classes", [3, 81])
def test_a_detector_of_other_classes_needs_names(tmp_path: Path, classes: int, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(zoo_state(width=1, classes=classes), tmp_path / "a.pth")
    command = ["convert", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")]
    assert main(command) == 2
    assert f"a detector of {classes} classes: give --names FILE" in capsys.readouterr().err
    (tmp_path / "names.txt").write_text("\n".join(f"class {number}" for number in range(classes)))
    assert main([*command, "--names", str(tmp_path / "names.txt")]) == 0
