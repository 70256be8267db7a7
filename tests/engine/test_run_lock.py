"""The lock of a run folder, against real processes."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resdet.engine.run_folder import open_run
from resdet.engine.run_lock import held
from resdet.errors import ConfigError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of files as POSIX has them")

PROGRAM = """
import os, sys
from pathlib import Path
from resdet.engine.run_lock import held
from resdet.errors import ConfigError
try:
    with held(Path(sys.argv[1])):
        if sys.argv[2] == "with a worker" and not os.fork():
            sys.stdin.read()  # outlives the holder, as a process that reads images may
            os._exit(0)
        print("held", flush=True)
        sys.stdin.readline()
        if sys.argv[2] == "failing":
            raise RuntimeError
except ConfigError as error:
    print(error, flush=True)
except RuntimeError:
    pass
print("left", flush=True)
sys.stdin.read()
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a process that holds the folder until it gets a line, and ends when nothing is left to read."""
    started: list[subprocess.Popen[str]] = []

    def start_one(how: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "run"), how]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start_one
    for process in started:
        process.communicate(timeout=900)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_one_process_at_a_time(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = start("failing")
    assert said(first) == "held"
    refusal = f"{folder}: another process is training there; wait until it ends or choose another --output"
    second = start()
    assert said(second) == refusal
    for resume in (True, False):
        with pytest.raises(ConfigError) as caught, open_run(folder, "run: {}\n", resume):
            pass
        assert caught.value.problems == (refusal,)
    assert [path.name for path in folder.iterdir()] == [".lock"]  # the second has written nothing
    go_on(first)
    assert said(first) == "left"
    # the first lives on, without the lock
    with open_run(folder, "run: {}\n", resume=False) as run:
        assert run.config.exists()
        assert said(start()) == refusal
    third = start()
    assert said(third) == "held"


def test_a_killed_process_leaves_no_lock_and_neither_do_its_workers(start: Start, tmp_path: Path) -> None:
    first = start("with a worker")
    assert said(first) == "held"
    with pytest.raises(ConfigError), held(tmp_path / "run"):
        pass
    first.send_signal(signal.SIGKILL)
    assert first.wait(60) == -signal.SIGKILL
    # its worker, which waits on the same pipe, lives
    with held(tmp_path / "run"):
        pass


def test_one_process_may_enter_again(tmp_path: Path) -> None:
    with held(tmp_path / "run"), held(tmp_path / "run" / "step"), held(tmp_path / "run"):
        pass
    with held(tmp_path / "run"):
        pass


def test_where_there_are_no_locks_a_warning_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lockf(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", lockf)
    with pytest.warns(UserWarning, match=r"run: cannot be locked \(No locks available\)") as caught, held(tmp_path / "run"):
        pass
    assert caught[0].filename == __file__  # who asked for the lock
