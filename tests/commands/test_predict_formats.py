"""The options of ``predict`` for detectors: formats, classes, sizes, windows, frames, places."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_classifiers import written as written_classifier
from tiny_detectors import picture, tiny_detector
from tiny_detectors import written as written_detector
from videos import written_video

import resdet
from resdet.cli import main
from resdet.inference import windowed_file
from resdet.inference.tiles import PROPOSALS, Tiles
from resdet.inference.video import video_frames
from resdet.inference.windowed_file import open_windows
from resdet.prediction.written import detections_of
from resdet.structures import detections


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return written_detector(tmp_path / "m.safetensors", tiny_detector())


def pixels(seed: int, height: int = 64, width: int = 96) -> np.ndarray:
    return picture(seed, height, width).permute(1, 2, 0).numpy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, seed in (("in/a.png", 0), ("in/x/a.png", 1), ("in/x/b.jpg", 2)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(seed)).save(tmp_path / name)
    return tmp_path / "in"


def predict(weights: Path, given: Path, output: Path, *more: str) -> int:
    options = ["--score-thresh", "0.1", "--device", "cpu", *more]
    return main(["predict", "--weights", str(weights), str(given), "--output", str(output), *options])


def files(output: Path) -> set[str]:
    return {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}


def rows(output: Path) -> list[dict]:
    return json.loads((output / "predictions.json").read_text())


def test_folders_keep_their_place(weights: Path, folder: Path, tmp_path: Path) -> None:
    assert predict(weights, folder, tmp_path / "out") == 0
    assert files(tmp_path / "out") == {"predictions.json", "a.png", "x/a.png", "x/b.jpg"}


def test_formats_without_pictures(weights: Path, folder: Path, tmp_path: Path) -> None:
    assert predict(weights, folder, tmp_path / "out", "--format", "coco,yolo,voc,csv,labelstudio") == 0
    assert files(tmp_path / "out") == {
        "coco/images.json",
        "coco/results.json",
        "detections.csv",
        "labelstudio.json",
        "yolo/classes.txt",
        *(f"yolo/labels/{name}.txt" for name in ("a", "x/a", "x/b")),
        *(f"voc/Annotations/{name}.xml" for name in ("a", "x/a", "x/b")),
    }


def test_some_classes_and_the_best_objects(weights: Path, folder: Path, tmp_path: Path) -> None:
    assert predict(weights, folder, tmp_path / "all") == 0
    assert predict(weights, folder, tmp_path / "out", "--classes", "dog,cat", "--max-det", "2") == 0
    for every, some in zip(rows(tmp_path / "all"), rows(tmp_path / "out"), strict=True):
        expected = [each for each in every["detections"] if each["name"] in ("dog", "cat")][:2]
        assert some["detections"] == expected
    assert predict(weights, folder, tmp_path / "none", "--classes", "cow") == 2


def test_another_size_and_windows(weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(pixels(3, 160, 200)).save(tmp_path / "large.png")
    detector = resdet.load_detector(weights, device="cpu")
    for options, change in (
        (["--short-side", "48"], {"transform": type(detector.transform)(48, 72)}),
        (["--tile", "96", "--overlap", "0.3"], {"tiles": Tiles(96, 0.3)}),
    ):
        assert predict(weights, tmp_path / "large.png", tmp_path / "out", "--format", "json", *options) == 0
        other = resdet.load_detector(weights, device="cpu")
        for name, value in change.items():
            setattr(other, name, value)
        more = other.propose_at_least(PROPOSALS) if "--tile" in options else PROPOSALS
        note = f"note: {PROPOSALS} regions are proposed in a window; of a picture the model proposes {more}\n"
        assert (note in capfd.readouterr().err) == ("--tile" in options)
        expected = other.predict(tmp_path / "large.png", score_thresh=0.1)
        assert [each["box"] for each in rows(tmp_path / "out")[0]["detections"]] == [list(each.box) for each in expected]
        assert expected.boxes.tolist() != detector.predict(tmp_path / "large.png", score_thresh=0.1).boxes.tolist()


def test_what_is_read_in_windows_is_drawn_smaller(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyvips", reason="the extra 'large' is not installed", exc_type=ImportError)
    path = tmp_path / "large.tif"
    Image.fromarray(pixels(3, 160, 200)).save(path)
    monkeypatch.setattr(windowed_file, "_OVERVIEW", 100)
    for place in ("inference.sources", "prediction.search", "prediction.outputs.beside"):
        monkeypatch.setattr(f"resdet.{place}.open_windows", lambda source: open_windows(source, least=0))
    for whole in ("inference.sources.to_image", "prediction.outputs.beside.read_image"):
        monkeypatch.setattr(f"resdet.{whole}", lambda *_: pytest.fail("decoded whole"))
    drawn = detections.to_image
    monkeypatch.setattr(
        detections,
        "to_image",
        lambda picture, color: drawn(picture, color) if isinstance(picture, Image.Image) else pytest.fail("decoded whole"),
    )
    assert predict(weights, path, tmp_path / "out", "--tile", "96", "--format", "pictures,crops,json") == 0
    assert f"note: {tmp_path / 'out' / 'large.png'} is a smaller copy, 100 x 80 pixels\n" in capfd.readouterr().err
    (row,) = rows(tmp_path / "out")
    assert (row["width"], row["height"], len(row["detections"]) > 3) == (200, 160, True)
    large = open_windows(path, least=0)
    assert large is not None
    expected = detections_of(row, resdet.load_detector(weights, device="cpu").names).draw(large.overview())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "large.png")), np.asarray(expected))
    first = row["detections"][0]
    (crop,) = (tmp_path / "out" / "crops" / first["name"]).glob("large_1.png")
    x1, y1, x2, y2 = first["box"]
    assert np.array_equal(np.asarray(Image.open(crop)), pixels(3, 160, 200)[int(y1) : -int(-y2 // 1), int(x1) : -int(-x2 // 1)])


def test_every_so_many_frames(weights: Path, tmp_path: Path) -> None:
    written_video(tmp_path / "clip.avi", [pixels(seed) for seed in range(5)])
    assert predict(weights, tmp_path / "clip.avi", tmp_path / "out", "--every", "2", "--format", "json,yolo,pictures") == 0
    assert [row["frame"] for row in rows(tmp_path / "out")] == [0, 2, 4]
    labels = {name for name in files(tmp_path / "out") if name.startswith("yolo/labels")}
    assert labels == {f"yolo/labels/clip_{number:06}.txt" for number in (0, 2, 4)}


def test_a_video_that_is_cut_off_is_told(weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = written_video(tmp_path / "clip.avi", [pixels(seed) for seed in range(5)]).read_bytes()
    assert predict(weights, tmp_path / "clip.avi", tmp_path / "out", "--format", "json") == 0
    assert "cut off" not in capfd.readouterr().err
    (tmp_path / "clip.avi").write_bytes(whole[: len(whole) * 6 // 10])
    assert predict(weights, tmp_path / "clip.avi", tmp_path / "out", "--format", "json") == 0
    found, told = len(rows(tmp_path / "out")), capfd.readouterr()
    assert 0 < found < 4
    assert f"clip.avi: {found} frames" in told.out
    assert "clip.avi: its header speaks of 5 frames; is the file cut off?" in told.err
    (tmp_path / "clip.avi").write_bytes(whole[:300])
    assert predict(weights, tmp_path / "clip.avi", tmp_path / "out", "--format", "json") == 3
    told = capfd.readouterr()
    assert "clip.avi: no frame of this video can be read" in told.err
    assert " @ 0x" not in told.err  # FFmpeg's own words


def test_a_camera_runs_until_it_is_interrupted(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def three_frames(path: Path, every: int) -> Iterator[tuple[int, Image.Image]]:
        assert (str(path), every) == ("0", 1)
        yield from ((number, Image.fromarray(pixels(number))) for number in range(3))
        raise KeyboardInterrupt

    monkeypatch.setattr("resdet.prediction.search.video_frames", three_frames)
    assert predict(weights, Path("0"), tmp_path / "out", "--format", "json,pictures") == 0
    assert [(row["file"], row["frame"]) for row in rows(tmp_path / "out")] == [("0", 0), ("0", 1), ("0", 2)]
    assert len(list(video_frames(tmp_path / "out" / "camera_0.mp4"))) == 3


def test_a_bad_file_loses_nothing(weights: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "b.png").write_bytes(b"no image")
    assert predict(weights, folder, tmp_path / "out", "--format", "json,csv,coco") == 3
    assert len(rows(tmp_path / "out")) == 3
    assert {"detections.csv", "coco/results.json"} < files(tmp_path / "out")
    assert f"{folder / 'b.png'}: cannot be read as an image" in capfd.readouterr().err


def test_scores_below_the_models(weights: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert predict(weights, folder, tmp_path / "out", "--score-thresh", "0.01", "--format", "json") == 0
    assert "note: the model gives no scores below 0.05; model.test.score_thresh=0.01 would" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--format", "json,xml"], "--format must be of pictures, json"),
        (["--format", ","], "--format names no format"),
        (["--max-det", "0", "--every", "0"], "--max-det must be at least 1, got 0"),
        (["--output", __file__], "--output must be a folder, got the file"),
        (["--tile", "8"], "tiles need a side of at least 32 pixels, got 8"),
    ],
)
def test_wrong_options(
    options: list[str], problem: str, weights: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert predict(weights, folder, tmp_path / "out", *options) == 2
    assert problem in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_classifier_has_its_own_file(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = written_classifier(tmp_path / "c.safetensors")
    command = ["predict", "--weights", str(weights), str(folder), "--output", str(tmp_path / "out")]
    assert main([*command, "--format", "yolo"]) == 2
    assert "--format yolo: for detectors" in capfd.readouterr().err
