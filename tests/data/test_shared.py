"""Arrays that are sent to processes: nothing is lost, and spawned processes map one memory."""

import copy
import pickle
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing as processes
from numpy.typing import NDArray

from resdet.data import shared
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.cifar import CifarDataset
from resdet.data.formats.folder import FileDataset
from resdet.data.formats.shards import ShardDataset
from resdet.data.localization import LocalizedImages
from resdet.data.proposals import Proposals
from resdet.data.shared import SharedArrays


@dataclass(frozen=True, eq=False)
class Things(SharedArrays):
    name: str
    values: NDArray[Any]
    others: NDArray[Any]


ARRAYS = [
    np.arange(12.0).reshape(3, 4),
    np.arange(12)[::2],
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.array([b"a", b"longer", b""]),
    np.array([True, False]),
    np.zeros((0, 4)),
    np.array([], dtype="S"),
    np.array(3.5),
    np.zeros(3, dtype=[("a", "i4"), ("b", "f4")]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
@pytest.mark.parametrize(
    "again", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy, copy.copy], ids=["pickle", "deepcopy", "copy"]
)
def test_nothing_is_lost(array: NDArray[Any], again: Any) -> None:
    things = Things("a", array, np.ones(2))
    for found in (again(things), again(again(things)), again(replace(things, name="a"))):
        assert found.name == "a"
        assert (found.values.dtype, found.values.shape) == (array.dtype, array.shape)
        assert np.array_equal(found.values, array)
        assert np.array_equal(found.others, np.ones(2))


def test_a_changed_copy_has_its_own_arrays() -> None:
    things = Things("a", np.zeros(3), np.ones(2))
    pickle.dumps(things)
    changed = pickle.loads(pickle.dumps(replace(things, values=np.full(3, 7.0))))
    assert changed.values.tolist() == [7, 7, 7]


def read(things: Things, wanted: Any, found: Any) -> None:
    while wanted.get():
        found.put((things.values.tolist(), things.values.flags.writeable))


@pytest.mark.parametrize("room", [True, False])
def test_spawned_processes_have_one_memory(room: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_has_room", lambda _: room)
    context = processes.get_context("spawn")
    things, wanted, found = Things("a", np.arange(4.0), np.ones(2)), context.Queue(), context.Queue()
    process = context.Process(target=read, args=(things, wanted, found))
    process.start()
    wanted.put(True)
    assert found.get(timeout=900)[0] == [0, 1, 2, 3]
    if room:
        things._sent["values"].memory[:8] = torch.tensor([5.0], dtype=torch.float64).view(torch.uint8)
    wanted.put(True)
    assert found.get(timeout=900) == ([5, 1, 2, 3] if room else [0, 1, 2, 3], not room)
    wanted.put(False)
    process.join()
    assert things.values.tolist() == [0, 1, 2, 3]  # whose own arrays stay its own


def test_as_much_again_must_be_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_SHARED_MEMORY", tmp_path)
    free = shutil.disk_usage(tmp_path).free
    assert shared._has_room(free // 4)
    assert not shared._has_room(free)
    monkeypatch.setattr(shared, "_SHARED_MEMORY", tmp_path / "none")
    assert shared._has_room(free)


@pytest.mark.parametrize("kind", [DetectionDataset, LocalizedImages, FileDataset, ShardDataset, CifarDataset, Proposals])
def test_what_holds_many_images_is_sent_so(kind: type) -> None:
    assert issubclass(kind, SharedArrays)
