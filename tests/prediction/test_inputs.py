"""Which files a person means."""

from __future__ import annotations

import io
from pathlib import Path, PurePath

import pytest

from resdet.errors import ConfigError
from resdet.prediction.inputs import Input, find_inputs


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
    assert [file.place.as_posix() for file in find_inputs(["sub/**/*.*"])] == ["d.jpg", "deeper/e.webp"]


def test_hidden_files_are_left_out(folder: Path) -> None:
    for name in (".a.png", "sub/.cache/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert names(folder, "sub") == ["sub/d.jpg", "sub/deeper/e.webp"]
    assert names(folder, "")[0] == "a.png"


def test_a_list_with_a_zero_byte_ended_in_a_traceback(folder: Path) -> None:
    path = folder / "bad.txt"
    path.write_text("a\0.jpg")
    with pytest.raises(ConfigError, match="a zero byte, which no name has"):
        find_inputs([str(path)])


def test_lists_of_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "list.txt").write_text(f"{folder}/a.png\n\n  {folder}/sub/d.jpg \n")
    assert names(folder, "list.txt") == ["a.png", "sub/d.jpg"]
    monkeypatch.setattr("sys.stdin", io.StringIO("x/y.jpg\n"))
    assert find_inputs(["-"]) == [Input(Path("x/y.jpg"), PurePath("y.jpg"))]
    lines = [folder / "a.png", folder / "sub", folder / "sub" / ".." / "gone.jpg"]
    (folder / "list.txt").write_text("".join(f"{line}\n" for line in lines))
    places = [file.place.as_posix() for file in find_inputs([str(folder / "list.txt")])]
    assert places == ["a.png", "sub/d.jpg", "sub/deeper/e.webp", "gone.jpg"]  # below the folder of all, whatever is in it
    for content, problem in ((b"\n", "names no file"), (b"\xff", "cannot be read as a list of files")):
        (folder / "list.txt").write_bytes(content)
        with pytest.raises(ConfigError, match=problem):
            find_inputs([str(folder / "list.txt")])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_that_windows_wrote(folder: Path, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "list.txt").write_bytes(f"{folder}/a.png\r\n{folder}/sub\r\n".encode(encoding))
    assert names(folder, "list.txt") == ["a.png", "sub/d.jpg", "sub/deeper/e.webp"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeffy.jpg\n"))
    assert find_inputs(["-"]) == [Input(Path("y.jpg"), PurePath("y.jpg"))]


def test_a_line_too_long_for_a_name_is_a_file_that_is_not_there(folder: Path) -> None:
    (folder / "list.txt").write_text(f"{'x' * 300}\n{folder}/a.png\n")
    assert [file.path.name for file in find_inputs([str(folder / "list.txt")])] == ["x" * 300, "a.png"]
    with pytest.raises(ConfigError, match="no such file or folder"):
        find_inputs(["x" * 300])


def test_a_path_that_begins_with_two_slashes(folder: Path) -> None:
    def places(*given: str) -> list[str]:
        return [file.place.as_posix() for file in find_inputs(given)]

    assert places(f"/{folder}/a.png", f"/{folder}/sub/*.jpg") == ["a.png", "d.jpg"]
    (folder / "list.txt").write_text(f"/{folder}/a.png\n{folder}/sub/d.jpg\n")
    assert places(str(folder / "list.txt")) == ["a.png", "sub/d.jpg"]


def test_every_argument_that_means_nothing_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_inputs([str(folder / "a.png"), "gone.jpg", str(folder / "empty"), "*.none"])
    assert caught.value.problems == (
        "gone.jpg: no such file or folder, and no glob that matches one",
        f"{folder / 'empty'}: holds no image or video",
        "*.none: no such file or folder, and no glob that matches one",
    )


def test_every_image_suffix_of_a_folder(tmp_path: Path) -> None:
    """The same files that training takes for images: grey ones too, hidden ones not."""
    for name in ("a.pgm", "b.ppm", ".hidden.png", "c.tif", "d.webm", "e.json"):
        (tmp_path / name).touch()
    assert names(tmp_path, "") == ["a.pgm", "b.ppm", "c.tif", "d.webm"]
