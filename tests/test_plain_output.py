"""What is printed only shows: text from files cannot move a cursor or fake an error; a reader that leaves ends nothing."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from resdet.cli import main
from resdet.console import plain, say
from resdet.engine.run_lock import held
from resdet.files import write_csv
from resdet.report.tables import metrics_table

ROOT = Path(__file__).resolve().parents[1]
EVIL = "cat\x1b[2J\nerror: all is well\r\u202ekcab\x9b\u2028\x00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("犬 ≥ … ü 🐕\u200d🦺", "犬 ≥ … ü 🐕\u200d🦺"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b2J\x85", "\\x9b2J\\x85"),
        ("\u202eabc\u2066\u200f", "\\u202eabc\\u2066\\u200f"),
        ("C:\\new\udcff", "C:\\new\udcff"),  # show_every_character says how the last one comes out
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_one_line_stays_one_line_unless_lines_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb\x07")
    say("a\nb\x07", lines=True, error=True, end="!")
    assert capsys.readouterr() == ("a\\nb\\x07\n", "a\nb\\x07!")


def test_an_error_cannot_fake_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "found.json").write_text("[]")
    missing = str(tmp_path / EVIL.replace("\0", ""))
    assert main(["eval", "--ground-truth", missing, "--detections", str(tmp_path / "found.json")]) in (2, 3)
    (line,) = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert "\\nerror: all is well\\r\\u202ekcab\\x9b\\u2028" in line
    assert not set(line) & set("\x1b\r\u202e\x9b\u2028")


def test_names_of_classes_in_a_table_stay_in_their_cells() -> None:
    table = metrics_table({"voc": {"metric": "voc07", "iou": 0.5, "mAP": 0.5, "per_class": {EVIL: 0.5, "dog": 0.25}}})
    assert len(table.splitlines()) == 6
    assert plain(EVIL) in table


def test_a_log_line_stays_one_line(caplog: pytest.LogCaptureFixture) -> None:
    program = "import logging; from resdet import cli; handler = cli._log_handler(); logging.basicConfig(handlers=[handler]); "
    program += "logging.getLogger('x').warning('%s', 'a\\nerror: b\\x1b')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=900, check=True)
    assert done.stderr == "a\\nerror: b\\x1b\n"


def test_a_spreadsheet_is_given_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    row = ["=cmd|' /C calc'!A0", "@x", "+a", "-1.5", "-", "dog", 3, None]
    write_csv(path, ["=a", "b"], [row])
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["'=a", "b"], ["'=cmd|' /C calc'!A0", "'@x", "'+a", "-1.5", "'-", "dog", "3", ""]]
    write_csv(path, ["=a", "b"], [row], exact=True)
    assert path.read_text().startswith("=a,b")


@pytest.fixture
def scored(tmp_path: Path) -> list[str]:
    """A command that scores one detection."""
    (tmp_path / "val.json").write_text(
        '{"images": [{"id": 1, "file_name": "1.jpg", "width": 90, "height": 60}], "categories": [{"id": 1, "name": "dog"}], '
        '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "area": 1200, "iscrowd": 0}]}'
    )
    (tmp_path / "found.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.9}]')
    files = ["--ground-truth", str(tmp_path / "val.json"), "--detections", str(tmp_path / "found.json")]
    return ["eval", *files, "--output", str(tmp_path / "out")]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes as POSIX has them")
def test_results_are_on_disk_when_nobody_reads_the_table(scored: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "resdet", *scored], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(timeout=900)
    assert (process.returncode, errors) == (0, f"written: {tmp_path / 'out' / 'metrics.json'}\n")
    assert (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="locks of files as POSIX has them")
def test_eval_into_a_folder_in_training_is_refused(scored: list[str], tmp_path: Path) -> None:
    with held(tmp_path / "out"):
        done = subprocess.run(
            [sys.executable, "-m", "resdet", *scored], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
        )
    told = f"error: {tmp_path / 'out'}: another process is training there; wait until it ends or choose another --output\n"
    assert (done.returncode, done.stderr) == (2, told)
    assert not (tmp_path / "out" / "metrics.json").exists()
    assert main(scored) == 0
