"""Models as ``.pt2`` files of torch.export: the modules find what the models find, and so do the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_classifiers
import tiny_localizers
import torch
from tiny_detectors import picture, tiny_detector, written

pytest.importorskip("onnx")  # which the other files of the room need

from graph_runs import as_batch
from program_runs import assert_same, assert_same_boxes, inputs, photo

import resdet
from resdet.config.localization import LocalizerTestConfig
from resdet.errors import ConfigError, DataError, ResdetError
from resdet.export.export import export_file
from resdet.export.torch_programs import DetectorProgram, LocalizerProgram
from resdet.structures.pictures import to_image

DETECTORS: dict[str, dict[str, Any]] = {
    "resnet18": {},
    "resnet50": {"backbone": {"name": "resnet50", "stride_in_1x1": True}},
    "context": {"roi": {"context": True}},
    "RoI pooling": {"roi": {"pooling": "pool"}},
    "RoIAlign half a pixel off, two samples": {"roi": {"pooling": "align_v1", "sampling_ratio": 2}},
    "one proposal": {"rpn": {"post_nms_top_n_test": 1}},
    "few proposals of few anchors": {"rpn": {"pre_nms_top_n_test": 10, "post_nms_top_n_test": 200}},
    "large proposals alone": {"rpn": {"min_size": 16.0}},
    "a few of many": {"test": {"score_thresh": 0.0, "nms_thresh": 0.9, "detections_per_image": 7}},
    "none": {"test": {"score_thresh": 1.0}},
}
BATCHES = [[picture(1)], [picture(1, 97, 131), picture(2, 75, 50), picture(3, 120, 33)]]


@pytest.mark.parametrize("kind", DETECTORS)
@torch.no_grad()
def test_the_module_finds_what_the_detector_finds(kind: str) -> None:
    model = tiny_detector(**DETECTORS[kind])
    found = [assert_same(DetectorProgram(model)(*inputs(images)), model, images) for images in BATCHES]
    assert sum(found) == 0 if kind == "none" else min(found) > 0


@torch.no_grad()
def test_a_detector_s_file(tmp_path: Path) -> None:
    model = tiny_detector()
    source = written(tmp_path / "model.safetensors", model)
    made = export_file(source, tmp_path / "model.pt2", images=[photo(tmp_path)])
    assert made.losses["box"].startswith("0.00 pixels")
    extra = {"resdet": "", "resdet_export": ""}
    program = torch.export.load(made.path, extra_files=extra).module()
    assert json.loads(extra["resdet"])["names"] == list(model.names)
    for images in BATCHES:
        assert assert_same(program(*inputs(images)), model, images)
    with pytest.raises(ConfigError, match=r"model\.pt2: resdet does not read \.pt2 files, because torch's reader executes"):
        resdet.load(made.path)


@torch.no_grad()
def test_a_classifier_s_file(tmp_path: Path) -> None:
    model = tiny_classifiers.tiny_classifier()
    made = export_file(tiny_classifiers.written(tmp_path / "model.safetensors", model), tmp_path / "model.pt2")
    images = torch.stack([picture(seed, 32, 32) for seed in range(3)])
    found = torch.export.load(made.path).module()(images.permute(0, 2, 3, 1).contiguous())
    torch.testing.assert_close(found["logits"], model(images), rtol=1e-4, atol=1e-4)
    assert torch.equal(found["probabilities"], found["logits"].softmax(1))


@pytest.mark.parametrize("vote_iou", [0.5, 0.2, 0.0])
@torch.no_grad()
def test_the_module_finds_what_the_localizer_finds(vote_iou: float) -> None:
    model, images, classes = tiny_localizers.tiny_rpn(), [picture(1, 70, 97), picture(2, 70, 97)], [[2, 0], [1, 1]]
    program = LocalizerProgram(model, vote_iou)
    found = program(torch.from_numpy(as_batch(images)), torch.tensor(classes))
    assert_same_boxes(found, model, vote_iou, images, classes)
    model.head.common_reg.bias.view(-1, 4)[:, 0] = -1e6  # all boxes far left of the image, which is then the answer
    found = program(torch.from_numpy(as_batch(images)), torch.tensor(classes))
    assert found["boxes"].tolist() == [[[0, 0, 97, 70]] * 2] * 2
    assert not found["scores"].any()


@torch.no_grad()
def test_a_localizer_s_file(tmp_path: Path) -> None:
    model, images = tiny_localizers.tiny_rpn(), [picture(1, 33, 80), picture(2, 33, 80), picture(3, 33, 80)]
    source = tiny_localizers.written(tmp_path / "model.safetensors", model)
    made = export_file(source, tmp_path / "model.pt2", images=[photo(tmp_path)], test={"short_sides": [0]})
    assert made.losses["box"].startswith("0.00 pixels")
    program = torch.export.load(made.path).module()
    for count, classes in ((3, [[2], [0], [1]]), (1, [[0, 1, 2, 1]])):
        found = program(torch.from_numpy(as_batch(images[:count])), torch.tensor(classes))
        assert_same_boxes(found, model, LocalizerTestConfig().vote_iou, images[:count], classes)


def test_a_picture_that_is_too_narrow_is_told(tmp_path: Path) -> None:
    to_image(picture(0, 2, 90)).save(tmp_path / "a.png")
    model = written(tmp_path / "detector.safetensors", tiny_detector())
    with pytest.raises(DataError, match=r"new\.pt2: torch cannot run it on a picture that is resized to 96x2 pixels") as caught:
        export_file(model, tmp_path / "new.pt2", images=[tmp_path / "a.png"])
    assert "unfinished" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "detector.safetensors"}


def test_what_is_no_pt2(tmp_path: Path) -> None:
    source = written(tmp_path / "model.safetensors", tiny_detector())
    for more in ({"precision": "fp16"}, {"resize": True}):
        with pytest.raises(ConfigError, match=r"a \.pt2 file is fp32 and takes resized pictures"):
            export_file(source, tmp_path / "a.pt2", **more)
    assert not (tmp_path / "a.pt2").exists()


def test_a_network_that_torch_cannot_export_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(torch.export, "export", broken)
    source = tiny_classifiers.written(tmp_path / "model.safetensors")
    with pytest.raises(ResdetError, match=r"model\.safetensors: torch .* cannot export it: no such thing"):
        export_file(source, tmp_path / "model.pt2")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.safetensors"]
