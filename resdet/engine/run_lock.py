"""Lets only one process at a time use a run folder."""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from resdet.errors import ConfigError
from resdet.system import locked

# folders that this process has locked: locking the file again could release the first lock
_own: set[tuple[int, str]] = set()


@contextlib.contextmanager
def not_in_training(folder: Path) -> Iterator[None]:
    """Keep results out of a folder in which another process trains, as ``held`` does; a folder without a run needs no lock.

    Raises:
        ConfigError: when another process holds the folder.
    """
    with held(folder) if (folder / ".lock").exists() else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder, which is made when missing, by a lock on the file ``.lock`` in it.

    The file stays, but the system releases the lock when this process ends in any way. This process may enter the folder again.
    Some network file systems have no such locks; there other processes are not kept out.

    Raises:
        ConfigError: when another process holds the folder.
        OSError: when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = (os.getpid(), os.path.realpath(folder))
    if key in _own:
        yield
        return
    with contextlib.ExitStack() as stack:
        file = stack.enter_context((folder / ".lock").open("ab"))
        try:
            stack.enter_context(locked(file))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise ConfigError(
                    f"{folder}: another process is training there; wait until it ends or choose another --output"
                ) from error
            warnings.warn(f"{folder}: cannot be locked ({error.strerror}): no other run may use it meanwhile", stacklevel=3)
        _own.add(key)
        stack.callback(_own.discard, key)
        yield
