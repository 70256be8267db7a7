"""Runs a function in several processes that form one group, as torchrun would start them, each with one thread.

They are forks of this process: what has threads of its own (hotcoco) must not run in them.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore

from resdet.distributed.join import joined
from resdet.distributed.ranks import ALONE
from resdet.errors import PeerError, ResdetError


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status, what its function returned, and what it wrote to its error output."""

    status: int
    result: Any
    errors: str


def in_ranks(world: int, function: Callable[..., Any], *args: Any) -> list[Any]:
    """What ``function(ranks, *args)`` returns in each of ``world`` processes, by rank; in this one for a world of 1."""
    if world == 1:
        return [function(ALONE, *args)]
    ended = ended_ranks(world, function, *args)
    failed = [each.errors for each in ended if each.status]
    assert not failed, "\n".join(failed)
    return [each.result for each in ended]


def ended_ranks(world: int, function: Callable[..., Any], *args: Any, patience: float = 60.0) -> list[Ended]:
    """How the processes of ``function(ranks, *args)`` end, when errors end them as they end a command."""
    fork = multiprocessing.get_context("fork")  # which need not import torch again
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"errors{rank}" for rank in range(world)]
        started = []
        for rank in range(world):
            here, there = fork.Pipe()
            environment = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank}
            work = fork.Process(target=_run, args=(there, files[rank], environment, patience, function, args))
            work.start()
            there.close()
            started.append((work, here))
        # only now: its thread asks the system for names, and holds a lock meanwhile that a fork would never see released
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        for _, here in started:
            here.send(store.port)
        results = [_received(here) for _, here in started]
        for work, _ in started:
            work.join()
        return [
            Ended(-1 if work.exitcode is None else work.exitcode, result, file.read_text() if file.exists() else "")
            for (work, _), result, file in zip(started, results, files, strict=True)
        ]


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the result."""
    began = time.monotonic()
    result = function()
    return time.monotonic() - began, result


def _received(pipe: Connection) -> Any:
    try:
        return pickle.loads(pipe.recv_bytes())
    except EOFError:  # it ended without a result
        return None


def _run(pipe: Connection, errors: Path, environment: dict[str, Any], patience: float, function: Any, args: Any) -> None:
    os.environ |= {name: str(value) for name, value in environment.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(pipe.recv()), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    with errors.open("w") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    logging.basicConfig(format="%(message)s", stream=sys.stderr, force=True)
    torch.set_num_threads(1)

    status = 0
    try:
        with joined("cpu", patience) as ranks:
            pipe.send_bytes(pickle.dumps(function(ranks, *args)))  # not send: tensors would go by shared memory
    except ResdetError as error:
        status = error.exit_status
        if not isinstance(error, PeerError):
            print(*(f"error: {problem}" for problem in error.problems), sep="\n", file=sys.stderr)
    except BaseException:  # noqa: BLE001 - a test wants to see it, and no more of the program that was forked
        traceback.print_exc()
        status = 1
    sys.stderr.flush()
    os._exit(status)
