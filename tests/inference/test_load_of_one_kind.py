"""``load`` and its like: which file is read by which."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_classifiers
import tiny_detectors
import tiny_localizers

import resdet
from resdet.errors import ConfigError

PHOTO = tiny_detectors.picture()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("models")
    return SimpleNamespace(
        detector=tiny_detectors.written(folder / "detector.safetensors", tiny_detectors.tiny_detector()),
        classifier=tiny_classifiers.written(folder / "classifier.safetensors"),
        localizer=tiny_localizers.written(folder / "localizer.safetensors", tiny_localizers.tiny_rpn()),
    )


KINDS = {"detector": resdet.Detector, "classifier": resdet.ImageClassifier, "localizer": resdet.Localizer}


@pytest.mark.parametrize("kind", KINDS)
def test_each_file_by_its_own_function_and_by_load(kind: str, files: SimpleNamespace) -> None:
    path = getattr(files, kind)
    for model in (getattr(resdet, f"load_{kind}")(path, device="cpu"), resdet.load(str(path), device="cpu")):
        assert type(model) is KINDS[kind]
        assert model.names == ("cat", "dog", "emu")


@pytest.mark.parametrize(("kind", "other"), list(itertools.permutations(KINDS, 2)))
def test_a_file_of_another_task_is_refused_by_name(kind: str, other: str, files: SimpleNamespace) -> None:
    message = rf"{other}\.safetensors: must hold a {kind}, holds a {other}, which load_{other} reads"
    with pytest.raises(ConfigError, match=message):
        getattr(resdet, f"load_{kind}")(getattr(files, other), device="cpu")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_there_and_a_device_that_is_none(kind: str, files: SimpleNamespace) -> None:
    load = getattr(resdet, f"load_{kind}")
    with pytest.raises(ConfigError, match=r"gone\.safetensors: no such model file"):
        load("gone.safetensors", device="cpu")
    with pytest.raises(ConfigError, match="device must be auto, cpu"):
        load(getattr(files, kind), device="tpu")


def test_options_reach_the_model(files: SimpleNamespace) -> None:
    detector = resdet.load_detector(files.detector, device="cpu", precision="bf16", test={"refine": True})
    assert detector.improvements.refine
    assert not tiny_detectors.same(detector.predict(PHOTO), resdet.load_detector(files.detector, device="cpu").predict(PHOTO))
    assert resdet.load_localizer([files.localizer] * 2, device="cpu", test={"vote_iou": 0.25}).vote_iou == 0.25
    with pytest.raises(ConfigError, match="load needs the path of a model file, or a list of them, got None"):
        resdet.load(None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="load needs at least one model file, got none"):
        resdet.load_localizer([])


def test_predict_in_one_call_takes_what_a_model_takes(files: SimpleNamespace) -> None:
    array = PHOTO.permute(1, 2, 0).numpy()
    expected: Any = resdet.load_classifier(files.classifier).predict(array)
    assert resdet.predict(files.classifier, np.ascontiguousarray(array[:, :, ::-1]), color="bgr") == expected
    assert resdet.predict(files.classifier, [array]) == [expected]
    assert list(resdet.predict(files.classifier, iter([array]))) == [expected]
