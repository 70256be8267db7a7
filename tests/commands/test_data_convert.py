import json
from pathlib import Path

import pytest

from resdet.cli import main
from resdet.data.formats.voc import read_voc
from resdet.data.formats.yolo import read_yolo


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_coco_to_yolo_to_voc_and_their_checks(tiny_coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ("--format", "coco", "--root", tiny_coco.images, "--annotations", tiny_coco.annotations)
    status, out, err = run(capsys, "convert", *source, "--as", "val", "--to", "yolo", tmp_path / "y")
    summary = "6 images (1 without objects), 11 objects (1 crowds, 0 difficult), 2 classes"
    assert (status, out) == (0, f"{tmp_path / 'y'}: {summary}, as yolo 'val'\n")
    assert err == "note: 1 crowds were left out\nnote: the ids of images, categories and annotations are lost\n"
    yolo = ("--format", "yolo", "--root", tmp_path / "y", "--split", "val")
    summary = "6 images (1 without objects), 10 objects (0 crowds, 0 difficult), 2 classes"
    counted = (0, f"data: {summary}: box 5, disk 5\n")
    assert run(capsys, "check", *yolo)[:2] == counted
    assert run(capsys, "convert", *yolo, "--to", "voc", tmp_path / "v") == (
        0,
        f"{tmp_path / 'v'}: {summary}, as voc 'val'\n",
        "",
    )
    assert run(capsys, "check", "--format", "voc", "--root", tmp_path / "v", "--split", "val")[:2] == counted
    boxes = [dataset.boxes.round(9).tolist() for dataset in (read_yolo(tmp_path / "y", "val"), read_voc(tmp_path / "v", "val"))]
    assert boxes[0] == boxes[1]


def test_a_subset_by_name_and_by_id(tiny_coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.txt").write_text("000002\n5\n")
    source = ("--format", "coco", "--root", tiny_coco.images, "--annotations", tiny_coco.annotations)
    summary = "2 images (1 without objects), 2 objects (0 crowds, 0 difficult), 2 classes"
    assert run(capsys, "check", *source, "--images", tmp_path / "some.txt")[:2] == (0, f"data: {summary}: box 1, disk 1\n")
    status, out, _ = run(
        capsys, "convert", *source, "--only", tmp_path / "some.txt", "--to", "coco", "--images", "copy", tmp_path / "c"
    )
    assert (status, out) == (0, f"{tmp_path / 'c'}: {summary}, as coco 'instances'\n")
    content = json.loads((tmp_path / "c" / "annotations" / "instances_instances.json").read_text())
    assert [row["id"] for row in content["images"]] == [2, 5]


def test_wrong_usage(tiny_coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ("--format", "coco", "--root", tiny_coco.images, "--annotations", tiny_coco.annotations)
    status, _, err = run(capsys, "convert", *source, "--to", "voc", tmp_path)
    assert (status, err) == (2, f"error: {tmp_path}: must be a new or an empty folder\n")
    status, _, err = run(capsys, "convert", *source, "--to", "yolo", tmp_path / "y")
    assert (status, err) == (2, "error: the split's name in a YOLO folder must be one of train, val, test, got 'instances'\n")
    status, _, err = run(capsys, "convert", *source[:4], "--to", "yolo", tmp_path / "y", "--only", "gone")
    assert status == 2
    assert err.splitlines() == [
        "error: option 'data.images' must name a file, got 'gone'",
        "error: option 'data.annotations' must name a file, got ''",
    ]
    for form, split, message in (
        ("yolo", "dev", "option 'data.split' of format yolo must be one of train, val, test, got 'dev'"),
        ("imagenet_det", "val", f"option 'data.split' must name a list of {tmp_path}/ImageSets/DET, got 'val'"),
    ):
        status, _, err = run(capsys, "check", "--format", form, "--root", tmp_path, "--split", split)
        assert status == 2
        assert message in err
    status, _, err = run(capsys, "check", "--format", "folder", "--root", tmp_path, "--images", "x")
    assert (status, err) == (2, "error: --images is for detection sets, got --format folder\n")
    with pytest.raises(SystemExit):
        run(capsys, "convert", *source, "--to", "imagenet_det", tmp_path / "y")
