"""What a stage of many independent pieces needs: they run in several processes at a time, by priority."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from stage import Deadline, Report

from resdet.system import end_with_parent

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Piece:
    """A function that another process calls, whose rows go into the report.

    Attributes:
        name: of this piece.
        work: a function of a module; it gives rows.
        arguments: of the function.
        after: names of the pieces that must have succeeded before.
        alone: whether nothing else may run beside it; no later piece starts before it.
    """

    name: str
    work: Callable[..., Rows]
    arguments: tuple[Any, ...]
    after: tuple[str, ...] = ()
    alone: bool = False


@contextmanager
def pool(processes: int, seconds: float, start: str = "spawn") -> Iterator[ProcessPoolExecutor]:
    """Processes of one or two threads each, which end after these seconds, or with this one."""
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    os.environ.setdefault("RAYON_NUM_THREADS", "2")
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context(start), _begin, (seconds,))
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _begin(seconds: float) -> None:
    import cv2

    cv2.setNumThreads(1)
    end_with_parent()
    end = threading.Timer(max(seconds, 0.1), os._exit, (1,))
    end.daemon = True
    end.start()


def only(pieces: list[Piece], patterns: Iterable[str]) -> list[Piece]:
    """The pieces whose name fits one of the patterns (``*`` is any text), and those that they need."""
    chosen = {piece.name for piece in pieces if any(fnmatchcase(piece.name, pattern) for pattern in patterns)}
    # what a piece needs stands before it
    for piece in reversed(pieces):
        if piece.name in chosen:
            chosen.update(piece.after)
    return [piece for piece in pieces if piece.name in chosen]


def run_pieces(pieces: Iterable[Piece], processes: int, deadline: Deadline, report: Report) -> bool:
    """Run the pieces, the first ones first, until they or the time are over; whether none failed.

    What failed, was stopped, or could not start is a note of the report.
    """
    waiting, running, ended = list(pieces), dict[Future[Rows], Piece](), set[str]()
    failed: list[str] = []
    with pool(processes, deadline.left + 1) as executor:  # one more: to be told as stopped, and not as failed
        while deadline.left > 0:
            while len(running) < processes and (piece := _next(waiting, [*running.values()], ended, failed)):
                waiting.remove(piece)
                running[executor.submit(piece.work, *piece.arguments)] = piece
            if not running:
                break
            done, _ = wait(running, max(deadline.left, 0), FIRST_COMPLETED)
            for future in done:
                piece = running.pop(future)
                try:
                    rows = future.result()
                except Exception as error:  # noqa: BLE001 - of any kind: it is told, and the other pieces go on
                    report.note(f"{piece.name}: failed: {type(error).__name__}: {error}")
                    failed.append(piece.name)
                    continue
                ended.add(piece.name)
                for row in rows:
                    report.row(**row)
    for what, names in (("stopped", [piece.name for piece in running.values()]), ("not run", [each.name for each in waiting])):
        if names:
            report.note(f"{what}: {', '.join(names)}")
    return not failed


def _next(waiting: list[Piece], running: list[Piece], ended: set[str], failed: list[str]) -> Piece | None:
    """The first piece that may start now."""
    if any(piece.alone for piece in running):
        return None
    lost = set(failed)
    for piece in waiting:
        if lost.intersection(piece.after):
            lost.add(piece.name)
        elif piece.alone:
            return piece if not running and ended.issuperset(piece.after) else None
        elif ended.issuperset(piece.after):
            return piece
    return None
