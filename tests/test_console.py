"""Text for terminals that cannot show every character, in streams and in whole commands."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resdet.console import open_closed_streams, show_every_character


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [
        ("cp1252", "600×800 … 1–2", "600×800 … 1–2".encode("cp1252")),
        ("ascii", "600×800 … 1–2 ±3", b"600x800 ... 1-2 +-3"),
        ("cp1252", "a ≥ b → c", b"a >= b -> c"),
        ("cp437", "犬 dog", b"\\u72ac dog"),
        ("ascii", "\U0001f415", b"\\U0001f415"),
        ("utf-8", "犬 ≥ …", "犬 ≥ …".encode()),
        ("utf-8", "photo\udcff.jpg", b"photo\xff.jpg"),  # a file's name that is no text comes out as its bytes
        ("ascii", "×\udcff×", b"x\xffx"),
        ("utf-8", "\ud800", b"\\ud800"),
    ],
)
@pytest.mark.parametrize("errors", ["strict", "surrogateescape", "backslashreplace"])
def test_what_an_encoding_lacks_is_spelled(encoding: str, text: str, expected: bytes, errors: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)
    show_every_character(stream, None)
    stream.write(text)
    stream.flush()
    assert stream.buffer.getvalue() == expected


def test_a_stream_that_was_told_another_way_is_left_alone() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    show_every_character(stream, io.StringIO())
    stream.write("×")
    stream.flush()
    assert stream.buffer.getvalue() == b"?"


# a console of Windows, an ASCII one, and a Unix without a locale in which Python was told to believe it
ENVIRONMENTS = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "cp437": {"PYTHONIOENCODING": "cp437"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def resdet(environment: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    given = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHONIO", "PYTHONUTF8", "LC_", "LANG"))}
    command = [sys.executable, "-m", "resdet", *map(str, arguments)]
    return subprocess.run(command, env=given | ENVIRONMENTS[environment], capture_output=True, timeout=900, check=False)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ground truth of classes that no Western console can show, and detections of it."""
    folder = tmp_path_factory.mktemp("truth")
    (folder / "val.json").write_text(
        '{"images": [{"id": 1, "file_name": "1.jpg", "width": 90, "height": 60}], '
        '"categories": [{"id": 1, "name": "\\u72ac"}, {"id": 2, "name": "\\u732b \\u2265"}], '
        '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "area": 1200, "iscrowd": 0}]}'
    )
    (folder / "found.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.9}]')
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_table_of_classes_that_a_console_lacks_is_printed(environment: str, truth: Path, tmp_path: Path) -> None:
    files = ["--ground-truth", truth / "val.json", "--detections", truth / "found.json", "--output", tmp_path]
    done = resdet(environment, "eval", *files, "--metric", "voc07")
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert b"\\u72ac" in done.stdout
    assert b"mAP" in done.stdout or b"AP" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        *([name, "--help"] for name in ("train-cls", "train-det", "train-loc", "eval", "predict", "convert", "info", "bench")),
        ["data", "--help"],
        ["analyze", "--help"],
        ["info"],
        ["bench", "--list"],
        ["train-det", "--config", "犬…"],
    ],
    ids=" ".join,
)
def test_no_command_fails_for_want_of_a_character(environment: str, command: list[str], tmp_path: Path) -> None:
    if environment == "C" and not " ".join(command).isascii():
        pytest.skip("cannot be typed there")
    done = resdet(environment, *command)
    assert b"Traceback" not in done.stderr, done.stderr.decode("ascii", "replace")
    assert done.returncode == (2 if command[-1] == "犬…" else 0)
    assert done.stdout or done.stderr


def test_standard_input_that_was_closed_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback: ``resdet predict - <&-``."""
    monkeypatch.setattr(sys, "stdin", None)
    open_closed_streams()
    assert sys.stdin.read() == ""
    sys.stdin.close()
