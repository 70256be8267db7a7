"""``data check PATH``, ``data stats`` and ``data view``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resdet.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def cells(line: str) -> list[str]:
    return line.rsplit(maxsplit=6)


def test_check_of_a_path_finds_its_parts(capsys, shapes: Path) -> None:
    status, out, _ = run(capsys, "check", shapes)
    assert status == 0
    assert [line.split(" (")[0] for line in out.splitlines()] == ["data.train[0]: 8 images", "data.val: 4 images"]


def test_check_tells_one_photo_in_two_classes(capsys, shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "crops" / "val", tmp_path / "crops")
    assert run(capsys, "check", tmp_path / "crops")[::2] == (0, "")
    one, *_, other = sorted(path for path in (tmp_path / "crops").iterdir() if path.is_dir())
    photo = next(one.iterdir())
    shutil.copy(photo, other / "again.png")
    status, _, err = run(capsys, "check", tmp_path / "crops")
    assert (status, err.count("\n")) == (0, 1)
    assert err.startswith("warning: data: 1 images are copies of one in another class: ")
    assert all(str(path) in err for path in (photo, other / "again.png"))


def test_check_counts_the_images_that_a_lone_file_of_annotations_leaves_out(capsys, shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "images" / "train", tmp_path / "images" / "train")
    shutil.copy(shapes / "annotations" / "instances_train.json", tmp_path / "train.json")
    alone = run(capsys, "check", tmp_path)[1].splitlines()
    shutil.copy(next((shapes / "images" / "val").iterdir()), tmp_path / "images" / "train" / "more.png")
    root = tmp_path / "images" / "train"
    note = f"data.train[0]: 1 images of {root} are in no annotation, more.png for one: left out"
    assert run(capsys, "check", tmp_path) == (0, "\n".join([*alone, note, ""]), "")
    shutil.copy(tmp_path / "train.json", tmp_path / "val.json")  # which may mention it
    assert run(capsys, "check", tmp_path / "train.json")[1].splitlines() == alone


def test_check_counts_no_images_that_another_split_of_a_yaml_has(capsys, shapes: Path, tmp_path: Path) -> None:
    images = sorted((shapes / "images" / "val").iterdir())
    for split, image in zip(("train", "val"), images, strict=False):
        (tmp_path / "images" / split).mkdir(parents=True)
        shutil.copy(image, tmp_path / "images" / split)
    (tmp_path / "my.yaml").write_text("names: [disk]\n")
    source = ("--format", "yolo", "--root", tmp_path, "--annotations", tmp_path / "my.yaml")
    assert "in no annotation" not in run(capsys, "check", *source, "--split", "train")[1]


def test_stats_of_a_run_file_are_counts_of_its_objects(capsys, shapes: Path, config: Path) -> None:
    status, out, err = run(capsys, "stats", "--config", config, "data.short_side=[300]")
    assert (status, err) == (0, "")
    parts = out.split("data.val: ")
    assert "at shorter side 300" in parts[0]
    lines = parts[0].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("class "))
    rows = [cells(line) for line in lines[start + 2 : lines.index("", start)]]
    assert rows[0][0] == "all"
    assert int(rows[0][1]) == sum(int(row[1]) for row in rows[1:])
    assert [row[0] for row in rows[1:]] == sorted(
        (row[0] for row in rows[1:]), key=lambda name: -next(int(row[1]) for row in rows if row[0] == name)
    )
    assert next(line for line in lines if line.startswith("resized height")).split()[-5:].count("300") >= 1
    assert "model.anchors.sizes" in parts[0]


def test_stats_need_boxes(capsys, shapes: Path) -> None:
    status, _, err = run(capsys, "stats", "--format", "folder", "--root", shapes / "crops" / "val")
    assert (status, err) == (2, "error: option 'data.format' must be one of a detection set, got folder\n")


def test_view_draws_pairs_and_names_the_photos(capsys, shapes: Path, tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    status, out, err = run(capsys, "view", shapes, "--count", 4, "--output", target)
    assert (status, err) == (0, f"written: {target}\n")
    assert len(out.splitlines()) == 4
    assert all(Path(line).is_file() for line in out.splitlines())
    with Image.open(target) as sheet:
        first = np.asarray(sheet)
    run(capsys, "view", shapes, "--count", 4, "--output", target)
    with Image.open(target) as sheet:
        assert (np.asarray(sheet) == first).all()
    run(capsys, "view", shapes, "--count", 4, "--seed", 1, "--output", target)
    with Image.open(target) as sheet:
        assert (np.asarray(sheet) != first).any()  # other photos are mirrored: 1 of 16 seeds draws the same


def test_view_shows_the_transforms_of_the_run(capsys, config: Path, tmp_path: Path) -> None:
    def seen(*options: str) -> np.ndarray:
        run(capsys, "view", "--config", config, *options, "--count", 2, "--output", tmp_path / "sheet.png")
        with Image.open(tmp_path / "sheet.png") as sheet:
            return np.asarray(sheet).astype(int)

    plain, grey = seen("data.hflip=0"), seen("data.hflip=0", "data.transforms=[{name: RandomGrayscale, p: 1}]")
    assert plain.shape == grey.shape
    quarter = plain.shape[1] // 4
    assert (plain[:, :quarter] == grey[:, :quarter]).all()  # as annotated
    assert (plain[:, quarter : 2 * quarter] != grey[:, quarter : 2 * quarter]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--count", "0"), "--count must be at least 1, got 0"),
        (("--output", "a.jpg"), "--output must be the name of a PNG, got 'a.jpg'"),
    ],
)
def test_wrong_arguments_of_view(capsys, shapes: Path, arguments: tuple[str, ...], message: str) -> None:
    assert run(capsys, "view", shapes, *arguments) == (2, "", f"error: {message}\n")


def test_a_path_goes_with_no_other_source(capsys, shapes: Path, config: Path) -> None:
    for arguments in ((shapes, "--config", config), (shapes, "--format", "coco"), (shapes, shapes)):
        status, _, err = run(capsys, "check", *arguments)
        assert status == 2
        assert "or the path of your data" in err


def test_errors_do_not_hide_what_else_was_found(capsys, shapes: Path, tmp_path: Path) -> None:
    content = json.loads((shapes / "annotations" / "instances_train.json").read_text())
    content["annotations"].append(content["annotations"][0] | {"id": 10**6})
    (tmp_path / "twice.json").write_text(json.dumps(content))
    images = tmp_path / "images"
    shutil.copytree(shapes / "images" / "train", images)
    last = max(images.iterdir())
    last.write_bytes(b"")
    status, out, err = run(capsys, "check", "--format", "coco", "--root", images, "--annotations", tmp_path / "twice.json")
    assert status == 3
    assert out.startswith("data: 8 images")
    lines = err.splitlines()
    assert any(
        "1 objects repeat another of the same class and box" in line and "annotation id 1000000" in line for line in lines
    )
    assert lines[-1] == f"error: {last}: cannot be read as an image: the file is empty"
