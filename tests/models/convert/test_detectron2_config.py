"""Detectron2's config.yaml beside the weights: what it changes, what is refused, and what is assumed without it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from close_detections import assert_close_detections, edges_of
from detectron2_configs import config
from detectron2_reference import Settings, detect, network_input, proposals, rpn_outputs, trunk
from PIL import Image
from torch import Tensor
from zoo_state import zoo_state

from resdet.cli import main
from resdet.errors import ConfigError, ResdetError
from resdet.inference.load import load_detector
from resdet.models.convert.convert_file import Converted, convert_file
from resdet.models.convert.detectron2_settings import detectron2_settings
from resdet.models.model_file import read_card

PIXELS = {"mean": [103.53, 116.28, 123.675], "std": [1.0, 1.0, 1.0]}
RGB = {"mean": [120.0, 110.0, 100.0], "std": [2.0, 1.0, 1.5]}
HEAD, RPN = "roi_heads.box_predictor", "proposal_generator.rpn_head"


def written(folder: Path, state: Mapping[str, Tensor], settings: Mapping[str, Any] | None = None) -> Path:
    torch.save({"model": dict(state)}, folder / "model_final.pth")
    if settings is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(config(settings)))
    return folder / "model_final.pth"


def converted(folder: Path, state: Mapping[str, Tensor], settings: Mapping[str, Any] | None = None, **more: Any) -> Converted:
    return convert_file(written(folder, state, settings), folder / "model.safetensors", **more)


def picture(seed: int = 5) -> Image.Image:
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, 6, 8, generator=generator)
    large = torch.nn.functional.interpolate(small, size=(150, 211), mode="bicubic").clamp(0, 1)
    return Image.fromarray((large[0] * 255).byte().permute(1, 2, 0).numpy())


@torch.no_grad()
def detecting_state(settings: Settings, pixels: dict[str, list[float]], *, stride_in_1x1: bool = True) -> dict[str, Tensor]:
    """A detector whose proposals vary; every class has boxes and scores of its own."""
    state = zoo_state(width=4, classes=20)
    x = network_input(picture(), settings=settings, **pixels)
    features = trunk(state, x, stride_in_1x1)
    logits, deltas = rpn_outputs(state, features)
    state[f"{RPN}.objectness_logits.weight"] *= 1.5 / logits.std()
    state[f"{RPN}.anchor_deltas.weight"] *= 0.3 / deltas.std()
    assert len(proposals(state, features, *x.shape[-2:], settings)) > 20
    torch.manual_seed(0)
    state[f"{HEAD}.cls_score.weight"].normal_(std=0.3)
    state[f"{HEAD}.bbox_pred.weight"].normal_(std=0.2)
    return state


OTHERS = Settings(
    short_edge=190,
    max_size=250,
    sizes=(16, 40, 64, 100, 200),
    ratios=(0.4, 1.0, 3.0),
    rpn_weights=(2.0, 2.0, 1.0, 0.5),
    pre_nms=400,
    post_nms=90,
    rpn_thresh=0.8,
    min_size=3,
    aligned=False,
    resolution=10,
    sampling=2,
    box_weights=(5.0, 20.0, 3.0, 7.0),
    score_thresh=0.07,
    nms_thresh=0.4,
    most=60,
)
NAMES = {
    "short_edge": "INPUT.MIN_SIZE_TEST",
    "max_size": "INPUT.MAX_SIZE_TEST",
    "sizes": "MODEL.ANCHOR_GENERATOR.SIZES",
    "ratios": "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS",
    "rpn_weights": "MODEL.RPN.BBOX_REG_WEIGHTS",
    "pre_nms": "MODEL.RPN.PRE_NMS_TOPK_TEST",
    "post_nms": "MODEL.RPN.POST_NMS_TOPK_TEST",
    "rpn_thresh": "MODEL.RPN.NMS_THRESH",
    "min_size": "MODEL.PROPOSAL_GENERATOR.MIN_SIZE",
    "resolution": "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION",
    "sampling": "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO",
    "box_weights": "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS",
    "score_thresh": "MODEL.ROI_HEADS.SCORE_THRESH_TEST",
    "nms_thresh": "MODEL.ROI_HEADS.NMS_THRESH_TEST",
    "most": "TEST.DETECTIONS_PER_IMAGE",
}


def names_of(settings: Settings) -> dict[str, Any]:
    """The settings under Detectron2's names, sizes in a list for the one map, and a tuple as the text that configs have."""
    said = {NAMES[key]: value for key, value in asdict(settings).items() if key in NAMES}
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
    values["MODEL.ANCHOR_GENERATOR.SIZES"] = [values["MODEL.ANCHOR_GENERATOR.SIZES"]]
    values["MODEL.RPN.BBOX_REG_WEIGHTS"] = str(tuple(values["MODEL.RPN.BBOX_REG_WEIGHTS"]))
    return {**values, "MODEL.ROI_HEADS.NUM_CLASSES": 20, "MODEL.ROI_BOX_HEAD.POOLER_TYPE": pooler(settings)}


def pooler(settings: Settings) -> str:
    return "ROIAlignV2" if settings.aligned else "ROIAlign"


def assert_same(
    folder: Path, state: Mapping[str, Tensor], settings: Settings, pixels: dict[str, list[float]], **more: Any
) -> None:
    detector = load_detector(folder / "model.safetensors", device="cpu")
    expected = detect(state, picture(), settings=settings, **pixels, **more)
    assert len(expected[1]) >= 20  # the comparison is about something
    assert_close_detections(detector.predict(picture()), expected, edges=edges_of(detector.models[0].roi_heads.postprocess))


def test_every_setting_of_testing_does_what_it_does_in_detectron2(tmp_path: Path) -> None:
    state = detecting_state(OTHERS, PIXELS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is assumed
        converted(tmp_path, state, names_of(OTHERS))
    assert_same(tmp_path, state, OTHERS, PIXELS)


def test_one_box_for_all_classes_other_pixels_and_another_stride(tmp_path: Path) -> None:
    settings = Settings(short_edge=190, max_size=250, rgb=True, post_nms=100)
    state = detecting_state(settings, RGB, stride_in_1x1=False)
    for kind in ("weight", "bias"):
        state[f"{HEAD}.bbox_pred.{kind}"] = state[f"{HEAD}.bbox_pred.{kind}"][:4].clone()
    said = {"MODEL.PIXEL_MEAN": RGB["mean"], "MODEL.PIXEL_STD": RGB["std"], "INPUT.FORMAT": "RGB"}
    said |= {"MODEL.RESNETS.STRIDE_IN_1X1": False, "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True}
    converted(tmp_path, state, {**names_of(settings), **said})
    assert_same(tmp_path, state, settings, RGB, stride_in_1x1=False)


@torch.no_grad()
def test_equal_scores_are_ordered_as_in_detectron2(tmp_path: Path) -> None:
    settings = Settings(short_edge=190, max_size=250, pre_nms=300, post_nms=50, score_thresh=0.01)
    state = detecting_state(settings, PIXELS)
    state[f"{RPN}.objectness_logits.weight"].zero_()  # all anchors of a shape have one score
    state[f"{RPN}.objectness_logits.bias"] = torch.arange(15) % 4 / 4
    state[f"{HEAD}.cls_score.weight"].zero_()
    state[f"{HEAD}.cls_score.bias"] = torch.arange(21) % 3 / 2
    converted(tmp_path, state, names_of(settings))
    found = load_detector(tmp_path / "model.safetensors", device="cpu").predict(picture())
    boxes, _, labels = detect(state, picture(), settings=settings, **PIXELS)
    assert len(labels) == 100
    assert torch.equal(found.labels, labels)
    torch.testing.assert_close(found.boxes, boxes, rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("VERSION", 1, "must be 2"),
        (
            "MODEL.META_ARCHITECTURE",
            "RetinaNet",
            "must be GeneralizedRCNN: resdet's detectors have nothing else, got 'RetinaNet'",
        ),
        ("MODEL.MASK_ON", True, r"--boxes-only takes the box part\), got True"),
        ("MODEL.LOAD_PROPOSALS", True, "must be False"),
        ("MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone", "build_resnet_backbone"),
        ("MODEL.RESNETS.OUT_FEATURES", ["res5"], r"\['res4'\]"),
        ("MODEL.RESNETS.NORM", "GN", "FrozenBN or BN or SyncBN or nnSyncBN"),
        ("MODEL.RESNETS.RES5_DILATION", 2, "must be 1"),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False, True, True, True], "nothing else"),
        ("MODEL.ANCHOR_GENERATOR.NAME", "RotatedAnchorGenerator", "DefaultAnchorGenerator"),
        ("MODEL.ANCHOR_GENERATOR.OFFSET", 0.5, "must be 0.0 or 0"),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64]], "numbers above 0, of one map"),
        ("MODEL.RPN.CONV_DIMS", [256, 256], r"\[-1\]"),
        ("MODEL.ROI_HEADS.NAME", "StandardROIHeads", "Res5ROIHeads"),
        ("MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE", True, "must be False"),
        ("MODEL.ROI_BOX_HEAD.USE_FED_LOSS", True, "must be False"),
        ("MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIAlignRotated", "ROIAlignV2 or ROIAlign or ROIPool"),
        ("MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS", [10, 10, 5], "4 numbers above 0"),
        ("MODEL.PIXEL_STD", [1, 0, 1], "3 numbers above 0"),
        ("INPUT.FORMAT", "L", "BGR or RGB"),
        ("INPUT.MIN_SIZE_TEST", 0, "pixels, at least 1"),
        ("MODEL.RPN.NMS_THRESH", "much", "must be a number, got 'much'"),
        ("MODEL.RPN.NMS_THRESH", 1.5, "as resdet's options: .*nms_thresh"),
        ("MODEL.ROI_HEADS.NUM_CLASSES", 3, "says 3 classes with a box for each, .* has 20 classes with a box for each"),
        ("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True, "says 20 classes with one box for all"),
        ("MODEL.RESNETS.DEPTH", 101, "says a resnet101, .* holds a resnet50"),
        ("MODEL.PIXEL_MEAN", [1.0, 2.0, 3.0], "pixel_mean .*config.yaml says BGR"),
        ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [[1.0]], "15 anchors a position instead of the 5 that .*config.yaml says"),
    ],
)
def test_what_resdets_detectors_do_not_have_is_refused_by_name(tmp_path: Path, name: str, value: Any, message: str) -> None:
    state = zoo_state(width=1, classes=20)
    state |= {"pixel_mean": torch.tensor(PIXELS["mean"]), "pixel_std": torch.ones(3)}
    settings = {"MODEL.ROI_HEADS.NUM_CLASSES": 20, name: value}
    with pytest.raises(ConfigError, match=message) as caught:
        converted(tmp_path, state, settings)
    assert "config.yaml" in str(caught.value)
    assert not (tmp_path / "model.safetensors").exists()


def test_without_a_config_all_that_is_assumed_is_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("model: {}\n")  # another program's
    with pytest.warns(UserWarning, match="no config says how this detector is set") as caught:
        made = converted(tmp_path, zoo_state(width=1, classes=20))
    assert main(["info", "--weights", str(tmp_path / "model_final.pth")]) == 0
    shown = capsys.readouterr().out
    assert "names of      detectron2" in shown
    assert "settings      assumed: INPUT.MIN_SIZE_TEST 800" in shown
    beside, text = (str(each.message) for each in caught)
    assert beside.startswith("not read, though it lies beside model_final.pth: ")
    assert "config.yaml: is no config of a Detectron2 model" in beside
    for part in ("pixels BGR", "stride in the 1x1", "POOLER_TYPE ROIAlignV2", "SCORE_THRESH_TEST 0.05", "--config FILE"):
        assert part in text
    kept = read_card(tmp_path / "model.safetensors").provenance["assumed"]
    assert kept["MODEL.ROI_BOX_HEAD.POOLER_TYPE"] == "ROIAlignV2"
    assert made.facts()["settings"].startswith("assumed")
    assert main(["info", "--weights", str(tmp_path / "model.safetensors")]) == 0
    assert "POOLER_TYPE" in capsys.readouterr().out


def test_a_config_of_another_name_and_none(tmp_path: Path) -> None:
    weights = written(tmp_path, zoo_state(width=1, classes=20))
    (tmp_path / "base.yaml").write_text("_BASE_: ../Base-RCNN-C4.yaml\nMODEL: {ROI_HEADS: {NUM_CLASSES: 20}}\n")
    arguments = ["convert", str(weights), str(tmp_path / "model.safetensors"), "--config"]
    assert main([*arguments, str(tmp_path / "gone.yaml")]) == 2
    assert main([*arguments, str(tmp_path / "base.yaml")]) == 0
    card = read_card(tmp_path / "model.safetensors")
    assert card.provenance["settings"] == "base.yaml"
    assert card.test == {"short_side": 800, "max_side": 1333}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "must be a mapping of sections, got list"),
        ("model: {}", "no section MODEL"),
        ("_BASE_: Base-RCNN-FPN.yaml\nMODEL: {}", "its '_BASE_' 'Base-RCNN-FPN.yaml' is not read"),
        ("_BASE_: [1]\nMODEL: {}", "its '_BASE_'"),
        ("MODEL: !!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_files_that_are_no_config(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ResdetError, match=message):
        detectron2_settings(tmp_path / "a.yaml")


def test_a_config_of_a_backbone_is_told(tmp_path: Path) -> None:
    state = {key.removeprefix("backbone."): value for key, value in zoo_state(width=1).items() if key.startswith("backbone.")}
    state |= {key.removeprefix("roi_heads."): value for key, value in zoo_state(width=1).items() if ".res5." in key}
    weights = written(tmp_path, state, {})
    convert_file(weights, tmp_path / "a.safetensors")  # what lies beside is not asked
    with pytest.raises(ConfigError, match=r"says how a detector is, .* holds none"):
        convert_file(weights, tmp_path / "b.safetensors", config=tmp_path / "config.yaml")


def test_the_box_part_of_a_mask_rcnn(tmp_path: Path) -> None:
    boxes = zoo_state(width=1, classes=20)
    masks = {
        "roi_heads.mask_head.deconv.weight": torch.zeros(2, 2, 2, 2),
        "roi_heads.mask_head.predictor.bias": torch.zeros(20),
    }
    settings = {"MODEL.MASK_ON": True, "MODEL.ROI_HEADS.NUM_CLASSES": 20}
    with pytest.raises(ConfigError, match=r"a mask head \(Mask R-CNN\); .*--boxes-only"):
        converted(tmp_path, boxes | masks)
    made = converted(tmp_path, boxes | masks, settings, boxes_only=True)
    assert made.notes == ("left out: a mask head (Mask R-CNN)",)
    assert not any("mask" in key for key in made.conversion.state)
    pyramid = {"backbone.fpn_lateral2.weight": torch.zeros(1, 1, 1, 1)}
    with pytest.raises(ConfigError, match="a feature pyramid"):
        convert_file(written(tmp_path, boxes | masks | pyramid), tmp_path / "b.safetensors", boxes_only=True)
