"""Workers that are forked, forked by a server (Linux's way from Python 3.14 on) and spawned (Windows, macOS)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import every_kind
import pytest

METHODS = [method for method in ("fork", "forkserver", "spawn") if method in every_kind.multiprocessing.get_all_start_methods()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of each kind."""
    folder = tmp_path_factory.mktemp("every") / "kind"
    folder.mkdir()
    every_kind.make_files(folder)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[str]:
    """A digest of each kind's batch, loaded in this process, one view after the other."""
    return [f"{name} {every_kind.digest(view.batch(every_kind.KEYS))}" for name, view in every_kind.views(folder).items()]


@contextlib.contextmanager
def program(method: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(every_kind.__file__)), method, str(folder)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, encoding="utf-8", **pipes) as process:
        yield process
        process.kill()


def lives(process: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    stat = Path(f"/proc/{process}/stat")
    if Path("/proc/self/stat").is_file():
        return stat.is_file() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def ended(process: int) -> bool:
    deadline = time.monotonic() + 60
    while lives(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not lives(process)


def test_the_batches_differ_between_kinds_and_draws(folder: Path, expected: list[str]) -> None:
    assert len({line.split()[1] for line in expected}) == len(expected) == 9
    for name, view in every_kind.views(folder).items():
        other = every_kind.digest(view.batch([(index, draw + 100) for index, draw in every_kind.KEYS]))
        assert f"{name} {other}" not in expected  # so that a worker's own randomness would be seen


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_data_set_gives_the_same_batches(method: str, folder: Path, expected: list[str]) -> None:
    with program(method, folder) as process:
        output, errors = process.communicate("end\n", timeout=900)
    *batches, data_error, other_error, worker = output.splitlines()
    assert batches == expected
    assert data_error == "DataError; a.jpg: cannot be read; b.jpg: neither"
    assert other_error == "ZeroDivisionError; True"
    assert (errors, process.returncode) == ("", 0)
    assert ended(int(worker.split()[1]))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no process is killed so on Windows")
@pytest.mark.parametrize("method", METHODS)
def test_workers_end_with_a_process_that_is_killed(method: str, folder: Path) -> None:
    with program(method, folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("wait\n")
        process.stdin.flush()
        worker = next(int(line.split()[1]) for line in process.stdout if line.startswith("worker"))
        assert lives(worker)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert ended(worker)
