"""No reader keeps a file open or mapped that a later step, or another program, may replace: Windows would refuse that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from tiny_detectors import tiny_detector, written

from resdet.config import config_from_dict, config_to_dict
from resdet.config.schema import ClassifierConfig
from resdet.data.convert.shard_writer import write_shards
from resdet.data.formats import annotation_cache
from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.formats.shards import read_shards
from resdet.data.proposals import make_proposals, read_proposals, write_proposals
from resdet.data.statistics import read_mean_image
from resdet.engine.logging import JsonLog, drop_lines_after
from resdet.errors import DataError
from resdet.evaluation.predictions import read_predictions
from resdet.inference.load import load
from resdet.models.build import build_classifier, load_model
from resdet.models.model_file import ModelCard, read_card, write_model

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="asks /proc which files are open")


def in_use(folder: Path) -> set[str]:
    """The files below ``folder`` that this process has open or mapped."""
    mapped = [line.split(None, 5)[-1] for line in Path("/proc/self/maps").read_text().splitlines()]
    opened = []
    for handle in Path("/proc/self/fd").iterdir():
        try:
            opened.append(str(handle.readlink()))
        except FileNotFoundError:  # the handle of this very loop
            continue
    return {Path(name).name for name in (*mapped, *opened) if name.startswith(f"{folder.resolve()}/")}


def test_the_question_finds_what_is_open_and_what_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "text").touch()
    path = classifier(tmp_path)
    with (tmp_path / "text").open(encoding="utf-8"), safe_open(path, framework="pt") as file:
        kept = file.get_tensor("mean_image")
        assert in_use(tmp_path) == {"text", path.name}
    del file
    assert in_use(tmp_path) == {path.name}
    del kept
    assert in_use(tmp_path) == set()


def classifier(folder: Path) -> Path:
    """The model file of a classifier with a mean image."""
    config = config_from_dict(ClassifierConfig, {"backbone": {"name": "resnet18", "width": 4}})
    model = build_classifier(config, ["a", "b"], torch.full((3, 32, 32), 99.0))
    card = ModelCard(
        "classification", config_to_dict(config), ["a", "b"], model.pixels.to_dict(), {"short_side": 32, "crop": 32}
    )
    write_model(folder / "classifier.safetensors", model.state_dict(), card)
    return folder / "classifier.safetensors"


def images(folder: Path) -> Path:
    for name in ("a", "b"):
        (folder / "images" / name).mkdir(parents=True)
        Image.new("RGB", (20, 10)).save(folder / "images" / name / "1.png")
    return folder / "images"


def a_mean_image(folder: Path) -> Any:
    from safetensors.torch import save_file

    save_file({"mean": torch.full((3, 8, 8), 7.0)}, folder / "mean.safetensors")
    return read_mean_image(folder / "mean.safetensors", 8)


def a_set_of_shards(folder: Path) -> Any:
    dataset = read_folder(images(folder))
    write_shards(dataset, folder / "images", folder / "shards", "train", 1 << 20)
    found = read_shards(folder / "shards", "train")
    return found, [found.load(index) for index in range(2)]


def regions(folder: Path) -> Any:
    path = folder / "proposals.safetensors"
    write_proposals(path, make_proposals([1], [torch.tensor([[1.0, 2, 3, 4]])], [torch.tensor([0.5])]))
    return read_proposals(path, [1])


def damaged_predictions(folder: Path) -> Any:
    path = folder / "predictions.npz"
    np.savez(path, a=np.zeros(1000))
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError) as caught:
        read_predictions(path)
    return caught


READERS: dict[str, Callable[[Path], Any]] = {
    "a classifier with a mean image": lambda folder: load_model(classifier(folder)),
    "a classifier, ready to run": lambda folder: load(classifier(folder)),
    "a detector, ready to run": lambda folder: load(written(folder / "detector.safetensors", tiny_detector())),
    "a card": lambda folder: read_card(classifier(folder)),
    "a mean image": a_mean_image,
    "shards": a_set_of_shards,
    "regions": regions,
    "damaged predictions": damaged_predictions,
}


@pytest.mark.parametrize("kind", READERS)
def test_what_was_read_keeps_no_file(kind: str, tmp_path: Path) -> None:
    kept = READERS[kind](tmp_path)
    assert in_use(tmp_path) == set()
    assert kept is not None


@pytest.mark.parametrize("damaged", [False, True])
def test_the_cache_of_annotations_keeps_no_file(
    damaged: bool, tiny_coco: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotation_cache, "_LARGE", 0)
    first = read_coco(tiny_coco.images, tiny_coco.annotations, cache=tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    if damaged:
        file.write_bytes(file.read_bytes()[:500])
    found = read_coco(tiny_coco.images, tiny_coco.annotations, cache=tmp_path / "cache")
    assert in_use(tmp_path) == set()
    for field in dataclasses.fields(first):
        assert np.array_equal(getattr(found, field.name), getattr(first, field.name))


def test_a_log_is_replaced_before_it_is_opened_and_closed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"iteration": 1}\n{"iteration": 2}\n')
    drop_lines_after(path, 1)
    assert in_use(tmp_path) == set()
    log = JsonLog(path)
    log.write({"iteration": 2, "loss": 0.5})
    log.close()
    assert in_use(tmp_path) == set()
    assert path.read_bytes() == b'{"iteration": 1}\n{"iteration": 2, "loss": 0.5}\n'
