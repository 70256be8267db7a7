"""``predict`` by several processes writes what one writes, and goes on where it was ended."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tiny_classifiers
from in_ranks import Ended, ended_ranks
from PIL import Image
from tiny_detectors import picture, tiny_detector, written
from videos import written_video

from resdet.commands import predict
from resdet.distributed.ranks import Ranks
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.prediction import classify

FORMATS = ("pictures", "json", "coco", "csv", "labelstudio", "yolo", "voc", "crops")
# the least score of detectors, 0.2, would be refused
OF_DETECTORS = ("--score-thresh", "0.2", "--format", ",".join(FORMATS))
OF_CLASSIFIERS = ("--format", "json")


def pixels(seed: int) -> np.ndarray:
    return picture(seed, 48, 64).permute(1, 2, 0).numpy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "x").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "x/a.png", "x/c.png", "x/d.png")):
        Image.fromarray(pixels(number)).save(tmp_path / "in" / name)
    written_video(tmp_path / "in" / "c.avi", [pixels(6), pixels(7), pixels(8)])
    return tmp_path / "in"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return written(tmp_path / "m.safetensors", tiny_detector(), (48, 64))


def predicted(
    ranks: Ranks, weights: Path, given: Path, output: Path, more: tuple[str, ...] = OF_DETECTORS, dies: int = -1
) -> Any:
    """What the command prints, given more options; a process of rank ``dies`` is killed at its second picture."""
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    options = ["--output", str(output), "--device", "cpu", *more]
    args = parser.parse_intermixed_args(["--weights", str(weights), str(given), *options])
    search, count = Detector._search, iter(range(1000))

    def deadly(self: Detector, image: Image.Image) -> Any:
        if next(count) == 1 and ranks.rank == dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return search(self, image)

    with contextlib.redirect_stdout(io.StringIO()) as printed, mock.patch.object(Detector, "_search", deadly):
        predict.run(args)
    return printed.getvalue().splitlines()


def content(output: Path) -> dict[str, bytes]:
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def told(ended: list[Ended]) -> list[str]:
    """The lines of the error outputs without the output folder."""
    lines = "".join(each.errors for each in ended).splitlines()
    return [
        line.partition(", written: ")[0] for line in lines if "error: " in line or "written: " in line or "done before" in line
    ]


@pytest.mark.parametrize(("world", "broken"), [(4, False), (2, True)])
def test_detectors(weights: Path, folder: Path, tmp_path: Path, world: int, broken: bool) -> None:
    if broken:
        (folder / "x" / "b.png").write_bytes(b"no image")
        (folder / "a2.png").write_bytes(b"neither")
    alone = ended_ranks(1, predicted, weights, folder, tmp_path / "1")
    ended = ended_ranks(world, predicted, weights, folder, tmp_path / str(world))
    assert [each.status for each in ended] == [3 if broken else 0] * world
    assert told(ended) == told(alone)
    assert content(tmp_path / str(world)) == content(tmp_path / "1")
    if not broken:  # each file in one process
        assert sorted(line for each in ended for line in each.result) == sorted(alone[0].result)
        assert len(alone[0].result) == 6
        assert all(each.result for each in ended)
    made = content(tmp_path / "1")
    assert {name.split("/")[0] for name in made} >= {
        "coco",
        "crops",
        "detections.csv",
        "labelstudio.json",
        "voc",
        "yolo",
        "c.mp4",
    }
    assert len(told(alone)) == (3 if broken else 1)


def test_a_killed_prediction_goes_on(weights: Path, folder: Path, tmp_path: Path) -> None:
    ended_ranks(1, predicted, weights, folder, tmp_path / "whole")
    ended = ended_ranks(2, predicted, weights, folder, tmp_path / "out", OF_DETECTORS, 1)
    assert ended[1].status == -signal.SIGKILL
    assert ended[0].status == 1
    done = len(list((tmp_path / "out" / ".predict").iterdir()))
    assert 1 <= done < 6
    ended = ended_ranks(3, predicted, weights, folder, tmp_path / "out", (*OF_DETECTORS, "--resume"))
    assert [each.status for each in ended] == [0, 0, 0]
    assert sum(len(each.result) for each in ended) == 6 - done
    assert told(ended) == [f"{done} of 6 parts were done before", "6 of 6 files done"]
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert not (tmp_path / "out" / ".predict").exists()


def test_classifiers(folder: Path, tmp_path: Path) -> None:
    weights = tiny_classifiers.written(tmp_path / "c.safetensors")
    (folder / "a2.png").write_bytes(b"no image")
    with mock.patch.object(classify, "images_at_once", return_value=2):
        for world in (1, 3):
            ended = ended_ranks(world, predicted, weights, folder, tmp_path / str(world), OF_CLASSIFIERS)
            assert [each.status for each in ended] == [3] * world
            (problem,) = [line for line in told(ended) if "error" in line]
            assert problem.startswith(f"error: {folder / 'a2.png'}: cannot be read as an image")
            assert content(tmp_path / str(world)) == content(tmp_path / "1")


def test_an_error_that_nobody_expected_ends_all_and_names_the_file(folder: Path, tmp_path: Path) -> None:
    weights = tiny_classifiers.written(tmp_path / "c.safetensors")
    stream = ImageClassifier.stream

    def broken(self: ImageClassifier, images: Any) -> Any:
        if images[0] == folder / "x" / "a.png":
            raise MemoryError("no room")
        return stream(self, images)

    with (
        mock.patch.object(classify, "images_at_once", return_value=1),
        mock.patch.object(ImageClassifier, "stream", broken),
    ):
        ended = ended_ranks(2, predicted, weights, folder, tmp_path / "out", OF_CLASSIFIERS)
    assert [each.status for each in ended] == [1, 1]
    assert "".join(each.errors for each in ended).count("(" + str(folder / "x" / "a.png")) == 1
