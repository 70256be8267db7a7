"""A file layer that fails: in a folder, the n-th call that opens, writes, syncs, renames or removes a file is an OSError."""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from resdet.data import proposals, statistics
from resdet.models import model_file

_CALLS = ("open", "replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir", "chmod")
_WRITING = ("w", "a", "x", "+")


class FaultyFiles:
    """The layer, for this process until its end.

    Args:
        folder: where files fail.
        at: the number of the call that fails, from 1; 0: none does.
        number: the error.

    Attributes:
        count: the calls so far.
        failed: what the failing call was.
    """

    def __init__(self, folder: Path, at: int, number: int) -> None:
        self.folder = os.path.realpath(folder)
        self.at = at
        self.number = number
        self.count = 0
        self.failed = ""

    def install(self) -> None:
        """Put it in place of Python's own."""
        for name in _CALLS:
            self._watch(os, name)
        fsync = os.fsync

        def synced(handle: int) -> None:
            self._step("fsync", Path(f"/proc/self/fd/{handle}").readlink())
            fsync(handle)

        os.fsync = synced  # type: ignore[assignment]
        opened = io.open

        def open_file(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            writes = isinstance(file, (str, Path)) and any(letter in mode for letter in _WRITING) and self._inside(file)
            if not writes:
                return opened(file, mode, *arguments, **options)
            self._step("open", file)
            return _Written(opened(file, mode, *arguments, **options), lambda: self._step("write", file))

        io.open = builtins.open = open_file  # type: ignore[assignment]
        save, save_file = torch.save, safetensors.torch.save_file
        # these two write by themselves, and tell of a full disk in their own words
        torch.save = self._library(
            save, 1, RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")
        )
        told = SafetensorError(f"Error while serializing: I/O error: {os.strerror(self.number)} (os error {self.number})")
        for module in (safetensors.torch, model_file, proposals, statistics):
            module.save_file = self._library(save_file, 1, told)  # type: ignore[attr-defined]

    def _watch(self, module: Any, name: str) -> None:
        original = getattr(module, name)

        def watched(path: Any, *arguments: Any, **options: Any) -> Any:
            if name != "open" or (arguments and arguments[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                self._step(name, path)
            return original(path, *arguments, **options)

        setattr(module, name, watched)

    def _library(self, save: Callable[..., Any], place: int, error: Exception) -> Callable[..., Any]:
        def saved(*arguments: Any, **options: Any) -> Any:
            path = Path(arguments[place])
            try:
                self._step("save", path)
            except OSError:
                path.write_bytes(b"half of a file")
                raise error from None
            return save(*arguments, **options)

        return saved

    def _inside(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.path.realpath(path).startswith(self.folder)

    def _step(self, what: str, path: Any) -> None:
        if self._inside(path):
            self.count += 1
            if self.count == self.at:
                self.failed = f"{what} {Path(path).name}"
                raise OSError(self.number, os.strerror(self.number), str(path) if what != "write" else None)


class _Written:
    """A file whose writes are counted."""

    def __init__(self, file: Any, step: Callable[[], None]) -> None:
        self._file, self._step = file, step

    def write(self, content: Any) -> Any:
        self._step()
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Any:
        return iter(self._file)


def in_child(run: Callable[[], int], folder: Path, said: Path, at: int = 0, number: int = errno.ENOSPC) -> tuple[int, int, str]:
    """Run a command in a process of its own.

    Args:
        run: the command; it returns its exit status.
        folder: where files fail.
        said: gets what the command prints.
        at: the number of the call that fails; 0: none does.
        number: its error.

    Returns:
        The exit status, how many calls there were, and what the failing one was.
    """
    report = said.with_suffix(".report")
    child = os.fork()
    if child == 0:
        status = 70
        try:
            signal.alarm(600)
            with said.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.stdout, sys.stderr = (os.fdopen(handle, "w", closefd=False) for handle in (1, 2))
            faulty = FaultyFiles(folder, at, number)
            faulty.install()
            status = run()
            sys.stdout.flush()
            faulty.folder = "/nowhere"  # what follows is not the command's
            report.write_text(f"{faulty.count} {faulty.failed}")
        except BaseException:  # noqa: BLE001 - told to the test as the text "Traceback"
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    count, _, failed = report.read_text().partition(" ") if report.exists() else ("0", "", "")
    report.unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(ended), int(count), failed
