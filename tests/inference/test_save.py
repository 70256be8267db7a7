"""A saved model is read again and predicts the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_classifiers
import tiny_detectors
import tiny_localizers
import torch
from tiny_classifiers import tiny_classifier
from tiny_detectors import picture, same, tiny_detector
from tiny_localizers import tiny_localizer, tiny_rpn
from torch import nn
from torch.optim.swa_utils import AveragedModel

import resdet
from resdet.errors import ConfigError
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector, Improvements
from resdet.inference.localizer import Localizer
from resdet.inference.localizer_views import LocalizerViews
from resdet.inference.save import save
from resdet.models.build import create_model, load_model
from resdet.models.classifier import Classifier
from resdet.models.model_file import read_card, read_model

PHOTO = picture(3, 90, 130)


def saved(model: Any, folder: Path) -> Path:
    save(model, folder / "saved.safetensors")
    return folder / "saved.safetensors"


# ----------------------------------------------------------------------------------------------------------- networks alone


def test_a_detector_of_create_model(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="frozen BN has mean 0"):
        model = create_model("faster_rcnn_r18_c4", names=["cat", "dog"])
    path = saved(model, tmp_path)
    card = read_card(path)
    assert (card.task, card.names, card.test) == ("detection", ["cat", "dog"], {"short_side": 600, "max_side": 1000})
    assert card.provenance == {"resdet": resdet.__version__, "torch": torch.__version__}
    assert card.pixels == model.pixels.to_dict()
    again, _ = load_model(path)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in again.state_dict().items())
    assert again.names == ("cat", "dog")


def test_a_trained_detector_with_options_of_its_own(tmp_path: Path) -> None:
    changes = {"roi": {"context": True}, "test": {"score_thresh": 0.02, "vote_iou": 0.5}}
    model = tiny_detector(1, **changes)
    sized = Detector(model, short_side=64, max_side=96)
    loaded = resdet.load_detector(saved(sized, tmp_path), device="cpu")
    expected = Detector(model.prepare(), short_side=64, max_side=96).predict(PHOTO)
    assert len(expected) > 3
    assert same(loaded.predict(PHOTO), expected)
    assert (loaded.transform.short_side, loaded.transform.max_side) == (64, 96)


def test_improvements_go_along(tmp_path: Path) -> None:
    improvements = Improvements(refine=True, flip=True, short_sides=(32, 64))
    made = Detector(tiny_detector(1), short_side=64, max_side=96, improvements=improvements)
    assert resdet.load_detector(saved(made, tmp_path), device="cpu").improvements == improvements
    made = Detector(tiny_detector(1, test={"refine": True}), short_side=64, max_side=96)  # in whose place the detector does not
    assert resdet.load_detector(saved(made, tmp_path), device="cpu").improvements == Improvements()


@pytest.mark.parametrize(
    ("name", "sizes"), [("resnet18", {"short_side": 256, "crop": 224}), ("cifar_resnet20", {"short_side": 0, "crop": 32})]
)
def test_a_classifier_of_create_model(name: str, sizes: dict[str, int], tmp_path: Path) -> None:
    model = create_model(name, names=["a", "b", "c"])
    assert isinstance(model, Classifier)
    path = saved(model, tmp_path)
    assert read_card(path).test == sizes
    assert resdet.load_classifier(path).predict(PHOTO) == ImageClassifier(model, **sizes).predict(PHOTO)


@pytest.mark.parametrize("stage", ["rpn", "rcnn"])
def test_a_localizer_alone(stage: str, tmp_path: Path) -> None:
    model = tiny_localizer(stage=stage)
    path = saved(model, tmp_path)
    assert read_card(path).test == {"crop": 224}
    found = resdet.load_localizer(path, device="cpu", test={"short_sides": [64]}).predict(PHOTO, ["dog", "emu"])
    views = LocalizerViews("dense", (64,), 224)
    expected = Localizer(model, views=views, proposals=200, nms_thresh=0.7, vote_iou=0.5).predict(PHOTO, ["dog", "emu"])
    assert same(found, expected)
    assert found.scores.std() > 0


def test_names_that_were_changed_are_saved(tmp_path: Path) -> None:
    model = tiny_classifier()
    model.names = ("ant", "bee", "fly")
    assert resdet.load_classifier(saved(model, tmp_path)).names == ("ant", "bee", "fly")


# ------------------------------------------------------------------------------------------------------- what was loaded


def test_a_loaded_detector_is_saved_with_its_options(tmp_path: Path) -> None:
    original = tiny_detectors.written(tmp_path / "a.safetensors", tiny_detector(1))
    detector = resdet.load_detector(original, device="cpu", test={"refine": True, "nms_thresh": 0.3})
    loaded = resdet.load_detector(saved(detector, tmp_path), device="cpu")
    assert same(loaded.predict(PHOTO), detector.predict(PHOTO))
    assert not same(loaded.predict(PHOTO), resdet.load_detector(original, device="cpu").predict(PHOTO))
    assert loaded.improvements == Improvements(refine=True)
    tensors, _ = read_model(tmp_path / "saved.safetensors")
    assert all(torch.equal(value, tensors[key]) for key, value in read_model(original)[0].items())


def test_a_loaded_detector_may_be_saved_in_its_own_place(tmp_path: Path) -> None:
    path = tiny_detectors.written(tmp_path / "saved.safetensors", tiny_detector(1))
    expected = resdet.load_detector(path, device="cpu", test={"refine": True})
    saved(expected, tmp_path)
    assert same(resdet.load_detector(path, device="cpu").predict(PHOTO), expected.predict(PHOTO))


def test_a_loaded_classifier_and_localizer(tmp_path: Path) -> None:
    classifier = resdet.load_classifier(tiny_classifiers.written(tmp_path / "c.safetensors"))
    again = resdet.load_classifier(saved(classifier, tmp_path))
    assert again.predict(PHOTO) == classifier.predict(PHOTO)
    assert (again.transform.short_side, again.transform.crop) == (40, 32)
    path = tiny_localizers.written(tmp_path / "l.safetensors", tiny_rpn(), crop=48)
    localizer = resdet.load_localizer(path, device="cpu", test={"views": "center", "short_sides": [64, 80], "vote_iou": 0.0})
    found = resdet.load_localizer(saved(localizer, tmp_path), device="cpu")
    assert (found.views, found.vote_iou) == (LocalizerViews("center", (64, 80), 48), 0.0)
    assert same(found.predict(PHOTO, ["dog", "emu"]), localizer.predict(PHOTO, ["dog", "emu"]))


def test_what_a_card_tells_people_goes_along(tmp_path: Path) -> None:
    model = tiny_classifier()
    assert model.card is not None
    model.card.provenance["data"] = "cats/"
    model.card.test.update(short_side=40, crop=32)
    path = saved(model, tmp_path)
    again, _ = load_model(path)
    save(again, tmp_path / "b.safetensors")
    card = read_card(tmp_path / "b.safetensors")
    assert card == read_card(path)
    assert card.provenance == {"data": "cats/"}
    assert card.test == {"short_side": 40, "crop": 32}


@pytest.mark.parametrize(
    "wrap", [torch.compile, nn.DataParallel, AveragedModel, lambda model: nn.DataParallel(torch.compile(model))]
)
def test_wrapped_networks(wrap: Callable[[nn.Module], Any], tmp_path: Path) -> None:
    for model in (tiny_classifier(), tiny_detector(1), tiny_rpn()):
        path = saved(wrap(model), tmp_path)
        state = read_model(path)[0]
        assert state.keys() == model.state_dict().keys()
        assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
        resdet.load(path, device="cpu")


def test_networks_with_wrapped_parts_or_in_another_number_format(tmp_path: Path) -> None:
    model = tiny_detector(1)
    expected = Detector(model.prepare(), short_side=64, max_side=96).predict(PHOTO)
    model.trunk = torch.compile(model.trunk)  # type: ignore[assignment]
    found = resdet.load_detector(saved(Detector(model, short_side=64, max_side=96), tmp_path), device="cpu").predict(PHOTO)
    assert same(found, expected)
    loaded = resdet.load_detector(saved(tiny_detector(1).double(), tmp_path), device="cpu")
    assert {tensor.dtype for tensor in loaded.models[0].parameters()} == {torch.float32}


# --------------------------------------------------------------------------------------------------- what cannot be saved


def test_what_cannot_be_saved_is_told(tmp_path: Path) -> None:
    path = tiny_detectors.written(tmp_path / "a.safetensors", tiny_detector(1))
    with pytest.raises(ConfigError, match="save: an ensemble of 2 networks is 2 files, not one"):
        saved(resdet.load_detector([path, path], device="cpu"), tmp_path)
    with pytest.raises(ConfigError, match=r"save: a prepared detector has its BN folded .* save the network it was made of"):
        saved(tiny_detector(1).prepare(), tmp_path)
    by_hand = tiny_classifier()
    by_hand = Classifier(by_hand.backbone, by_hand.pixels, by_hand.names)
    with pytest.raises(ConfigError, match="save: this Classifier was put together by hand, its architecture is unknown"):
        saved(by_hand, tmp_path)
    assert not (tmp_path / "saved.safetensors").exists()


def test_a_network_that_no_file_could_describe(tmp_path: Path) -> None:
    changed = tiny_classifier()
    changed.backbone.fc = nn.Linear(changed.backbone.fc.in_features, 7)
    with pytest.raises(
        ConfigError, match=r"no longer has the architecture .*: backbone\.fc\.weight, backbone\.fc\.bias; make it"
    ):
        saved(changed, tmp_path)
    more = tiny_detector(1)
    more.roi_heads.extra = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match=r"roi_heads\.extra\.weight, roi_heads\.extra\.bias"):
        saved(more, tmp_path)
    broken = tiny_classifier()
    nn.init.constant_(broken.backbone.fc.bias, float("nan"))
    with pytest.raises(ConfigError, match=r"save: tensor 'backbone\.fc\.bias' holds NaN or infinity"):
        saved(broken, tmp_path)
    with pytest.raises(ConfigError, match="save: its tensors are on the device 'meta', which holds no numbers"):
        saved(tiny_classifier().to("meta"), tmp_path)
    with pytest.raises(ConfigError, match="save: must be a network of create_model or what load returns, got Linear"):
        saved(nn.Linear(2, 2), tmp_path)
    assert not (tmp_path / "saved.safetensors").exists()


def test_a_detector_whose_file_has_changed_or_gone(tmp_path: Path) -> None:
    path = tiny_detectors.written(tmp_path / "a.safetensors", tiny_detector(1))
    detector = resdet.load_detector(path, device="cpu")
    tiny_detectors.written(path, tiny_detector(2, ["cat", "dog"]))
    with pytest.raises(ConfigError, match=r"a\.safetensors: has changed since the model was loaded from it"):
        saved(detector, tmp_path)
    path.unlink()
    with pytest.raises(ConfigError, match=r"a\.safetensors: no such model file"):
        saved(detector, tmp_path)
