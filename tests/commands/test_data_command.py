import json
from pathlib import Path

import pytest

from resdet.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shapes"
    assert main(["data", "make", "shapes", str(folder), "--train", "8", "--val", "4", "--size", "64", "--seed", "3"]) == 0
    return folder


@pytest.fixture
def config(shapes: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    train, val = (
        {
            "format": "coco",
            "root": str(shapes / "images" / split),
            "annotations": str(shapes / f"annotations/instances_{split}.json"),
        }
        for split in ("train", "val")
    )
    path.write_text(json.dumps({"task": "detection", "data": {"train": [train], "val": val}}))
    return path


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
    assert (status, out) == (0, "data: 16 images, 8 classes\n")


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
    (["--format", "cifar10", "--split", "val"], "--split of cifar10 must be train or test, got 'val'"),
    (["--format", "folder", "a.b=1"], "key=value arguments change a run file, and there is none; got a.b=1"),
    (["--config", "no_such_file"], "config 'no_such_file': no such file"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    status, out, err = run(capsys, "check", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")


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


def test_real_voc(capsys: pytest.CaptureFixture[str], shared_data: Path) -> None:
    status, out, _ = run(
        capsys, "check", "--format", "voc", "--root", shared_data / "voc2012_mini" / "VOC2012", "--split", "val"
    )
    assert status == 0
    assert out == "data: 100 images (0 without objects), 273 objects (0 crowds, 38 difficult), 20 classes\n"
