import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resdet.cli import main
from resdet.data.formats.folder import read_folder
from resdet.data.statistics import read_mean_image
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.data.transforms.lighting import read_components


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
    annotations = "error: option 'data.annotations' is for the formats coco, yolo, not voc; got 'a.json'"
    assert told("convert", "--format", "voc", *given, "--to", "coco", tmp_path / "to") == [annotations]
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


@pytest.fixture
def classification(shapes: Path, tmp_path: Path) -> Path:
    path = tmp_path / "classes.yaml"
    source = {"format": "folder", "root": str(shapes / "crops" / "train")}
    path.write_text(
        json.dumps({"task": "classification", "data": {"train": source, "crop": 20, "test_short_side": 22, "short_side": []}})
    )
    return path


def numbers(text: str) -> list[list[float]]:
    return [[float(value) for value in re.findall(r"-?[0-9]+\.[0-9]+", line)] for line in text.splitlines()[2:]]


def test_pca_of_a_run_file(capsys: pytest.CaptureFixture[str], classification: Path, shapes: Path, tmp_path: Path) -> None:
    output = tmp_path / "deeper" / "pca.json"
    status, out, err = run(capsys, "pca", "--config", classification, "--output", output)
    assert status == 0
    root = shapes / "crops" / "train"
    colors = np.concatenate([np.asarray(Image.open(path)).reshape(-1, 3) for path in root.glob("*/*.jpg")]) / 255
    content = json.loads(output.read_text())
    assert sorted(content) == ["eigenvalues", "eigenvectors", "images", "mean", "std"]
    assert content["images"] == 32
    vectors = np.array(content["eigenvectors"])
    assert np.allclose(vectors @ np.diag(content["eigenvalues"]) @ vectors.T, np.cov(colors.T, bias=True), atol=1e-12)
    assert np.allclose(content["mean"], colors.mean(0))
    assert np.allclose(content["std"], colors.std(0))
    assert out.startswith(f"{root}: 32 images, colours in [0, 1]\n")
    printed = [
        content["mean"],
        content["std"],
        *([*c, v] for c, v in zip(vectors.T.tolist(), content["eigenvalues"], strict=True)),
    ]
    assert all(np.allclose(row, expected, atol=6e-5) for row, expected in zip(numbers(out), printed, strict=True))
    assert err == f"written: {output}; data.pca={output} makes it the colour noise of a run\n"
    assert read_components(output).eigenvalues == tuple(content["eigenvalues"])


def test_mean_of_a_run_file(capsys: pytest.CaptureFixture[str], classification: Path, shapes: Path, tmp_path: Path) -> None:
    output = tmp_path / "mean.safetensors"
    status, out, err = run(capsys, "mean", "--config", classification, "data.crop=18", "--images", 5, "--output", output)
    assert status == 0
    root = shapes / "crops" / "train"
    dataset = read_folder(root)
    views = torch.stack([ClassificationTestTransform(22, 18)(dataset.load(index * 32 // 5)) for index in range(5)]).double()
    assert torch.equal(read_mean_image(output, 18), views.mean(0).float())
    assert out.startswith(f"{root}: 5 images, 18 x 18 pixels\n")
    mean, std = views.mean((0, 2, 3)).tolist(), views.std((0, 2, 3), correction=0).tolist()
    rows = [mean, std, [value / 255 for value in mean], [value / 255 for value in std]]
    assert all(np.allclose(row, expected, atol=6e-3) for row, expected in zip(numbers(out), rows, strict=True))
    assert err == f"written: {output}; data.mean_image={output} makes a run subtract it\n"


def test_mean_of_files(capsys: pytest.CaptureFixture[str], shapes: Path, tmp_path: Path) -> None:
    output = tmp_path / "mean.safetensors"
    status, _, _ = run(capsys, "mean", "--format", "folder", "--root", shapes / "crops" / "val", "--output", output)
    assert status == 0
    assert read_mean_image(output, 224).shape == (3, 224, 224)
    cifar = tmp_path / "cifar"
    cifar.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3072), dtype=np.uint8)
    (cifar / "test_batch.bin").write_bytes(np.c_[np.zeros(6, np.uint8), pixels].tobytes())
    (cifar / "batches.meta.txt").write_text("only\n")
    arguments = ("mean", "--format", "cifar10", "--root", cifar, "--split", "test", "--output", output)
    assert run(capsys, *arguments)[:2] == (0, numbers_of(cifar, pixels))
    expected = pixels.astype(np.float64).mean(0).astype(np.float32).reshape(3, 32, 32)
    assert np.array_equal(read_mean_image(output, 32).numpy(), expected)


def numbers_of(cifar: Path, pixels: np.ndarray) -> str:
    channels = pixels.reshape(6, 3, 1024).transpose(1, 0, 2).reshape(3, -1).astype(np.float64)
    lines = [f"{cifar}: 6 images, 32 x 32 pixels", f"{'':12}{'R':>9}{'G':>9}{'B':>9}"]
    for scale, digits in ((255, 2), (1, 4)):
        for name, values in (("mean", channels.mean(1)), ("std", channels.std(1))):
            row = "".join(f"{value * scale / 255:9.{digits}f}" for value in values)
            lines.append(f"{name:12}{row}   in [0, {scale}]")
    return "\n".join(lines) + "\n"


WRONG_STATISTICS = [
    ([], "data {} needs either --config FILE or --format with --root"),
    (["--format", "folder", "--root", "."], None),  # no --output
    (["--format", "coco", "--root", ".", "--output", "x"], None),  # not of classifiers
    (["--format", "folder", "--root", "nowhere", "--output", "x"], "option 'data.root' must name a folder, got 'nowhere'"),
    (["--format", "folder", "--root", ".", "--output", "x", "--images", "-1"], "--images must be at least 0, got -1"),
    (["--format", "folder", "--root", ".", "--output", "."], "--output must name a file, got the folder ."),
    (["--format", "folder", "--root", ".", "--output", "x", "a.b=1"], "key=value arguments change a run file"),
]


@pytest.mark.parametrize("action", ["pca", "mean"])
@pytest.mark.parametrize(("arguments", "message"), WRONG_STATISTICS, ids=range(len(WRONG_STATISTICS)))
def test_wrong_usage_of_statistics(
    capsys: pytest.CaptureFixture[str], action: str, arguments: list[str], message: str | None
) -> None:
    if message is None:
        with pytest.raises(SystemExit) as caught:
            run(capsys, action, *arguments)
        assert caught.value.code == 2
        return
    arguments = arguments or ["--output", "x"]
    status, out, err = run(capsys, action, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message.format(action)}")


def test_statistics_of_a_detection_run_file(capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path) -> None:
    status, _, err = run(capsys, "pca", "--config", config, "--output", tmp_path / "x.json")
    assert (status, err) == (2, f"error: {config}: 'task' must be classification, got detection\n")


def test_a_bad_image_leaves_no_statistics(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "data" / "cat").mkdir(parents=True)
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "data" / "cat" / name).touch()
    for action in ("pca", "mean"):
        output = tmp_path / "output"
        status, _, err = run(capsys, action, "--format", "folder", "--root", tmp_path / "data", "--output", output)
        assert status == 3
        assert [line.partition(": ")[2].split(": ")[0] for line in err.splitlines()] == [
            str(tmp_path / "data" / "cat" / name) for name in ("1.jpg", "2.jpg")
        ]
        assert not output.exists()


def test_real_voc(capsys: pytest.CaptureFixture[str], shared_data: Path) -> None:
    status, out, _ = run(
        capsys, "check", "--format", "voc", "--root", shared_data / "voc2012_mini" / "VOC2012", "--split", "val"
    )
    assert status == 0
    assert out == "data: 100 images (0 without objects), 273 objects (0 crowds, 38 difficult), 20 classes\n"
