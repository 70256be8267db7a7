import json
from pathlib import Path

import pytest

from resdet.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_make_says_what_it_wrote(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, err = run(capsys, "make", "shapes", tmp_path / "s", "--train", 2, "--val", 1, "--size", 64)
    assert (status, err) == (0, "")
    assert out.startswith(f"{tmp_path / 's'}: 3 images, ")
    assert out.endswith("16 crops\n")


def test_make_refuses_a_folder_that_holds_something(capsys: pytest.CaptureFixture[str], shapes: Path) -> None:
    status, _, err = run(capsys, "make", "shapes", shapes, "--train", 0)
    assert status == 2
    assert err == f"error: 'train' must be at least 1, got 0\nerror: {shapes}: must be a new or an empty folder\n"


def test_check_of_a_run_file(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    status, out, _ = run(capsys, "check", "--config", config)
    assert status == 0
    assert [line.split(" (")[0] for line in out.splitlines()] == ["data.train[0]: 8 images", "data.val: 4 images"]


def test_check_of_files(capsys: pytest.CaptureFixture[str], shapes: Path) -> None:
    annotations = shapes / "annotations" / "instances_val.json"
    status, out, _ = run(capsys, "check", "--format", "coco", "--root", shapes / "images" / "val", "--annotations", annotations)
    assert status == 0
    assert out.startswith("data: 4 images")
    status, out, _ = run(capsys, "check", "--format", "folder", "--root", shapes / "crops" / "val")
    assert (status, out) == (
        0,
        "data: 16 images, 8 classes: arrow 2, crescent 2, cross 2, disk 2, ring 2, square 2, star 2, triangle 2\n",
    )


def test_check_tells_every_problem_of_every_source(capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path) -> None:
    content = json.loads(config.read_text())
    images = tmp_path / "images"
    images.mkdir()
    for path in Path(content["data"]["train"][0]["root"]).iterdir():
        (images / path.name).write_bytes(path.read_bytes()[:300])
    annotations = json.loads(Path(content["data"]["val"]["annotations"]).read_text())
    annotations["annotations"][0]["bbox"][2] = -3
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(annotations))
    status, out, err = run(
        capsys, "check", "--config", config, f"data.train[0].root={images}", f"data.val.annotations={broken}"
    )
    assert status == 3
    assert out.startswith("data.train[0]: 8 images")
    lines = err.splitlines()
    assert len(lines) == 9
    assert all(line.startswith(f"error: {images}/00000") for line in lines[:8])
    assert lines[8].startswith(f"error: {broken}: annotation id 1: box must have a positive width and height")


def test_check_names_classes_of_the_config(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    status, _, err = run(capsys, "check", "--config", config, "data.names=[disk, rong]")
    assert status == 3
    assert "class 'ring' is not among the classes asked for (did you mean 'rong'?)" in err


WRONG = [
    ([], "data check needs either --config FILE or --format with --root"),
    (["--config", "x", "--format", "voc"], "data check needs either --config FILE or --format with --root"),
    (["--format", "folder", "--root", "nowhere"], "option 'data.root' must name a folder, got 'nowhere'"),
    (
        ["--format", "cifar10", "--root", ".", "--split", "val"],
        "option 'data.split' of format cifar10 must be one of train, test, train45k, val5k, got 'val'",
    ),
    (["--format", "list", "--root", "."], "option 'data.annotations' must name a file, got ''"),
    (["--format", "folder", "a.b=1"], "key=value arguments change a run file, and there is none; got a.b=1"),
    (["--config", "no_such_file"], "config 'no_such_file': no such file"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    status, out, err = run(capsys, "check", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")


def test_arguments_of_other_formats_come_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    given = ("--root", tmp_path, "--split", "val", "--annotations", "a.json")

    def told(*arguments: object) -> list[str]:
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "")
        return err.splitlines()

    assert told("check", "--format", "folder", *given, "--images", "x.txt") == [
        "error: option 'data.split' is for the formats imagenet, shards, cifar10, cifar100, not folder; got 'val'",
        "error: option 'data.annotations' is for the formats list, imagenet, not folder; got 'a.json'",
        "error: --images is for detection sets, got --format folder",
    ]
    split = "error: option 'data.split' is for the formats voc, yolo, imagenet_det, not coco; got 'val'"
    assert told("check", "--format", "coco", *given) == [split]
    assert told("convert", "--format", "coco", *given, "--to", "voc", tmp_path / "to") == [split]
    (annotations,) = told("convert", "--format", "voc", *given, "--to", "coco", tmp_path / "to")
    assert annotations.startswith("error: option 'data.annotations' is for the formats coco, yolo, ")
    assert annotations.endswith(", not voc; got 'a.json'")
    (mean,) = told("mean", "--format", "list", *given, "--images", 3, "--output", tmp_path / "m")
    assert "'data.split' is for" in mean


def test_missing_folders_of_a_run_file_come_together(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    status, _, err = run(capsys, "check", "--config", config, "data.train[0].root=a", "data.val.root=b")
    assert status == 2
    assert [line.split(" must")[0] for line in err.splitlines()] == [
        "error: option 'data.train[0].root'",
        "error: option 'data.val.root'",
    ]


def test_make_alone_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["data", "make"])
    assert caught.value.code == 2


def write_list(shapes: Path, tmp_path: Path) -> Path:
    """A list of the shapes data set's validation crops, on which the first letter is the class."""
    crops = sorted((shapes / "crops" / "val").glob("*/*.jpg"))
    path = tmp_path / "list.csv"
    path.write_text("path,label\n" + "".join(f"{crop.parent.name}/{crop.name},{crop.parent.name[0]}\n" for crop in crops))
    return path


def test_check_of_a_list(capsys: pytest.CaptureFixture[str], shapes: Path, tmp_path: Path) -> None:
    path = write_list(shapes, tmp_path)
    arguments = ("check", "--format", "list", "--root", shapes / "crops" / "val", "--annotations", path)
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    assert out.startswith("data: 16 images, ")
    path.write_text(path.read_text() + "nowhere.jpg,x\n,y\n")
    status, _, err = run(capsys, *arguments)
    assert status == 3
    assert err.splitlines() == [
        f"error: {path}: line 19: path must not be empty",
        f"error: {path}: line 18: no such image file: {shapes / 'crops' / 'val' / 'nowhere.jpg'}",
    ]


def test_real_voc(capsys: pytest.CaptureFixture[str], shared_data: Path) -> None:
    status, out, _ = run(
        capsys, "check", "--format", "voc", "--root", shared_data / "voc2012_mini" / "VOC2012", "--split", "val"
    )
    assert status == 0
    summary, _, classes = out.rpartition(": ")
    assert summary == "data: 100 images (0 without objects), 273 objects (0 crowds, 38 difficult), 20 classes"
    assert classes.startswith("aeroplane 15, bicycle 14, bird 6, boat 11")
