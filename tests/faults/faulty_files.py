"""A file layer that fails: in a folder, the n-th call that opens, writes, syncs, closes, renames or removes a file is hit by a
fault, or every one of them.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import pathlib
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError

from resdet.data import proposals, statistics
from resdet.models import model_file

ERRORS = {"no space": errno.ENOSPC, "I/O error": errno.EIO}
SIGNALS = {"killed": signal.SIGKILL, "interrupted": signal.SIGINT}
ONCE = (*ERRORS, *SIGNALS)  # what the n-th call is hit by
THROUGHOUT = ("clock", "signals")  # what a whole run is under
_JUMPS = (7200, -86_400, 3.2e8, 0, -3.2e8, 3601)  # seconds: two hours, a day back, ten years, …
_STORM = 0.002  # seconds from a signal to the next

_CALLS = ("open", "replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir", "chmod")
_WRITING = ("w", "a", "x", "+")


class FaultyFiles:
    """The layer, for this process until its end.

    Args:
        folder: where files fail.
        fault: one of ``ONCE`` or ``THROUGHOUT``.
        at: the number of the call that is hit, from 1; 0: none is.

    Attributes:
        count: the calls so far.
        hit: what the call was.
    """

    def __init__(self, folder: Path, fault: str, at: int) -> None:
        self.folder = os.path.realpath(folder)
        self.fault = fault
        self.at = at
        self.count = 0
        self.hit = ""
        self.ahead = 0.0

    def install(self) -> None:
        """Put it in place of Python's own."""
        for name in _CALLS:
            self._watch(os, name)

        def synced(handle: int) -> None:  # what a process has written outlives it without
            self.step("fsync", Path(f"/proc/self/fd/{handle}").readlink())

        os.fsync = synced  # type: ignore[assignment]
        opened = io.open

        def open_file(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if not self._inside(file):
                return opened(file, mode, *arguments, **options)
            writes = any(letter in mode for letter in _WRITING)
            self.step("open" if writes else "read", file)
            content = opened(file, mode, *arguments, **options)
            return _Written(content, lambda what, half: self.step(what, file, half)) if writes else content

        io.open = builtins.open = open_file  # type: ignore[assignment]
        accessor = getattr(pathlib, "_NormalAccessor", None)
        if accessor:  # Python 3.10's paths keep the functions that were there at first
            for name in filter(partial(hasattr, accessor), _CALLS):
                setattr(accessor, name, staticmethod(open_file if name == "open" else getattr(os, name)))
        save, save_file = torch.save, safetensors.torch.save_file
        # these two write by themselves, and tell of a full disk in their own words
        torch.save = self._library(
            save, 1, RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")
        )
        number = ERRORS.get(self.fault, 0)
        told = SafetensorError(f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})")
        for module in (safetensors.torch, model_file, proposals, statistics):
            module.save_file = self._library(save_file, 1, told)  # type: ignore[attr-defined]
        if self.fault == "clock":
            self._change_clock()
        if self.fault == "signals":
            signal.signal(signal.SIGALRM, lambda *_: None)  # without SA_RESTART: what waits for the system is woken
            signal.setitimer(signal.ITIMER_REAL, _STORM, _STORM)

    def _change_clock(self) -> None:
        now, now_ns = time.time, time.time_ns
        time.time = lambda: now() + self.ahead
        time.time_ns = lambda: now_ns() + int(self.ahead * 1e9)

    def _watch(self, module: Any, name: str) -> None:
        original = getattr(module, name)

        def watched(path: Any, *arguments: Any, **options: Any) -> Any:
            if name != "open" or (arguments and arguments[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                self.step(name, path)
            return original(path, *arguments, **options)

        setattr(module, name, watched)

    def _library(self, save: Callable[..., Any], place: int, error: Exception) -> Callable[..., Any]:
        def saved(*arguments: Any, **options: Any) -> Any:
            if not self._inside(arguments[place]):
                return save(*arguments, **options)
            path = Path(arguments[place])
            try:
                self.step("save", path, lambda: path.write_bytes(b"half of a file"))
            except OSError:
                raise error from None
            return save(*arguments, **options)

        return saved

    def _inside(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.path.realpath(path).startswith(self.folder)

    def step(self, what: str, path: Any, half: Callable[[], object] = lambda: None) -> None:
        """Count a call, and hit it if it is the one; ``half`` does half of what it would have done."""
        if not self._inside(path):
            return
        self.count += 1
        if self.fault == "clock":
            self.ahead = _JUMPS[self.count % len(_JUMPS)]
        if self.count != self.at:
            return
        self.hit = f"{what} {Path(path).name}"
        if self.fault in SIGNALS:
            if self.fault == "killed":
                half()
            os.kill(os.getpid(), SIGNALS[self.fault])
            return
        half()
        number = errno.EIO if what == "read" else ERRORS[self.fault]
        raise OSError(number, os.strerror(number), None if what in ("write", "flush", "close") else str(path))


class _Written:
    """A file whose writes are counted."""

    def __init__(self, file: Any, step: Callable[[str, Callable[[], object]], None]) -> None:
        self._file, self._step = file, step

    def write(self, content: Any) -> Any:
        def half() -> None:
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        self._step("write", half)
        return self._file.write(content)

    def flush(self) -> None:
        self._step("flush", lambda: None)
        self._file.flush()

    def close(self) -> None:
        if not self._file.closed:
            try:
                self._step("close", lambda: None)
            finally:
                self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Any:
        return iter(self._file)


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        status: its exit status; below 0 the signal that ended it.
        text: what it printed.
        count: how many calls there were.
        hit: which was hit; "" when it was none, or the process was killed.
        modules: the modules that it has imported.
    """

    status: int
    text: str
    count: int = 0
    hit: str = ""
    modules: tuple[str, ...] = ()


def in_child(run: Callable[[], int], folder: Path, said: Path, fault: str = "", at: int = 0) -> Ended:
    """Run a command in a process of its own.

    Args:
        run: the command; it returns its exit status.
        folder: where files fail.
        said: a file for what it prints.
        fault: what hits it.
        at: the number of the call that is hit; 0: none is.
    """
    report = said.with_suffix(".report")
    report.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        status = 70
        try:
            signal.alarm(600)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job would ignore
            with said.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.stdout, sys.stderr = (os.fdopen(handle, "w", 1, closefd=False) for handle in (1, 2))
            faulty = FaultyFiles(folder, fault, at)
            faulty.install()
            status = run()
            sys.stdout.flush()
            faulty.folder = "/nowhere"  # what follows is not the command's
            report.write_text("\n".join((str(faulty.count), faulty.hit, *sys.modules)))
        except BaseException:  # noqa: BLE001 - told to the test as the text "Traceback"
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    count, hit, *modules = report.read_text().split("\n") if report.exists() else ("0", "")
    text = said.read_text(errors="replace")
    return Ended(os.waitstatus_to_exitcode(ended), text, int(count), hit, tuple(modules))
