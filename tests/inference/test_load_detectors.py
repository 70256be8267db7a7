"""``resdet.load`` of detectors: one or several files, with other test options than their own."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_detectors import picture, same, tiny_detector, written
from torch import nn

import resdet
from resdet.config import config_from_dict, config_to_dict
from resdet.config.schema import ClassifierConfig
from resdet.errors import ConfigError
from resdet.inference.detector import Detector, Improvements
from resdet.inference.load import load_detector
from resdet.models.build import build_classifier
from resdet.models.model_file import ModelCard, write_model

PHOTO = picture(3, 90, 130).permute(1, 2, 0).numpy()
MSRA = {"name": "resnet50", "width": 4, "pixels": "msra", "stride_in_1x1": True}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detectors")
    written(folder / "a.safetensors", tiny_detector(1))
    written(
        folder / "b.safetensors", tiny_detector(2, backbone=MSRA, roi={"context": True}), backbone=MSRA, roi={"context": True}
    )
    written(folder / "large.safetensors", tiny_detector(3), (80, 120))
    written(folder / "swapped.safetensors", tiny_detector(4, ["dog", "cat", "emu"]))
    written(folder / "two.safetensors", tiny_detector(5, ["cat", "dog"]))
    own = {"refine": True, "score_thresh": 0.02}
    written(folder / "own.safetensors", tiny_detector(1, test=own), test=own)
    config = config_from_dict(ClassifierConfig, {"backbone": {"name": "cifar_resnet20", "width": 4}})
    classifier = build_classifier(config, ["cat", "dog", "emu"])
    card = ModelCard(
        "classification",
        config_to_dict(config),
        list(classifier.names),
        classifier.pixels.to_dict(),
        {"short_side": 0, "crop": 32},
    )
    write_model(folder / "classifier.safetensors", classifier.state_dict(), card)
    return folder


def loaded(*paths: Path, **options: object) -> Detector:
    detector = resdet.load(paths if len(paths) > 1 else paths[0], device="cpu", **options)  # type: ignore[arg-type]
    assert isinstance(detector, Detector)
    return detector


def test_two_copies_of_a_model_are_the_model_bit_for_bit(files: Path) -> None:
    one = loaded(files / "a.safetensors")
    found = one.predict(PHOTO)
    assert len(found) > 3
    assert same(loaded(*[files / "a.safetensors"] * 2).predict(PHOTO), found)
    everything = {"refine": True, "flip": True, "short_sides": [32, 64, 96], "vote_iou": 0.5}
    alone, twice = (loaded(*[files / "a.safetensors"] * count, test=everything).predict(PHOTO) for count in (1, 2))
    assert same(alone, twice)
    assert not same(alone, found)


def test_members_of_different_kinds(files: Path) -> None:
    detector = loaded(files / "a.safetensors", files / "b.safetensors")
    assert [model.pixels.order for model in detector.models] == ["RGB", "BGR"]
    assert [model.roi_heads.context for model in detector.models] == [False, True]
    found = detector.predict(PHOTO)
    assert len(found) > 3
    for name in "ab":
        assert not same(found, loaded(files / f"{name}.safetensors").predict(PHOTO))


def test_a_file_s_own_options_and_others_in_their_place(files: Path) -> None:
    detector = loaded(files / "own.safetensors")
    assert detector.improvements == Improvements(refine=True)
    assert detector.models[0].roi_heads.postprocess.score_thresh == 0.02
    changed = loaded(files / "own.safetensors", test={"refine": False, "nms_thresh": 0.3, "short_sides": [32, 64]})
    assert changed.improvements == Improvements(short_sides=(32, 64))
    post = changed.models[0].roi_heads.postprocess
    assert (post.score_thresh, post.nms_thresh) == (0.02, 0.3)
    # all members of an ensemble do as the first one says
    detector = loaded(files / "own.safetensors", files / "a.safetensors")
    assert detector.improvements == Improvements(refine=True)
    assert [model.roi_heads.postprocess.score_thresh for model in detector.models] == [0.02, 0.02]


def test_options_by_their_old_names(files: Path) -> None:
    with pytest.warns(UserWarning, match=r"^'model\.test\.nms_iou' is now called 'nms_thresh'$") as caught:
        detector = load_detector(files / "a.safetensors", device="cpu", test={"nms_iou": 0.3})
    assert [warning.filename for warning in caught] == [__file__]
    assert detector.models[0].roi_heads.postprocess.nms_thresh == 0.3


def test_the_first_file_says_how_pictures_are_resized(files: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"large\.safetensors: pictures are resized to .*64.*96.*a\.safetensors says, not to .*80.*120"
    ):
        detector = loaded(files / "a.safetensors", files / "large.safetensors")
    assert (detector.transform.short_side, detector.transform.max_side) == (64, 96)
    with pytest.warns(UserWarning, match="large") as caught:
        load_detector([files / "a.safetensors", files / "large.safetensors"], device="cpu")
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded(files / "a.safetensors", files / "own.safetensors")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "swapped"], r"swapped\.safetensors: class 0 is 'dog', but 'cat' in .*a\.safetensors"),
        (["a", "two", "swapped"], r"two\.safetensors: 2 classes, but 3 in .*\n.*swapped\.safetensors: class 0"),
        (["a", "classifier"], r"classifier\.safetensors: holds a classification model; an ensemble is of detectors"),
        (["classifier", "classifier"], r"classifier\.safetensors: holds a classification model; an ensemble is of detectors"),
        (["a", "gone"], r"gone\.safetensors: no such model file"),
        ([], r"load needs at least one model file, got none"),
    ],
)
def test_files_that_do_not_go_together(files: Path, names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resdet.load([files / f"{name}.safetensors" for name in names], device="cpu")


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"refin": True}, r"model\.test: unknown option 'refin' \(did you mean 'refine'\?\)"),
        ({"vote_iou": 2}, r"model\.test: option 'vote_iou' must be at most 1, got 2"),
        ({"soft_nms": "lin"}, r"model\.test: option 'soft_nms' must be one of none, linear, gaussian"),
        ({"refine": "perhaps", "nms_thresh": -1}, r"model\.test: option 'refine' must be true or false, got 'perhaps'"),
        (
            {"nms_iou": 0.3, "nms_thresh": 0.3},
            r"model\.test: option 'nms_iou' is the old name of 'nms_thresh', give only the new one",
        ),
        ({"short_sides": [64, 32]}, r"option 'model\.test\.short_sides' must increase, got \[64, 32\]"),
    ],
)
def test_options_that_are_none(files: Path, test: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resdet.load(files / "a.safetensors", device="cpu", test=test)


def test_a_classifier_has_no_such_options(files: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"classifier\.safetensors: holds a classifier, options of 'model\.test' are a detector's: refine"
    ):
        resdet.load(files / "classifier.safetensors", device="cpu", test={"refine": True})


@pytest.mark.parametrize("options", [{"precision": "bf16"}, {"compiled": True}])
def test_a_classifier_computes_as_its_author_says(files: Path, options: dict) -> None:
    with pytest.raises(ConfigError, match=r"classifier\.safetensors: holds no detector: other number formats and compil"):
        resdet.load(files / "classifier.safetensors", device="cpu", **options)


def test_convolutions_in_16_bits(files: Path) -> None:
    full, half = (resdet.load(files / "a.safetensors", device="cpu", precision=name) for name in ("fp32", "bf16"))
    convolutions = [part for model in half.models for part in model.modules() if isinstance(part, nn.Conv2d)]
    assert {part.weight.dtype for part in convolutions} == {torch.bfloat16}
    found = half.predict(PHOTO)
    assert same(found, resdet.predict(files / "a.safetensors", PHOTO, device="cpu", precision="bf16"))
    assert len(found) > 3
    assert not same(found, full.predict(PHOTO))
    assert found.boxes.dtype == torch.float32
    with pytest.raises(ConfigError, match="'precision' must be one of fp32, bf16, fp16, got 'int8'"):
        resdet.load(files / "a.safetensors", device="cpu", precision="int8")


def test_predict_in_one_call(files: Path) -> None:
    paths = [files / "a.safetensors", files / "b.safetensors"]
    found = resdet.predict(paths, np.asarray(PHOTO), device="cpu", test={"flip": True})
    assert same(found, loaded(*paths, test={"flip": True}).predict(PHOTO))
    assert torch.isfinite(found.boxes).all()
