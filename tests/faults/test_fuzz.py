"""Damaged files: a few for every reader, and all that once were more than a line to a user."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fuzz import outcome_of
from mutations import mutated
from readers import READERS
from seeds import make_seeds

HERE = Path(__file__).parent
CORPUS = sorted(path for path in (HERE / "corpus").glob("*/*") if path.is_file())
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of a process as Linux has them")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "seeds"
    make_seeds(folder)
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS)
def test_a_seed_is_read(reader: str, seeds: Path, tmp_path: Path) -> None:
    shutil.copytree(seeds / READERS[reader].seed, tmp_path / "seed")
    files = [path for path in (tmp_path / "seed").glob(READERS[reader].files) if path.is_file()]
    assert outcome_of(reader, tmp_path / "seed", files[0]) == ("accepted", "")


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.parent.name)
def test_what_was_found_once_is_told(path: Path, seeds: Path, tmp_path: Path) -> None:
    """``corpus/READER-NUMBER/FILE``: the input of this number of ``fuzz.py``."""
    reader = path.parent.name.rpartition("-")[0].replace("_", " ")
    shutil.copytree(seeds / READERS[reader].seed, tmp_path / "seed")
    (file,) = (place for place in (tmp_path / "seed").glob(READERS[reader].files) if place.name == path.name)
    shutil.copyfile(path, file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome, text = outcome_of(reader, tmp_path / "seed", file)
    assert outcome in ("accepted", "refused"), text


def test_every_reader_takes_damaged_files_in_its_stride(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "fuzz.py"), "--count", "5", "--seed", "1", "--found", str(tmp_path)]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, timeout=900, check=False)
    found = {path.name: path.read_text() for path in tmp_path.glob("*.txt")}
    assert (done.returncode, found) == (0, {}), done.stderr
    assert len(re.findall(r"^\| (?!reader)[a-zA-Z]", done.stdout, re.MULTILINE)) == len(READERS)


def test_the_fuzzer_notices_what_it_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(READERS, "broken", READERS["class ids"]._replace(read=lambda *_: int("x")))
    outcome, text = outcome_of("broken", tmp_path, tmp_path)
    assert outcome == "traceback"
    assert "invalid literal for int" in text


def test_damage_is_the_same_for_a_number_and_another_for_the_next() -> None:
    contents = [mutated(b'{"a": [1, 2]}', "a.json", str(number)) for number in range(100)]
    assert contents == [mutated(b'{"a": [1, 2]}', "a.json", str(number)) for number in range(100)]
    assert len(set(contents)) > 60
