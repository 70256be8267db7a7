"""One process at a time in a run folder."""

from __future__ import annotations

import contextlib
import errno
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from resdet.errors import ConfigError


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder, which is made when missing, by a lock on the file ``.lock`` in it.

    The file stays, the lock does not: the system lets go of it when this process ends, however it ends. Where there are no
    such locks, on Windows and on some network file systems, nobody is kept out.

    Raises:
        ConfigError: another process holds the folder.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with (folder / ".lock").open("a") as file:
        try:
            # not flock, whose locks are inherited: workers, which outlive a killed run for seconds, would hold it
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise ConfigError(
                    f"{folder}: another process is training there; wait until it ends or choose another --output"
                ) from error
            warnings.warn(f"{folder}: cannot be locked ({error.strerror}): no other run may use it meanwhile", stacklevel=3)
        yield
