"""Files that someone made to do harm: each was once a crash, a hang, gigabytes of memory, or silently accepted."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from resdet.config import load_config
from resdet.data.formats.annotations import class_mismatch
from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.formats.shards import read_shards
from resdet.data.formats.yolo_names import read_description
from resdet.data.proposals import read_proposals
from resdet.engine.logging import drop_lines_after
from resdet.errors import ConfigError, DataError, ResdetError, did_you_mean
from resdet.evaluation import score_files
from resdet.inference.load import load
from resdet.models.backbones.weights.read import read_weights
from resdet.models.model_file import read_card, read_model

PIXELS = {"order": "RGB", "mean": [0.5, 0.4, 0.3], "std": [1.0, 1.0, 1.0], "range": 1.0}
CARD: dict[str, Any] = {
    "task": "classification",
    "architecture": {"backbone": {"name": "resnet18", "width": 4}},
    "names": ["a"],
    "pixels": PIXELS,
    "test": {"short_side": 32, "crop": 32},
    "provenance": {},
    "format": 1,
}
DEEP = "[" * 200_000


def told(read: Callable[..., Any], *arguments: Any) -> str:
    """What a reader says."""
    with pytest.raises(ResdetError) as caught:
        read(*arguments)
    return str(caught.value)


def coco(folder: Path, names: list[str], **more: Any) -> Path:
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3]}],
        "categories": [{"id": place, "name": name} for place, name in enumerate(names, 1)],
    }
    path = folder / "a.json"
    path.write_text(json.dumps({**content, **more}))
    return path


def model(folder: Path, metadata: str, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    path = folder / "m.safetensors"
    save_file(tensors or {"w": torch.zeros(3)}, path, {"resdet": metadata})
    return path


def shaped(folder: Path, shape: list[int], size: int) -> Path:
    """A safetensors file of one tensor of any shape."""
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"w": entry, "__metadata__": {"resdet": json.dumps(CARD)}}).encode()
    path = folder / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    return path


# ------------------------------------------------------------------------------------------------------------ nesting


def test_json_that_is_nested_too_deeply_is_told_by_every_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(DEEP)
    assert "nested too deeply" in told(read_coco, tmp_path, path)
    assert "nested too deeply" in told(score_files, path, path)
    file = model(tmp_path, DEEP)
    for read in (read_card, read_model, read_weights, load):
        assert str(file) in told(read, file)
    save_file({"w": torch.zeros(1)}, tmp_path / "train-index.safetensors", {"index": DEEP})
    assert "nested too deeply" in told(read_shards, tmp_path, "train")
    save_file({"w": torch.zeros(1)}, tmp_path / "p.safetensors", {"resdet_proposals": DEEP})
    assert "not a proposals.safetensors" in told(read_proposals, tmp_path / "p.safetensors", [1])
    (tmp_path / "log.jsonl").write_text(f'{DEEP}\n{{"iteration": 1}}\n')
    assert "not a line of a training log" in told(drop_lines_after, tmp_path / "log.jsonl", 1)


def test_yaml_that_is_nested_too_deeply_or_repeats_itself_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("[" * 5000)
    assert "not YAML" in told(load_config, path)
    assert "is not YAML" in told(read_description, tmp_path, path)
    lines = [f"k{number}: &k{number} [{', '.join([f'*k{number - 1}'] * 10)}]" for number in range(1, 12)]
    path.write_text("task: detection\nk0: &k0 [x]\n" + "\n".join(lines))
    assert "not YAML" in told(load_config, path)


def test_yaml_of_which_a_parser_would_take_minutes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("task: detection\n" + "# \n" * 400_000)
    assert "must be at most 1 MiB for a run file, got 1200016 bytes" in told(load_config, path)
    with path.open("ab") as file:
        file.truncate(5 << 20)
    assert "must be at most 4 MiB" in told(read_description, tmp_path, path)


# ------------------------------------------------------------------------------------------------------------ numbers


def test_numbers_of_thousands_of_digits_are_told(tmp_path: Path) -> None:
    digits = "9" * 5000
    path = tmp_path / "a.json"
    path.write_text(f'{{"images": [{digits}]}}')
    assert "is not JSON" in told(read_coco, tmp_path, path)
    assert "cannot be read" in told(read_card, model(tmp_path, f'{{"format": {digits}}}'))
    run = tmp_path / "a.yaml"
    run.write_text(f"task: detection\nrun: {{seed: {digits}}}\n")
    assert "not YAML" in told(load_config, run)


def test_numbers_of_workers_and_images_that_no_machine_has_are_told(tmp_path: Path) -> None:
    run = tmp_path / "a.yaml"
    run.write_text("task: classification\ndata: {workers: 1000000000}\nrun: {batch: 100000000000}\n")
    lines = told(load_config, run, ["data.test_short_side=40000", "run.log_every=100000000000000000000"]).splitlines()
    assert f"{run}: option 'data.workers' must be at most 1024, got 1000000000" in lines
    assert f"{run}: option 'data.test_short_side' must be at most 16384, got 40000" in lines
    assert f"{run}: option 'run.log_every' must be at most 9.22337e+18, got 100000000000000000000" in lines
    assert f"{run}: option 'run.batch' must be at most 1e+06, got 100000000000" in lines


def test_shapes_that_no_tensor_has_are_told(tmp_path: Path) -> None:
    for read in (read_model, read_weights):
        assert "safetensors" in told(read, shaped(tmp_path, [2**63, 0], 0))
        assert "safetensors" in told(read, shaped(tmp_path, [2**32, 2**32, 2], 0))
    state, _ = read_model(shaped(tmp_path, [1] * 65, 4))
    assert state["w"].ndim == 65  # a tensor like any other; no network has it
    assert "safetensors" in told(load, shaped(tmp_path, [3], 8))


# ------------------------------------------------------------------------------------------------------ what cards say


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"names": ["a"] * 1_000_000}, "its card describes 1000000 classes, its tensors have 3 rows at most"),
        ({"names": ["a", None]}, "its model card: 'names' must be texts"),
        (
            {"architecture": {"backbone": {"name": "resnet18", "width": 65536}}},
            "numbers, its tensors hold 3",
        ),
        ({"architecture": {"backbone": {"name": "cifar_resnet6000002"}}}, "a network of 6000002 layers, it holds 1 tensors"),
        ({"architecture": {"backbone": {"name": f"cifar_resnet{'9' * 5000}"}}}, "must have at most 10000 layers"),
        ({"pixels": {}}, "its card: pixel convention: needs order, mean, std and range"),
        ({"architecture": {"backbone": [1]}}, "option 'backbone' must be a mapping"),
        (
            {
                "task": "detection",
                "architecture": {"anchors": {"sizes": [8.0] * 1000, "ratios": [1.0] * 1000}},
                "test": {"short_side": 32, "max_side": 32},
            },
            "its card describes 1000000 anchors a position, its tensors have 3 rows at most",
        ),
    ],
    ids=["classes", "classes without names", "width", "layers", "digits of layers", "pixels", "backbone", "anchors"],
)
def test_a_card_that_describes_more_than_its_file_holds_is_told(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    file = model(tmp_path, json.dumps({**CARD, **change}))
    text = told(load, file)
    assert expected in text
    assert str(file) in text or "layers" in expected


# --------------------------------------------------------------------------------------------------------------- names


class Counted(str):
    """A name that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_classes_are_not_each_compared_with_all(tmp_path: Path) -> None:
    found, names = ([Counted(f"class {number}") for number in numbers] for numbers in (range(2000), range(1000, 3000)))
    assert class_mismatch(found[1000:], names) == []
    assert len(class_mismatch(found, names)) == 6  # five of the thousand with a near name, and the difference as a whole
    assert Counted.compared < 100_000  # one by one it would be 3,000,000


def test_twenty_thousand_classes_are_read(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(20_000)]
    assert len(read_coco(tmp_path, coco(tmp_path, names)).names) == 20_000
    text = told(read_coco, tmp_path, coco(tmp_path, names[:300]), [f"kind {number}" for number in range(20_000)])
    assert len(text) < 1_000_000
    folder = tmp_path / "folders"
    for name in names[:300]:
        (folder / name).mkdir(parents=True)
        os.link(tmp_path / "a.png", folder / name / "a.png")
    assert read_folder(folder, sorted(names)).labels.tolist() == [sorted(names).index(name) for name in sorted(names[:300])]


def test_a_name_of_a_hundred_thousand_letters_is_compared_with_none(tmp_path: Path) -> None:
    long = ["ab" * 50_000, "ba" * 50_000]
    text = told(read_coco, tmp_path, coco(tmp_path, long[:1]), long[1:])
    assert "is not among the classes asked for" in text
    assert did_you_mean("bird", ["birds", *long]) == " (did you mean 'birds'?)"
    assert did_you_mean("x" * 101, ["x" * 100]).startswith(" (known: ")
    many = did_you_mean("bird", [f"kind {number:05}" for number in range(9000)])
    assert many.endswith(", kind 00199, … and 8800 more)")


@pytest.mark.parametrize("name", ["\ud800", "a\udfffb"])
def test_a_class_of_half_a_character_is_told(tmp_path: Path, name: str) -> None:
    text = told(read_coco, tmp_path, coco(tmp_path, ["cat", name]))
    assert "category id 2: 'name' must be a non-empty string of whole characters" in text
    with pytest.raises(DataError, match="file name"):
        read_coco(tmp_path, coco(tmp_path, ["cat"], images=[{"id": 1, "file_name": name, "width": 8, "height": 8}]))


def test_a_class_that_is_there_twice_is_told(tmp_path: Path) -> None:
    annotations = [{"id": place, "image_id": 1, "category_id": place, "bbox": [1, 1, 3, 3]} for place in (1, 2)]
    assert "name 'cat' is used twice" in told(read_coco, tmp_path, coco(tmp_path, ["cat", "cat"], annotations=annotations))


def test_an_error_of_a_hundred_thousand_letters_is_shortened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from resdet.cli import main

    path = coco(tmp_path, ["x" * 100_000])
    command = ["--format", "coco", "--root", str(tmp_path), "--annotations", str(path)]
    broken = path.read_text().replace('"bbox": [1, 1, 3, 3]', '"bbox": [1, 1, "' + "y" * 100_000 + '", 3]')
    path.write_text(broken)
    assert main(["data", "check", *command]) == 3
    assert max(map(len, capsys.readouterr().err.splitlines())) < 5000
    with pytest.raises(ConfigError):
        load_config("z" * 100_000)
