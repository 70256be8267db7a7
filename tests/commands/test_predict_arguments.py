"""Which files and options the arguments mean."""

from __future__ import annotations

import io
from pathlib import Path, PurePath

import pytest

from resdet.commands.predict_arguments import Input, detector_options, find_inputs, separate_arguments
from resdet.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.JPG", "a.png", "c.mp4", "notes.txt", "sub/d.jpg", "sub/deeper/e.webp", "empty/readme.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(folder: Path, *given: str) -> list[str]:
    return [file.path.relative_to(folder).as_posix() for file in find_inputs([str(folder / each) for each in given])]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([""], ["a.png", "b.JPG", "c.mp4", "sub/d.jpg", "sub/deeper/e.webp"]),
        (["sub"], ["sub/d.jpg", "sub/deeper/e.webp"]),
        (["sub", "a.png"], ["sub/d.jpg", "sub/deeper/e.webp", "a.png"]),
        (["sub/d.jpg"], ["sub/d.jpg"]),
        (["*.png"], ["a.png"]),
        (["*"], ["a.png", "b.JPG", "c.mp4", "notes.txt"]),
        (["**/*.jpg"], ["sub/d.jpg"]),
        (["sub/**/*.*"], ["sub/d.jpg", "sub/deeper/e.webp"]),
        (["[ab].*"], ["a.png", "b.JPG"]),
        (["a.png", "a.png"], ["a.png", "a.png"]),
    ],
)
def test_files_folders_and_globs(folder: Path, given: list[str], expected: list[str]) -> None:
    assert names(folder, *given) == expected


def test_a_file_whose_name_looks_like_a_glob_is_itself(folder: Path) -> None:
    (folder / "x[1].png").touch()
    (folder / "x1.png").touch()
    assert names(folder, "x[1].png") == ["x[1].png"]


def test_relative_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert find_inputs(["sub", "*.png"]) == [
        Input(Path("sub/d.jpg"), PurePath("d.jpg")),
        Input(Path("sub/deeper/e.webp"), PurePath("deeper/e.webp")),
        Input(Path("a.png"), PurePath("a.png")),
    ]


def test_hidden_files_are_left_out(folder: Path) -> None:
    for name in (".a.png", "sub/.cache/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert names(folder, "sub") == ["sub/d.jpg", "sub/deeper/e.webp"]
    assert names(folder, "")[0] == "a.png"


def test_lists_of_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "list.txt").write_text(f"{folder}/a.png\n\n  {folder}/sub/d.jpg \n")
    assert names(folder, "list.txt") == ["a.png", "sub/d.jpg"]
    monkeypatch.setattr("sys.stdin", io.StringIO("x/y.jpg\n"))
    assert find_inputs(["-"]) == [Input(Path("x/y.jpg"), PurePath("y.jpg"))]
    for content, problem in ((b"\n", "names no file"), (b"\xff", "cannot be read as a list of files")):
        (folder / "list.txt").write_bytes(content)
        with pytest.raises(ConfigError, match=problem):
            find_inputs([str(folder / "list.txt")])


def test_every_argument_that_means_nothing_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_inputs([str(folder / "a.png"), "gone.jpg", str(folder / "empty"), "*.none"])
    assert caught.value.problems == (
        "gone.jpg: no such file or folder, and no glob that matches one",
        f"{folder / 'empty'}: holds no image or video",
        "*.none: no such file or folder, and no glob that matches one",
    )


@pytest.mark.parametrize(
    ("weights", "others", "expected"),
    [
        (["a.safetensors"], ["x.jpg"], (["a.safetensors"], ["x.jpg"], [])),
        (
            ["a.safetensors", "b.SAFETENSORS", "b.safetensors", "x.jpg"],
            [],
            (["a.safetensors", "b.safetensors"], ["b.SAFETENSORS", "x.jpg"], []),
        ),
        (["a.safetensors", "a.safetensors", "x.jpg"], ["y"], (["a.safetensors"] * 2, ["x.jpg", "y"], [])),
        (["model.pt", "x.jpg", "model.test.flip=1"], ["k.v=2"], (["model.pt"], ["x.jpg"], ["model.test.flip=1", "k.v=2"])),
    ],
)
def test_what_follows_weights(weights: list[str], others: list[str], expected: tuple[list[str], ...]) -> None:
    assert separate_arguments(weights, others) == expected


@pytest.mark.parametrize(("weights", "others"), [(["a.safetensors"], []), (["a.safetensors", "model.test.flip=1"], [])])
def test_no_path(weights: list[str], others: list[str]) -> None:
    with pytest.raises(ConfigError, match="predict needs at least one PATH: an image, a folder of images"):
        separate_arguments(weights, others)


def test_a_file_with_an_equals_sign_is_a_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "a=1.png").touch()
    assert separate_arguments(["w"], ["a=1.png", "a=2.png"]) == (["w"], ["a=1.png"], ["a=2.png"])


def test_every_image_suffix_of_a_folder(tmp_path: Path) -> None:
    """The same files that training takes for images: grey ones too, hidden ones not."""
    for name in ("a.pgm", "b.ppm", ".hidden.png", "c.tif", "d.webm", "e.json"):
        (tmp_path / name).touch()
    assert names(tmp_path, "") == ["a.pgm", "b.ppm", "c.tif", "d.webm"]


def test_options_of_a_detector() -> None:
    given = ["model.test.refine=true", "model.test.vote_iou=0.5", "model.test.short_sides=[200,400]", "model.test.soft_nms="]
    assert detector_options(given) == {"refine": True, "vote_iou": 0.5, "short_sides": [200, 400], "soft_nms": ""}
    assert detector_options([]) == {}
    with pytest.raises(ConfigError) as caught:
        detector_options(["model.rpn.batch=2", "model.test.flip=true", "data.crop=3"])
    assert caught.value.problems == (
        "argument 'model.rpn.batch=2': predict changes options of 'model.test' only",
        "argument 'data.crop=3': predict changes options of 'model.test' only",
    )
