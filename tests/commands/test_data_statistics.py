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
