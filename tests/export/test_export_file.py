"""A file is written when it does as the model does, and not otherwise; what it says of itself is read again."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_classifiers
import tiny_detectors
import tiny_localizers
import torch
from PIL import Image

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

import resdet
import resdet.export.subject
from resdet.errors import ConfigError, DataError, ResdetError
from resdet.export.export import export_file
from resdet.export.photos import trial_pictures
from resdet.models.build import create_model

without_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs OpenVINO, resdet[export]")
SUFFIXES = [".onnx", pytest.param(".xml", marks=without_openvino)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_detectors.written(folder / "detector.safetensors", tiny_detectors.tiny_detector())
    tiny_classifiers.written(folder / "classifier.safetensors")
    tiny_localizers.written(folder / "localizer.safetensors", tiny_localizers.tiny_rpn())
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed, size in enumerate([(70, 90), (64, 64), (50, 41)]):
        Image.fromarray(tiny_detectors.picture(seed, *size).permute(1, 2, 0).numpy()).save(folder / f"{seed}.png")
    return folder


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("resize", [False, True])
@pytest.mark.parametrize("kind", ["detector", "classifier", "localizer"])
def test_what_is_read_again_does_as_the_model_does(
    kind: str, resize: bool, suffix: str, models: Path, photos: Path, tmp_path: Path
) -> None:
    exported = export_file(models / f"{kind}.safetensors", tmp_path / f"model{suffix}", resize=resize, images=[photos])
    assert exported.pictures == 3
    names = {".onnx": {"model.onnx"}, ".xml": {"model.xml", "model.bin"}}[suffix]
    assert {path.name for path in tmp_path.iterdir()} == names  # nothing else stays
    assert exported.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    original, model = (resdet.load(path, device="cpu") for path in (models / f"{kind}.safetensors", exported.path))
    assert type(model).__mro__[-2] is type(original).__mro__[-2]
    assert model.names == original.names
    asked: dict[str, Any] = {"classes": ["emu", "cat"]} if kind == "localizer" else {}
    for found, expected in zip(model.predict(str(photos), **asked), original.predict(str(photos), **asked), strict=True):
        assert found.path == expected.path
        if kind == "classifier":
            assert [each.name for each in found] == [each.name for each in expected]
            assert [each.score for each in found] == pytest.approx([each.score for each in expected], abs=1e-4)
        else:
            assert found.size == expected.size
            torch.testing.assert_close(found.boxes, expected.boxes, rtol=0, atol=0.01)
            torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=1e-4)
            assert found.labels.tolist() == expected.labels.tolist()
            assert len(found) > 1


def test_generated_pictures_where_none_are_given(models: Path, tmp_path: Path) -> None:
    exported = export_file(models / "detector.safetensors", tmp_path / "new" / "a.onnx")
    assert exported.pictures == 5
    assert int(exported.losses["detections"].partition(",")[0]) > 10
    kept, rest = exported.losses["found again"].split(" of these ")
    assert rest == f"{kept}, and 0 new ones"


def test_options_of_testing_are_part_of_the_file(models: Path, photos: Path, tmp_path: Path) -> None:
    test = {"score_thresh": 0.5, "detections_per_image": 3, "nms_thresh": 0.3}
    path = export_file(models / "detector.safetensors", tmp_path / "a.onnx", images=[photos], test=test).path
    original = resdet.load_detector(models / "detector.safetensors", device="cpu", test=test)
    for photo in sorted(photos.iterdir()):
        found, expected = resdet.load_detector(path).predict(photo), original.predict(photo)
        torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=1e-4)
        assert len(found) <= 3
    metadata = {each.key: each.value for each in onnx.load(path).metadata_props}
    card = json.loads(metadata["resdet"])
    assert card["names"] == ["cat", "dog", "emu"]
    assert card["test"] == {"short_side": 64, "max_side": 96}
    assert card["architecture"]["test"]["score_thresh"] == 0.5
    assert card["pixels"]["order"] == "RGB"
    said = json.loads(metadata["resdet_export"])
    assert re.fullmatch("[0-9a-f]{8}", said.pop("checksum"))
    assert said == {"format": 1, "precision": "fp32", "resizes": False}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["detector", "classifier", "localizer"])
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_fewer_bits_make_smaller_files_and_say_what_is_lost(
    kind: str, precision: str, suffix: str, models: Path, photos: Path, tmp_path: Path
) -> None:
    whole = export_file(models / f"{kind}.safetensors", tmp_path / f"fp32{suffix}", images=[photos])
    exported = export_file(models / f"{kind}.safetensors", tmp_path / f"model{suffix}", precision=precision, images=[photos])
    if suffix == ".onnx":  # the text of the other kind is larger than so small weights
        assert exported.size < whole.size
    assert exported.losses.keys() == whole.losses.keys()
    assert exported.losses != whole.losses
    model = resdet.load(exported.path)
    metadata = (model.models[0] if hasattr(model, "models") else model.model).program.facts
    assert (metadata.precision, metadata.resizes) == (precision, False)


def test_what_differs_is_not_written(models: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_another(model: Any, *others: Any) -> Any:
        wrong = tiny_detectors.tiny_detector()
        with torch.no_grad():
            wrong.roi_heads.predictor.cls_score.bias += torch.tensor([0.002, 0, 0, 0])
        return detector_graph(wrong, *others)

    detector_graph = resdet.export.subject.detector_graph
    monkeypatch.setattr(resdet.export.subject, "detector_graph", of_another)
    (tmp_path / "a.onnx").write_bytes(b"before")
    with pytest.raises(ResdetError, match=r"a\.onnx: not written, it differs from .*detector\.safetensors\npicture 1: not ex"):
        export_file(models / "detector.safetensors", tmp_path / "a.onnx", images=[photos])
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_bytes() == b"before"
    # with fewer bits the same is a loss
    export_file(models / "detector.safetensors", tmp_path / "a.onnx", images=[photos], precision="fp16")
    assert (tmp_path / "a.onnx").stat().st_size > 1000


@pytest.mark.parametrize(("kind", "graph"), [("classifier", "classifier_graph"), ("localizer", "localizer_graph")])
def test_other_tasks_that_differ_are_not_written(
    kind: str, graph: str, models: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = getattr(resdet.export.subject, graph)
    other = tiny_classifiers.tiny_classifier(1) if kind == "classifier" else tiny_localizers.tiny_rpn(1)
    monkeypatch.setattr(resdet.export.subject, graph, lambda _, *rest: write(other, *rest))
    with pytest.raises(ResdetError, match=r"a\.onnx: not written.*\npicture 1: a (probability|box) differs by"):
        export_file(models / f"{kind}.safetensors", tmp_path / "a.onnx", images=[photos])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("detector", {"test": {"refine": True}}, r"'model\.test\.refine' must be False, an exported detector makes one pass"),
        ("detector", {"test": {"vote_iou": 0.5}}, r"'model\.test\.vote_iou' must be 0\.0"),
        ("detector", {"test": {"soft_nms": "linear"}}, r"'model\.test\.soft_nms' must be none"),
        ("detector", {"test": {"short_sides": [40, 60]}}, r"'model\.test\.short_sides' must be \[\]"),
        ("detector", {"test": {"nothing": 1}}, r"model\.test: unknown option 'nothing'"),
        ("detector", {"precision": "int8"}, r"int8 needs pictures like those that the model is for.*--images DIR"),
        ("detector", {"precision": "fp8"}, r"'precision' must be one of fp32, fp16, int8, got 'fp8'"),
        ("detector", {"images": ["gone"]}, r"--images gone: no such file or folder"),
        ("classifier", {"test": {"refine": True}}, r"holds a classifier, options of 'model\.test' are a detector's: refine"),
        ("localizer", {"test": {"short_sides": [40, 60]}}, r"'model\.test\.short_sides' must be one number.*got \[40, 60\]"),
        ("localizer", {"test": {"views": "center"}, "resize": True}, r"resizing inside is for 'model\.test\.views' dense"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_said(
    kind: str, options: dict[str, Any], message: str, models: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        export_file(models / f"{kind}.safetensors", tmp_path / "a.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_files_that_are_none_and_other_suffixes(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.safetensors: no such model file"):
        export_file("gone.safetensors", tmp_path / "a.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ConfigError, match=r"folder\.onnx: is a folder"):
        export_file(models / "detector.safetensors", tmp_path / "folder.onnx")
    with pytest.raises(ConfigError, match=r"a\.pb: must end in \.onnx, \.xml or \.pt2"):
        export_file(models / "detector.safetensors", tmp_path / "a.pb")
    (tmp_path / "broken.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"broken\.png: cannot be read as an image"):
        export_file(models / "detector.safetensors", tmp_path / "a.onnx", images=[tmp_path / "broken.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"--images .*empty: holds no image"):
        export_file(models / "detector.safetensors", tmp_path / "a.onnx", images=[tmp_path / "empty"])


def test_a_folder_in_the_place_of_the_weights_is_told_first(models: Path, tmp_path: Path) -> None:
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(ConfigError, match=r"a\.bin: is a folder"):
        export_file(models / "classifier.safetensors", tmp_path / "a.xml")


@without_openvino
def test_an_end_between_two_files_leaves_no_graph_beside_another_s_weights(
    models: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_file(models / "classifier.safetensors", tmp_path / "a.xml", images=[photos])
    moved = []

    def ends_after_the_first(source: Path, target: Path) -> None:
        if moved:
            raise KeyboardInterrupt
        moved.append(target)
        source.replace(target)

    monkeypatch.setattr("resdet.system.replace", ends_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        export_file(models / "classifier.safetensors", tmp_path / "a.xml", images=[photos])
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@without_openvino
def test_the_model_itself_is_not_written_over(models: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes((models / "classifier.safetensors").read_bytes())
    with pytest.raises(ConfigError, match=r"a\.bin: is the model that is exported, and would be written over"):
        export_file(source, tmp_path / "a.xml")
    assert source.read_bytes() == (models / "classifier.safetensors").read_bytes()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody can write to")
def test_a_place_that_cannot_be_written_is_told_by_the_name_that_was_wanted(models: Path) -> None:
    with pytest.raises(OSError, match=r"'/proc/a\.onnx'$"):
        export_file(models / "classifier.safetensors", "/proc/a.onnx")


def test_photos_are_those_of_a_folder_and_of_folders_in_it(tmp_path: Path) -> None:
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for number, name in enumerate(("b.png", "more/a.png", ".hidden.png"), 5):
        Image.new("RGB", (number, number)).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").touch()
    assert [each.width for each in trial_pictures([tmp_path / "photos", tmp_path / "photos/b.png"])] == [5, 6, 5]


def test_a_localizer_of_stage_rcnn_and_a_small_shorter_side(tmp_path: Path) -> None:
    stage = tiny_localizers.written(tmp_path / "l.safetensors", tiny_localizers.tiny_localizer(stage="rcnn"), stage="rcnn")
    with pytest.raises(ConfigError, match="a localizer of stage rcnn cuts its regions out of the picture itself"):
        export_file(stage, tmp_path / "a.onnx")
    squares = tiny_classifiers.written(tmp_path / "c.safetensors", short_side=0)
    with pytest.raises(ConfigError, match="resizing inside needs a shorter side of at least the crop of 32 pixels, got 0"):
        export_file(squares, tmp_path / "a.onnx", resize=True)


@pytest.mark.parametrize(("package", "suffix"), [("onnx", ".onnx"), ("onnxruntime", ".onnx"), ("openvino", ".xml")])
def test_a_missing_package_is_one_line(
    package: str, suffix: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        if name == package:
            raise ImportError(name)
        return importlib.__import__(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=rf"^export needs the package {package}: pip install 'resdet\[export\]'$"):
        export_file(models / "detector.safetensors", tmp_path / f"a{suffix}")


def test_a_network_that_was_made_and_saved(tmp_path: Path, photos: Path) -> None:
    torch.manual_seed(0)
    resdet.save(create_model("cifar_resnet20", names=["a", "b"]), tmp_path / "m.safetensors")
    exported = export_file(tmp_path / "m.safetensors", tmp_path / "m.onnx", images=[photos])
    found = resdet.load_classifier(exported.path).predict(np.zeros((30, 300, 3), np.uint8))
    assert sum(each.score for each in found) == pytest.approx(1)
