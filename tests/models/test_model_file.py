"""Model files: what is written comes back, and what is no model file is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from resdet.errors import ConfigError, DataError
from resdet.models.model_file import FORMAT, FileVersion, ModelCard, read_card, read_model, write_model

CARD = ModelCard(
    task="detection",
    architecture={"backbone": {"name": "resnet18", "width": 8}, "anchors": {"sizes": [16.0, 32.0]}},
    names=["cat", "Schnabeltier ü"],
    pixels={"order": "RGB", "mean": [0.5, 0.4, 0.3], "std": [1.0, 1.0, 1.0], "range": 1.0},
    test={"short_side": 600, "max_side": 1000},
    provenance={"resdet": "0.1.0", "batch": 2},
)


def _state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(4, 3, 3, 3, generator=generator),
        "transposed": torch.randn(5, 7, generator=generator).T,
        "half": torch.randn(6, generator=generator).half(),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 4),
    }


def _write(path: Path, metadata: dict[str, str] | None) -> Path:
    save_file({"weight": torch.zeros(3)}, path, metadata)
    return path


def _card(**changes: Any) -> dict[str, str]:
    values = {**CARD.__dict__, **changes}
    return {"resdet": json.dumps({key: value for key, value in values.items() if value is not ...})}


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.safetensors"
    write_model(path, _state(), CARD)
    state, card = read_model(path)
    assert card == CARD
    assert state.keys() == _state().keys()
    for key, value in _state().items():
        assert state[key].dtype == value.dtype
        assert torch.equal(state[key], value)


def test_the_card_alone(tmp_path: Path) -> None:
    write_model(tmp_path / "model.safetensors", _state(), CARD)
    assert read_card(tmp_path / "model.safetensors") == CARD
    with pytest.raises(ConfigError, match=r"gone: no such model file"):
        read_card(tmp_path / "gone")


def test_writing_again_replaces_the_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_model(path, _state(), CARD)
    write_model(path, {"weight": torch.ones(2)}, replace(CARD, names=["dog"]))
    state, card = read_model(str(path))
    assert (list(state), card.names) == (["weight"], ["dog"])
    assert list(tmp_path.iterdir()) == [path]


def test_any_reader_of_safetensors_can_read_it(tmp_path: Path) -> None:
    write_model(tmp_path / "model.safetensors", _state(), CARD)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert json.loads(file.metadata()["resdet"])["names"] == CARD.names


def test_weights_that_are_parameters_are_written_without_their_graph(tmp_path: Path) -> None:
    write_model(tmp_path / "model.safetensors", {"weight": torch.nn.Parameter(torch.ones(2))}, CARD)
    state, _ = read_model(tmp_path / "model.safetensors")
    assert not state["weight"].requires_grad


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.safetensors: no such model file"):
        read_model(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("kept", [0, 5, 100, -1], ids=["empty", "in the length", "in the header", "in the tensors"])
def test_truncated_file(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.safetensors"
    write_model(path, _state(), CARD)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"model\.safetensors: (not a safetensors model file: |is empty$)") as caught:
        read_model(path)
    assert "\n" not in str(caught.value)


def test_file_of_something_else(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.pth")
    with pytest.raises(DataError, match=r"model\.pth: not a safetensors model file: .*; `resdet convert` makes one"):
        read_model(tmp_path / "model.pth")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_file_without_a_card(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    with pytest.raises(ConfigError, match=r"holds weights without a resdet card: `resdet convert` makes a model file of it"):
        read_model(_write(tmp_path / "model.safetensors", metadata))


def test_newer_format_is_told_whatever_its_keys(tmp_path: Path) -> None:
    path = _write(tmp_path / "model.safetensors", _card(format=FORMAT + 1, a_new_key=1, task=...))
    with pytest.raises(ConfigError, match=rf"model file format {FORMAT + 1}, this version reads up to {FORMAT}"):
        read_model(path)


@pytest.mark.parametrize(
    "metadata",
    [
        {"resdet": "{"},
        {"resdet": "[1]"},
        _card(a_new_key=1),
        _card(names=...),
        _card(format="two"),
    ],
    ids=["no JSON", "a list", "an unknown key", "a missing key", "a format that is no number"],
)
def test_broken_card(tmp_path: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"model\.safetensors: its model card cannot be read: "):
        read_model(_write(tmp_path / "model.safetensors", metadata))


def test_card_of_wrong_types_tells_each(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_model(_write(tmp_path / "model.safetensors", _card(names="cat", architecture=None)))
    rules = [problem.partition("model card: ")[2] for problem in caught.value.problems]
    assert rules == ["'architecture' must be a dict, got None", "'names' must be a list, got 'cat'"]


def test_tensors_that_share_memory_are_written(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    write_model(tmp_path / "m.safetensors", {"a": shared, "b": shared, "c": shared[:2]}, CARD)
    state, _ = read_model(tmp_path / "m.safetensors")
    assert {key: value.tolist() for key, value in state.items()} == {"a": [0, 1, 2, 3], "b": [0, 1, 2, 3], "c": [0, 1]}


def test_a_file_is_read_later_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(ConfigError, match=r"m\.safetensors: no such model file"):
        FileVersion.of(path)
    write_model(path, _state(), CARD)
    version = FileVersion.of(str(path))
    assert version.path == path
    assert torch.equal(version.read()["weight"], _state()["weight"])
    times = path.stat()
    changed = path.read_bytes()[:-1] + b"?"  # as long as before
    path.write_bytes(changed)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    with pytest.raises(ConfigError, match=r"m\.safetensors: has changed since the model was loaded from it"):
        version.read()
    path.write_bytes(changed + b"?")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ConfigError, match=r"m\.safetensors: has changed since the model was loaded from it"):
        version.read()
    path.unlink()
    with pytest.raises(ConfigError, match=r"m\.safetensors: no such model file"):
        version.read()
