"""Models as torchvision and Detectron2 have them, and back again: the same tensors, the same boxes."""

from __future__ import annotations

import json
import runpy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_classifiers
import torch
import yaml
from close_detections import assert_close_detections, edges_of
from detectron2_reference import Settings, detect
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from tiny_classifiers import tiny_classifier
from tiny_detectors import picture, tiny_detector, written
from torchvision.models import resnet

import resdet
from resdet.cli import main
from resdet.errors import ConfigError, ResdetError
from resdet.models.convert.back import convert_back
from resdet.models.convert.convert_file import convert_file
from resdet.models.convert.torchvision_settings import SETTINGS, torchvision_settings
from resdet.models.model_file import read_card

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "torchvision_c4.py"
SMALL: dict[str, dict[str, Any]] = {
    "stride in the 1x1, BGR": {"backbone": {"name": "resnet50", "width": 64, "stride_in_1x1": True, "pixels": "msra"}},
    "torchvision's habits": {
        "backbone": {"name": "resnet18", "width": 64},
        "anchors": {"sizes": [20, 45, 60], "ratios": [0.5, 2], "rounded": True},
        "roi": {"pooling": "align_v1", "sampling_ratio": 2, "pooled_size": 8},
        "test": {"score_thresh": 0.1, "nms_thresh": 0.4, "detections_per_image": 30},
    },
}


def photo(height: int = 75, width: int = 107) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture(3, height, width).permute(1, 2, 0).numpy()))


def same_tensors(one: Path, other: Path) -> bool:
    mine, theirs = load_file(one), load_file(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_a_temporary_files_name_got_into_the_file_so_that_no_two_were_the_same(tmp_path: Path) -> None:
    model = tiny_classifiers.written(tmp_path / "model.safetensors")
    for name in ("one.pth", "other.pth"):
        convert_back(model, tmp_path / name, "torchvision")
    assert (tmp_path / "one.pth").read_bytes() == (tmp_path / "other.pth").read_bytes()


@pytest.mark.parametrize("kind", SMALL)
def test_torchvisions_own_detector_finds_the_same_boxes(kind: str, tmp_path: Path) -> None:
    model = written(tmp_path / "model.safetensors", tiny_detector(**SMALL[kind]), (75, 107), **SMALL[kind])
    assert main(["convert", str(model), str(tmp_path / "out.pth"), "--to", "torchvision"]) == 0
    theirs, names = runpy.run_path(str(EXAMPLE))["detector"](str(tmp_path / "out.pth"))
    ours = resdet.load_detector(model, device="cpu")
    with torch.no_grad():
        (found,) = theirs([torch.from_numpy(np.array(photo())).permute(2, 0, 1) / 255])
    expected = ours.predict(photo())
    assert len(expected) > 5
    assert tuple(names) == expected.names
    edges = edges_of(ours.models[0].roi_heads.postprocess)
    assert_close_detections(expected, (found["boxes"], found["scores"], found["labels"] - 1), edges=edges)
    convert_file(tmp_path / "out.pth", tmp_path / "again.safetensors")
    assert_close_detections(
        resdet.load_detector(tmp_path / "again.safetensors", device="cpu").predict(photo()), expected, edges=edges
    )
    assert same_tensors(model, tmp_path / "again.safetensors") == ("BGR" not in kind)  # whose first convolution takes RGB now
    again, first = read_card(tmp_path / "again.safetensors"), read_card(model)
    for section in ("anchors", "test", "backbone"):
        wanted = {**first.architecture[section], **({"pixels": "auto"} if section == "backbone" else {})}
        assert {**again.architecture[section], **({"width": 64} if section == "backbone" else {})} == wanted
    assert (again.names, again.test) == (first.names, first.test)


@pytest.mark.parametrize("pixels", ["torchvision", "msra"])
def test_detectron2_finds_the_same_boxes(pixels: str, tmp_path: Path) -> None:
    changes: dict[str, dict[str, Any]] = {
        "backbone": {"name": "resnet50", "width": 8, "stride_in_1x1": pixels == "msra", "pixels": pixels},
        "rpn": {"min_size": 2.0, "nms_thresh": 0.8},
        "roi": {"pooling": "align_v1", "bg_iou_thresh": 0.4},
        "test": {"nms_thresh": 0.4},
    }
    model = written(tmp_path / "model.safetensors", tiny_detector(**changes), (75, 107), **changes)
    made = convert_back(model, tmp_path / "model_final.pth", "detectron2")
    assert made.paths == (tmp_path / "model_final.pth", tmp_path / "config.yaml")
    said = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert said["MODEL"]["ROI_HEADS"]["IOU_THRESHOLDS"] == [0.4, 0.5]
    assert said["MODEL"]["ROI_HEADS"]["IOU_LABELS"] == [0, -1, 1]
    limits = {"pre_nms": 100, "post_nms": 20, "rpn_thresh": 0.8, "min_size": 2, "nms_thresh": 0.4}
    settings = Settings(75, 107, said["INPUT"]["FORMAT"] == "RGB", (16, 32), aligned=False, **limits)
    state = torch.load(tmp_path / "model_final.pth", weights_only=True)["model"]
    numbers = {"mean": said["MODEL"]["PIXEL_MEAN"], "std": said["MODEL"]["PIXEL_STD"]}
    found = detect(state, photo(), **numbers, stride_in_1x1=pixels == "msra", settings=settings)
    ours = resdet.load_detector(model, device="cpu")
    assert len(found[1]) > 5
    assert_close_detections(ours.predict(photo()), found, edges=edges_of(ours.models[0].roi_heads.postprocess))
    (tmp_path / "names.txt").write_text("cat\ndog\nemu\n")
    convert_file(tmp_path / "model_final.pth", tmp_path / "again.safetensors", names=tmp_path / "names.txt")
    assert same_tensors(model, tmp_path / "again.safetensors")
    again, first = read_card(tmp_path / "again.safetensors"), read_card(model)
    for section in ("anchors", "rpn", "roi", "test"):
        assert again.architecture[section] == first.architecture[section]
    assert again.architecture["freeze_at"] == first.architecture["freeze_at"]
    assert (again.names, again.test) == (first.names, first.test)


def test_a_classifier_and_a_backbone_for_torchvision(tmp_path: Path) -> None:
    model = tiny_classifier()
    resdet.save(model, tmp_path / "model.safetensors")
    made = convert_back(tmp_path / "model.safetensors", tmp_path / "out.pth", "torchvision")
    assert made.facts["pixels"] == model.pixels.describe()
    state = torch.load(tmp_path / "out.pth", weights_only=True)
    whole = resnet.resnet18(num_classes=len(model.names)).state_dict()
    assert state.keys() == whole.keys()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        convert_file(tmp_path / "out.pth", tmp_path / "again.safetensors")
    assert same_tensors(tmp_path / "model.safetensors", tmp_path / "again.safetensors")
    with pytest.raises(ConfigError, match="holds no detector, which has no place in detectron2's files"):
        convert_back(tmp_path / "model.safetensors", tmp_path / "b.pth", "detectron2")


@pytest.mark.parametrize(
    ("toolkit", "changes", "message"),
    [
        ("torchvision", {"backbone": {"name": "resnet18d"}}, "no such network: stem deep, averaged_shortcut True"),
        ("torchvision", {"backbone": {"shortcut": "A"}}, "no such network: shortcut A"),
        ("torchvision", {"roi": {"pooling": "pool"}}, "torchvision's detectors have no 'model.roi.pooling' pool"),
        ("torchvision", {"rpn": {"min_size": 4.0}}, "no 'model.rpn.min_size' 4.0"),
        ("torchvision", {"test": {"soft_nms": "linear"}}, "no 'model.test.soft_nms' linear"),
        ("torchvision", {"roi": {"context": True}}, "no 'model.roi.context' True"),
        ("detectron2", {}, "no 'model.backbone.block' basic"),
        ("detectron2", {"backbone": {"name": "resnet50"}, "anchors": {"rounded": True}}, "no 'model.anchors.rounded' True"),
        ("detectron2", {"backbone": {"name": "resnet50"}, "rpn": {"min_size": 0.5}}, "no 'model.rpn.min_size' 0.5"),
        ("detectron2", {"backbone": {"name": "resnext50_32x4d", "width": 32}}, "no 'model.backbone.groups' 32"),
        ("detectron2", {"backbone": {"name": "resnet50"}, "test": {"refine": True}}, "no 'model.test.refine' True"),
    ],
)
def test_what_a_toolkit_does_not_have_is_refused_by_name(
    toolkit: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = written(tmp_path / "model.safetensors", tiny_detector(**changes), **changes)
    with pytest.raises(ConfigError, match=message):
        convert_back(model, tmp_path / "out.pth", toolkit)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.safetensors"]


def test_destinations_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = written(tmp_path / "model.safetensors", tiny_detector())
    command = ["convert", str(model), str(tmp_path / "out.pth"), "--to", "torchvision"]
    assert main([*command, "--pixels", "msra"]) == 2
    assert "--to torchvision writes what SRC says; --pixels is of other toolkits' files" in capsys.readouterr().err
    assert main(["convert", str(model), str(tmp_path / "out.pkl"), "--to", "torchvision"]) == 2
    (tmp_path / "out.json").write_text("{}")
    assert main(command) == 2
    assert f"{tmp_path / 'out.json'}: exists already" in capsys.readouterr().err


# --------------------------------------------------------------------------------------- torchvision's detectors of others


def test_a_torchvision_detector_of_another_writer(tmp_path: Path) -> None:
    """The trunk in a sequence, wrapped by DDP, without settings: they are assumed, and listed."""
    anchors = {"sizes": [32, 64, 128, 256, 512]}
    model = written(tmp_path / "model.safetensors", tiny_detector(anchors=anchors), anchors=anchors)
    convert_back(model, tmp_path / "out.pth", "torchvision")
    places = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6"}
    state = {}
    for key, value in torch.load(tmp_path / "out.pth", weights_only=True).items():
        part = key.split(".")[1]
        name = key.replace(f"backbone.{part}", f"backbone.body.{places[part]}") if key.startswith("backbone.") else key
        state[f"module.{name.replace('box_head.0.', 'box_head.layer4.')}"] = value
    torch.save({"model": state, "epoch": 3}, tmp_path / "other.pth")
    (tmp_path / "names.txt").write_text("cat\ndog\nemu\n")
    with pytest.warns(UserWarning, match="no config says how this detector is set") as caught:
        made = convert_file(tmp_path / "other.pth", tmp_path / "other.safetensors", names=tmp_path / "names.txt")
    assert "roi_pool.aligned False, arguments.min_size 800" in str(caught[0].message)
    assert made.card.architecture["roi"]["pooling"] == "align_v1"
    assert made.card.architecture["anchors"]["rounded"]
    assert same_tensors(model, tmp_path / "other.safetensors")
    torch.save({**state, "module.roi_heads.box_head.fc6.weight": torch.zeros(2, 2)}, tmp_path / "fc.pth")
    with pytest.raises(ConfigError, match=r"no part of Faster R-CNN on C4: roi_heads\.box_head\.fc6"):
        convert_file(tmp_path / "fc.pth", tmp_path / "fc.safetensors", names=tmp_path / "names.txt")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=8)


@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)), values, max_size=4), values, st.binary(max_size=9))
def test_any_settings(tmp_path_factory: pytest.TempPathFactory, said: dict[str, Any], section: Any, noise: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "settings.json"
    content: dict[str, Any] = {"arguments": {}, "anchors": {}, "roi_pool": {}}
    for name, value in said.items():
        first, _, last = name.rpartition(".")
        (content[first] if first else content)[last] = value
    whole = json.dumps(content).encode()
    for given_bytes in (whole, whole[:-3] + noise, json.dumps({"arguments": section, "anchors": section}).encode()):
        path.write_bytes(given_bytes)
        try:
            said_again = str(torchvision_settings(path).architecture)
        except ResdetError as error:
            said_again = str(error)
        assert len(said_again) < 10_000
