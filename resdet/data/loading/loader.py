"""Turns data sets into batches, with or without worker processes; the batches are the same either way.

Randomness is stateless. A sample is requested as ``(index, draw)``, and its transform runs with the random generators seeded
from (seed, draw). So no worker has a state that a resumed run would need.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import multiprocessing.queues
import os
import signal
import sys
import threading
import weakref
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from resdet.console import say
from resdet.data.loading.samplers import Key
from resdet.distributed.ranks import ALONE, Ranks
from resdet.distributed.share import Share
from resdet.errors import ConfigError, DataError
from resdet.progress import track
from resdet.system import end_with_parent, stop_signals

B_co = TypeVar("B_co", covariant=True)


class View(Protocol[B_co]):
    """What a loader needs of a data set."""

    def __len__(self) -> int: ...

    def batch(self, keys: Sequence[Key]) -> B_co:
        """The samples ``(index, draw)`` as one batch."""


def train_loader(
    view: View[B_co], batches: Iterable[list[Key]], workers: int, *, pin: bool = False, share: Share | None = None
) -> Iterator[B_co]:
    """Load ``batches`` (``samplers.endless_batches``) in order, ahead of use, in ``workers`` processes (0: in this one).

    The processes live as long as the iterator: ``endless_batches`` has no epochs at which they would begin anew. They end with
    its last batch, with an error, and with this process at the latest.

    Args:
        view: the data set to load, with its transform.
        batches: the samples of each batch.
        workers: the number of processes; each works two batches ahead.
        pin: put batches into pinned memory, for a GPU; this process does it, because the workers do not use the GPU.
        share: the share of each batch that is loaded, and that the loaded batches note; None: the whole.

    Raises:
        DataError: for an image that cannot be read, the same error with and without workers.
    """
    batches_loaded = _load(view, batches, workers, pin, share)
    _open.add(batches_loaded)
    return batches_loaded


_open: weakref.WeakSet[Generator[Any, None, None]] = weakref.WeakSet()


@atexit.register
def _close() -> None:
    """End the workers of iterators that something still refers to: Python would send them SIGTERM, and wait forever."""
    for batches_loaded in list(_open):
        batches_loaded.close()


def _load(
    view: View[B_co], batches: Iterable[list[Key]], workers: int, pin: bool, share: Share | None
) -> Generator[B_co, None, None]:
    if workers and multiprocessing.get_start_method() == "forkserver":
        # workers then share the memory of the server's imports (250 MB each for torch alone), and start sooner
        multiprocessing.set_forkserver_preload(["__main__", __name__])
    loader: DataLoader[Any] = DataLoader(
        _Fetch(view),
        sampler=batches if share is None else map(share.take, batches),  # an element is a whole batch
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_quiet_worker,
        pin_memory=pin,
    )
    with _one_opencv_thread(), _room_for(workers):
        batches_loaded = iter(loader)
    try:
        for loaded in batches_loaded:
            if isinstance(loaded, _Failure):
                raise DataError(loaded.problems)
            yield loaded if share is None else replace(loaded, share=share)
    finally:
        # at once: the traceback of an error that torch raises refers to its iterator, which would keep the workers until the
        # collector comes, or for ever at the end of the program
        end = getattr(batches_loaded, "_shutdown_workers", None)
        if end is not None:
            end()
        del batches_loaded  # the same, should torch once call it otherwise


def test_loader(  # no test of pytest
    view: View[B_co],
    workers: int,
    batch: int = 1,  # noqa: PT028
    ranks: Ranks = ALONE,  # noqa: PT028
) -> Iterator[B_co]:
    """Load every image once, in order, ``batch`` images at a time, of which ``ranks`` deals this process its batches.

    The first process shows how far it is. Raises as ``train_loader`` does.
    """
    keys = [(index, 0) for index in range(len(view))]
    own = list(ranks.deal([keys[first : first + batch] for first in range(0, len(keys), batch)]))
    loaded, sizes = train_loader(view, own, workers), [len(some) for some in own]
    return track(loaded, sum(sizes), "images", sizes) if ranks.first else loaded


@dataclass(frozen=True)
class _Failure:
    """A DataError on its way out of a worker, whose message torch would bury in a traceback."""

    problems: tuple[str, ...]


class _Fetch(Dataset[Any]):
    def __init__(self, view: View[Any]) -> None:
        self.view = view

    def __getitem__(self, keys: list[Key]) -> Any:
        try:
            return self.view.batch(keys)
        except DataError as error:
            return _Failure(error.problems)


@contextlib.contextmanager
def _room_for(workers: int) -> Iterator[None]:
    """Tells of a system without room for what processes share, such as a full /dev/shm; torch would leave half of a loader."""
    try:
        # as many locks as a loader has
        tried: list[Any] = [multiprocessing.Queue() for _ in range(workers + 3 if workers else 0)]
        del tried
        yield
    except OSError as error:
        ways = "data.workers=0 reads in the process that trains"
        raise ConfigError(f"{workers} data.workers cannot be started: {error.strerror} (/dev/shm?); {ways}") from error


@contextlib.contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """No threads of OpenCV while processes are started: a forked one, which has none of them, would wait for them forever."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _quiet_worker(_: int) -> None:
    """One thread a worker; signals that end a run (Ctrl-C, a scheduler's SIGTERM) are left to the main process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    # a batch for which /dev/shm has no room would be lost, and waited for for ever
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_cannot_hand_over)  # type: ignore[attr-defined]
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    sys.excepthook = _no_hangups
    threading.Thread(target=_leave_with_main_process, daemon=True).start()


def _cannot_hand_over(error: Exception, _: object) -> None:
    """End this worker, which the main process then tells of, for a batch that cannot be handed to it."""
    say(f"a batch cannot be handed over: {' '.join(str(error).split())}", error=True)
    os._exit(1)


def _leave_with_main_process() -> None:
    """End this worker when the main process has ended, however that was.

    torch looks whether the parent lives, but the parent of a worker of a fork server is that server, which stays as long as the
    worker does.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _no_hangups(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say nothing of a main process that left while a batch was handed over; errors of samples do not come this way."""
    if not issubclass(kind, (OSError, EOFError)):
        sys.__excepthook__(kind, error, trace)
