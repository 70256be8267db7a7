"""Other systems, as far as they can be played here: what they lack is taken away, what they have is put in its place."""

from __future__ import annotations

import ctypes
import errno
import math
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resdet import system
from resdet.engine import run_lock
from resdet.engine.run_lock import held
from resdet.engine.signals import StopSignals
from resdet.errors import ConfigError


def in_use(code: int) -> PermissionError:
    """What Windows says of a file that is open."""
    error = PermissionError(errno.EACCES, "Access is denied")
    error.winerror = code
    return error


@pytest.mark.parametrize("code", [5, 32, 33, 1224])
def test_a_file_that_is_open_for_a_moment_is_replaced(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "new", tmp_path / "file"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    refusals = [in_use(code) for _ in range(3)]
    real = os.replace

    def replace(*paths: Any) -> None:
        if refusals:
            raise refusals.pop()
        real(*paths)

    monkeypatch.setattr(os, "replace", replace)
    system.replace(source, target)
    assert (refusals, target.read_bytes(), source.exists()) == ([], b"new", False)


def test_a_file_that_stays_open_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def replace(*paths: Any) -> None:
        tries.append(paths)
        raise in_use(32)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(system, "_PATIENCE_S", 0.05)
    with pytest.raises(PermissionError, match="another program has it open") as caught:
        system.replace(tmp_path / "new", tmp_path / "file")
    assert caught.value.filename == str(tmp_path / "file")
    assert len(tries) > 1


def test_a_folder_without_permission_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def replace(*paths: Any) -> None:
        tries.append(paths)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(PermissionError):
        system.replace("new", "file")
    assert len(tries) == 1


class Msvcrt:
    """Locks of Windows: of bytes of a file, held by a handle, for others and for the process itself."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        self.holders: dict[tuple[int, int], int] = {}

    def locking(self, handle: int, mode: int, count: int) -> None:
        assert count == 1
        assert os.lseek(handle, 0, os.SEEK_CUR) == 0  # the lock is of the byte at the handle's place
        status = os.fstat(handle)
        file = (status.st_dev, status.st_ino)
        if mode == self.LK_UNLCK:
            assert self.holders.pop(file) == handle
        elif file in self.holders:
            raise PermissionError(errno.EACCES, "Permission denied")
        else:
            self.holders[file] = handle


@pytest.fixture
def msvcrt(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    fake = Msvcrt()
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    return fake


def test_windows_locks_a_run_folder_with_its_own_locks(msvcrt: Msvcrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(tmp_path), held(tmp_path / "step"), held(tmp_path):  # this process may enter again
        assert len(msvcrt.holders) == 2
        monkeypatch.setattr(run_lock, "_own", set())  # as another process
        with pytest.raises(ConfigError, match="another process is training there"), held(tmp_path):
            pass
    assert msvcrt.holders == {}
    with pytest.raises(ZeroDivisionError), held(tmp_path):
        raise ZeroDivisionError
    with held(tmp_path):
        assert len(msvcrt.holders) == 1


def test_without_locks_a_warning_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.warns(UserWarning, match="cannot be locked"), held(tmp_path):
        pass


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_peak_memory_is_in_bytes_on_each_unix(platform: str, unit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda _: SimpleNamespace(ru_maxrss=5000))
    monkeypatch.setitem(sys.modules, "resource", usage)
    monkeypatch.setattr(sys, "platform", platform)
    assert system.peak_memory() == 5000 * unit


def test_peak_memory_of_this_process_is_that_of_its_own_record() -> None:
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("no /proc to compare with")
    before = system.peak_memory()
    recorded = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    # getrusage begins at what the parent held
    assert before >= 0.5 * recorded


@pytest.mark.parametrize(("told", "expected"), [(1, 123 << 20), (0, math.nan)])
def test_peak_memory_on_windows_comes_from_its_kernel(told: int, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def information(process: Any, found: Any, size: int) -> int:
        # cb, PageFaultCount: 32 bits each; then PeakWorkingSetSize … PeakPagefileUsage, eight pointers wide
        assert size == 8 + 8 * ctypes.sizeof(ctypes.c_void_p) == found._obj.size
        assert process.value == 77
        peak = ctypes.c_size_t(123 << 20)
        ctypes.memmove(ctypes.addressof(found._obj) + 8, ctypes.byref(peak), ctypes.sizeof(peak))
        return told

    def current() -> int:
        return 77

    kernel = SimpleNamespace(K32GetProcessMemoryInfo=information, GetCurrentProcess=current)
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert system.peak_memory() == pytest.approx(expected, nan_ok=True)


def test_without_any_way_peak_memory_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.delattr(ctypes, "windll", raising=False)
    assert math.isnan(system.peak_memory())


def test_signals_are_those_that_the_system_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGBREAK", raising=False)
    assert system.stop_signals() == (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    assert system.stop_signals() == (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    monkeypatch.delattr(signal, "SIGTERM")
    monkeypatch.delattr(signal, "SIGHUP")
    monkeypatch.delattr(signal, "SIGBREAK")
    assert system.stop_signals() == (signal.SIGINT,)


def test_ctrl_break_stops_a_run_as_sigterm_does(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    before = signal.getsignal(signal.SIGUSR1)
    with StopSignals() as stop:
        signal.raise_signal(signal.SIGUSR1)
        assert stop.received == "SIGUSR1"
    assert signal.getsignal(signal.SIGUSR1) is before
    assert "saving after this step" in capfd.readouterr().err


def test_a_program_without_a_console_is_stopped_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: Any) -> int:
        raise OSError(errno.EBADF, "Bad file descriptor")

    with StopSignals() as stop:
        monkeypatch.setattr(os, "write", write)
        signal.raise_signal(signal.SIGTERM)
    assert stop.received == "SIGTERM"


@pytest.mark.parametrize(
    ("platform", "error", "left"),
    [
        ("linux", BrokenPipeError(errno.EPIPE, "Broken pipe"), True),
        ("win32", BrokenPipeError(errno.EPIPE, "Broken pipe"), True),
        ("win32", OSError(errno.EINVAL, "Invalid argument"), True),
        ("win32", OSError(errno.EINVAL, "Invalid argument", "a:b"), False),
        ("linux", OSError(errno.EINVAL, "Invalid argument"), False),
        ("linux", OSError(errno.ENOSPC, "No space left on device"), False),
    ],
)
def test_a_reader_that_has_left_is_told_from_other_errors(
    platform: str, error: OSError, left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert system.reader_has_left(error) is left


UNUSABLE = [
    *("con", "CON", "aux.txt", "Nul", "COM1", "lpt9.tar.gz", "com¹", "prn .x", "conin$"),
    *("a:b", "a?", "*", "a<b", "a>b", 'a"b', "a|b", "tab\t", "ends.", "ends ", "..."),
]
USABLE = ["contact", "auxiliary.txt", "com10", "com", "a.con", "a b", "é", ".hidden", "a.b.c", "LPT", "person", "(1)", "50%"]


@pytest.mark.parametrize("name", UNUSABLE)
def test_names_that_windows_cannot_use(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not system.unusable_name(name) or sys.platform == "win32"
    monkeypatch.setattr(sys, "platform", "win32")
    assert system.unusable_name(name)


@pytest.mark.parametrize("name", USABLE)
def test_names_that_every_system_can_use(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not system.unusable_name(name)


@pytest.mark.parametrize(
    ("running", "chosen"),
    [
        ([1, 1, 1, 1, 1], {"GOMP_SPINCOUNT": "10000"}),
        ([1, 4, 1, 3, 1], {"GOMP_SPINCOUNT": "10000"}),  # two of five glances
        ([2, 1, 2, 1, 2], {"OMP_WAIT_POLICY": "passive"}),
    ],
)
def test_threads_look_for_work_where_processors_are_idle(
    running: list[int], chosen: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_load(monkeypatch, [f"0.16 1.38 1.79 {count}/83 24227\n" for count in running])
    system.choose_how_threads_wait()
    assert {name: os.environ[name] for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY") if name in os.environ} == chosen


def test_threads_sleep_where_the_load_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_load(monkeypatch, ["nothing that we know"])
    system.choose_how_threads_wait()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"


@pytest.mark.parametrize("said", ["platform", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "torch"])
def test_how_threads_wait_is_left_alone_elsewhere_and_where_it_is_said(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_load(monkeypatch, [])
    if said == "platform":
        monkeypatch.setattr(sys, "platform", "darwin")
    elif said == "torch":
        monkeypatch.setitem(sys.modules, "torch", sys)
    else:
        monkeypatch.setenv(said, "whatever")
    before = dict(os.environ)
    system.choose_how_threads_wait()
    assert os.environ == before


def _with_load(monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    """Linux on two processors without torch and without a word in the environment, whose /proc/loadavg says these lines."""
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is put back as it was
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(system.time, "sleep", lambda _: None)
    told = iter(lines)
    monkeypatch.setattr(system.Path, "read_text", lambda *_, **__: next(told))
