"""Whole detectors with trained trunks, on photos: the same boxes in both runtimes.

Three photos; EXPORT_PHOTOS=all takes twenty, and a ResNet-50 with context too, which takes half an hour of one core.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_detectors import spread_outputs

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import resdet
from resdet.config import config_from_dict
from resdet.config.schema import DetectorConfig
from resdet.export.export import export_file
from resdet.models.build import build_detector

pytestmark = [pytest.mark.real, pytest.mark.slow]

ALL = os.environ.get("EXPORT_PHOTOS") == "all"
R50 = {"name": "resnet50", "weights": "resnet50_msra_bgr_stride_in_1x1.fp16.pth", "pixels": "msra", "stride_in_1x1": True}
DETECTORS: dict[str, dict[str, Any]] = {
    "resnet18": {"backbone": {"name": "resnet18", "weights": "resnet18_imagenet_pq.fp16.pth"}},
    "resnet50": {"backbone": R50},
    "resnet50 with context": {"backbone": R50, "roi": {"context": True}},
}


def photos(data: Path) -> list[Path]:
    """Photos of three data sets, of many sizes."""
    folders = (
        {"coco_mini": 8, "kangaroo_voc": 6, "voc2012_mini": 6}
        if ALL
        else {"coco_mini": 1, "kangaroo_voc": 1, "voc2012_mini": 1}
    )
    return [photo for folder, count in folders.items() for photo in sorted((data / folder).rglob("*.jpg"))[:count]]


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
@pytest.mark.parametrize("kind", DETECTORS if ALL else list(DETECTORS)[:2])
@pytest.mark.filterwarnings("ignore:frozen BN has mean 0")
def test_the_same_boxes_on_photos(kind: str, suffix: str, shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino" if suffix == ".xml" else "onnxruntime")
    values = {**DETECTORS[kind], "rpn": {"post_nms_top_n_test": 100}}
    backbone = values["backbone"]
    values["backbone"] = {**backbone, "weights": str(shared_data / "weights" / backbone["weights"])}
    torch.manual_seed(0)
    model = build_detector(config_from_dict(DetectorConfig, values), [f"class {label}" for label in range(20)]).eval()
    resdet.save(spread_outputs(model), tmp_path / "model.safetensors")
    given = photos(shared_data)
    exported = export_file(tmp_path / "model.safetensors", tmp_path / f"out{suffix}", images=given)  # which compares
    assert exported.pictures == len(given) == (20 if ALL else 3)
    assert int(exported.losses["detections"].partition(",")[0]) > 25 * len(given)
