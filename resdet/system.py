"""What Linux, macOS and Windows do differently: the rest of the package asks here, and runs on all of them.

Only here are modules imported that some system lacks; each has another way, or the caller is told.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import importlib
import math
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_PATIENCE_S = 10.0
_PR_SET_PDEATHSIG = 1  # of Linux' sys/prctl.h
# what Windows says of a file that a program has open: access denied, sharing violation, lock violation, mapped section
_IN_USE = (5, 32, 33, 1224)
# Windows takes these for devices, whatever follows the first dot, and cannot spell the characters
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)
_UNSPELLABLE = re.compile(r'[\x00-\x1f<>:"|?*]')


def replace(source: str | Path, target: str | Path) -> None:
    """Rename ``source`` to ``target`` in one step, whatever ``target`` was.

    Windows refuses while any program, a virus scanner too, has one of them open: there it is tried for ten seconds.

    Raises:
        OSError: it cannot be done; a PermissionError that names ``target`` where that is still open.
    """
    began, pause = time.monotonic(), 0.01
    while True:
        try:
            os.replace(source, target)  # noqa: PTH105
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if time.monotonic() - began > _PATIENCE_S:
                raise PermissionError(errno.EACCES, "cannot be replaced, another program has it open", str(target)) from error
        time.sleep(pause)
        pause = min(2 * pause, 0.5)


@contextlib.contextmanager
def locked(file: IO[Any]) -> Iterator[None]:
    """Keep other processes from entering this with the same file; the lock ends with this process at the latest.

    Args:
        file: open for writing. Closing any other handle of it in this process may end the lock.

    Raises:
        PermissionError, BlockingIOError: another process has the lock.
        OSError: there are no such locks here, as on some network file systems.
    """
    if (fcntl := _module("fcntl")) is not None:
        # not flock, whose locks are inherited: workers, which outlive a killed run for seconds, would hold it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    elif (msvcrt := _module("msvcrt")) is not None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        try:
            yield
        finally:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def peak_memory() -> float:
    """The most memory that this process has held at once, bytes; NaN where the system does not tell."""
    if (resource := _module("resource")) is not None:
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    windows = getattr(ctypes, "windll", None)
    if windows is None:
        return math.nan
    found = _ProcessMemory(size=ctypes.sizeof(_ProcessMemory))
    windows.kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(windows.kernel32.GetCurrentProcess())
    told = windows.kernel32.K32GetProcessMemoryInfo(process, ctypes.byref(found), found.size)
    return float(found.peak) if told else math.nan


class _ProcessMemory(ctypes.Structure):
    """Windows' PROCESS_MEMORY_COUNTERS."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("faults", ctypes.c_uint32),
        ("peak", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 7),
    )


def stop_signals() -> tuple[signal.Signals, ...]:
    """What asks a program to end, as far as this system has it.

    Ctrl-C first, a scheduler's SIGTERM, the SIGHUP of a terminal that was closed, Windows' Ctrl-Break.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


def end_with_parent() -> None:
    """Have Linux kill this process, even where it is stopped, when the one that started it ends; elsewhere nothing."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):  # a libc without prctl
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended meanwhile
        os._exit(1)


def give_missing_kernels_to_cpu() -> None:
    """Let torch compute on the CPU what it cannot on an Apple GPU, unless the user said otherwise; before torch is imported."""
    if sys.platform == "darwin":
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def choose_how_threads_wait() -> None:
    """Say how torch's threads wait for each other between operations, unless the environment does; before torch is imported.

    Where processors are idle they look for work for 0.2 ms: on two cores a step of a small detector takes two thirds of the
    time that it takes with threads that sleep. Where other programs want the processors they sleep: there looking is several
    times slower. Linux only, where torch's threads are those of GNU's OpenMP.
    """
    said = any(name in os.environ for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"))
    if sys.platform.startswith("linux") and "torch" not in sys.modules and not said:
        os.environ.update({"GOMP_SPINCOUNT": "10000"} if _processors_are_idle() else {"OMP_WAIT_POLICY": "passive"})


def _processors_are_idle() -> bool:
    """Whether as many processors are idle as this process may use, at most of some glances at what runs."""
    running = []
    for _ in range(5):
        try:  # "0.16 1.38 1.79 2/83 24227": two run, this process among them
            running.append(int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[0]) - 1)
        except (OSError, ValueError, IndexError):
            return False
        time.sleep(0.01)
    return sorted(running)[len(running) // 2] + len(os.sched_getaffinity(0)) <= (os.cpu_count() or 1)


def reader_has_left(error: OSError) -> bool:
    """Whether an error of writing means that nobody reads any more: ``| head`` has seen enough."""
    # Windows says EINVAL of a pipe without a reader; of a file's name or handle the error would name the file
    closed = sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or closed


def unusable_name(name: str) -> bool:
    """Whether this system cannot call a file or folder so: Windows' devices, ``:`` and the like, a dot or blank at the end."""
    if sys.platform != "win32":
        return False
    return name.endswith((".", " ")) or bool(_DEVICE.fullmatch(name) or _UNSPELLABLE.search(name))


def _module(name: str) -> Any:
    """A module that only some systems have; None elsewhere."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@functools.cache
def processor_name() -> str:
    """The processor's name, as its maker writes it; its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
