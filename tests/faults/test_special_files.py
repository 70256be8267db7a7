"""FIFOs, sockets, devices and files of /proc are told by every reader, none of which waits for ever."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from resdet.cli import main
from resdet.config import load_config
from resdet.data.formats.cifar import read_cifar
from resdet.data.formats.coco import read_coco
from resdet.data.formats.exports.hf_objects import read_hf_objects
from resdet.data.formats.exports.table import read_table
from resdet.data.formats.image_list import read_image_list
from resdet.data.formats.image_names import only_listed
from resdet.data.formats.shards import read_shards
from resdet.data.formats.voc_xml import parse_xml, read_image_set
from resdet.data.formats.yolo_lines import read_lines
from resdet.data.found.kinds import beginning
from resdet.data.proposals import read_proposals
from resdet.data.statistics import read_mean_image
from resdet.engine.checkpoint import load_state
from resdet.engine.optimizer import build_sgd
from resdet.errors import ConfigError, DataError, ResdetError
from resdet.evaluation import score_files
from resdet.evaluation.predictions import read_predictions
from resdet.evaluation.submissions import read_class_ids
from resdet.files import read_json, regular
from resdet.images import read_file, read_image, read_size
from resdet.inference.load import is_model_file, load
from resdet.inference.video import video_frames
from resdet.models.backbones.weights.read import read_weights
from resdet.models.model_file import read_card, read_model

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="files as POSIX has them")
KINDS = ("a FIFO", "a socket", "a device", "a file of /proc")


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Ends a test that waits for ever."""

    def late(*_: object) -> None:
        raise KeyboardInterrupt("a reader waits for ever")  # which no reader takes for a mistake of its file

    former = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 120)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


def make(path: Path, kind: str) -> Path:
    """Something called ``path`` that is no file to be read."""
    path.unlink(missing_ok=True)
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a socket":
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
        os.chdir(here)
    else:
        target = Path("/dev/zero" if kind == "a device" else "/proc/self/status")
        if not target.exists():
            pytest.skip(f"no {target} here")
        path.symlink_to(target)
    return path


def no_state(path: Path) -> None:
    model = nn.Linear(1, 1)
    load_state(path, model, build_sgd(model, 0.1, 0.9, 0))


def told(path: Path) -> None:
    """What readers that collect problems have collected."""
    problems: list[str] = []
    if path.suffix == ".xml":
        parse_xml(path, problems)
    else:
        read_lines(path, problems)
    raise DataError(problems)


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "image": ("a.jpg", read_image),
    "image's bytes": ("a.jpg", read_file),
    "image's size": ("a.jpg", read_size),
    "json": ("a.json", read_json),
    "coco": ("a.json", lambda path: read_coco(path.parent, path)),
    "scored truth": ("a.json", lambda path: score_files(path, path)),
    "voc's xml": ("a.xml", told),
    "voc's list": ("a.txt", lambda path: read_image_set(path, lambda _: True, [])),
    "yolo's lines": ("a.txt", told),
    "listed images": ("a.csv", lambda path: read_image_list(path.parent, path)),
    "some of the images": ("a.txt", lambda path: only_listed(None, path, path.parent, by_id=False)),  # type: ignore[arg-type]
    "table of boxes": ("a.csv", lambda path: read_table(path.parent, path)),
    "hugging face's lines": ("metadata.jsonl", lambda path: read_hf_objects(path.parent, path)),
    "cifar": ("data_batch_1", lambda path: read_cifar(path.parent, "train")),
    "index of shards": ("train-index.safetensors", lambda path: read_shards(path.parent, "train")),
    "proposals": ("a.safetensors", lambda path: read_proposals(path, [1])),
    "mean image": ("a.safetensors", lambda path: read_mean_image(path, 32)),
    "video": ("a.mp4", lambda path: next(video_frames(path))),
    "model": ("a.safetensors", load),
    "model's tensors": ("a.safetensors", read_model),
    "model's card": ("a.safetensors", read_card),
    "weights": ("a.pth", read_weights),
    "pickled weights": ("a.pkl", read_weights),
    "state": ("state.pt", no_state),
    "run file": ("a.yaml", load_config),
    "predictions": ("a.npz", read_predictions),
    "classes of submissions": ("a.txt", lambda path: read_class_ids(path, ["a"])),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_tells_what_is_no_file(reader: str, kind: str, tmp_path: Path) -> None:
    name, read = READERS[reader]
    path = make(tmp_path / name, kind)
    with pytest.raises(ResdetError) as caught:
        read(path)
    assert isinstance(caught.value, (ConfigError, DataError))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_called_so(kind: str, tmp_path: Path) -> None:
    path = make(tmp_path / "x", kind)
    with pytest.raises(OSError, match="not a file") as caught:
        regular(path)
    wanted = "it is made up by the system" if kind == "a file of /proc" else f"it is {kind}"
    assert caught.value.strerror == f"{wanted}, not a file"
    assert beginning(path) == ""
    if kind != "a file of /proc":
        assert is_told(path)


def is_told(path: Path) -> bool:
    try:
        is_model_file(path)
    except ConfigError:
        return True
    return False


def test_files_and_folders_are_left_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path in (tmp_path, tmp_path / "empty"):
        assert regular(path) == path
    with pytest.raises(FileNotFoundError):
        regular(tmp_path / "none")


@pytest.mark.parametrize("kind", KINDS)
def test_predict_of_a_folder_names_it_and_does_the_others(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image
    from tiny_classifiers import written

    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (40, 40)).save(photos / "b.png")
    odd = make(photos / "a.png", kind)
    model = written(tmp_path / "model.safetensors")
    assert main(["predict", "--weights", str(model), str(photos), "--output", str(tmp_path / "out")]) == 3
    captured = capsys.readouterr()
    assert str(odd) in captured.err.splitlines()[-1]
    assert str(photos / "b.png") in captured.out
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_becomes_something_else_is_named(kind: str, tiny_coco: Any, capsys: pytest.CaptureFixture[str]) -> None:
    odd = make(tiny_coco.images / "000003.png", kind)
    command = ["--format", "coco", "--root", str(tiny_coco.images), "--annotations", str(tiny_coco.annotations)]
    assert main(["data", "check", *command]) == 3
    assert str(odd) in capsys.readouterr().err
