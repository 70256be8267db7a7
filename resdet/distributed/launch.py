"""Starts the processes of a command by torch's own launcher, the one of torchrun."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections.abc import Sequence
from typing import Any

from resdet.errors import ConfigError, ResdetError
from resdet.wording import reason_of

_INTERRUPTED = 130
_SAVING = 600  # seconds that the processes have to finish a step and save it, when they are asked to stop


def launch(
    command: Sequence[str], processes: int, *, nodes: str = "1", endpoint: str = "", restarts: int = 0, threads: int = 0
) -> int:
    """Run ``python -m resdet`` with ``command`` in several processes, and wait for them.

    Args:
        command: the command's name and its arguments.
        processes: the number of processes on this machine.
        nodes: the number of machines, or ``MIN:MAX``.
        endpoint: ``HOST:PORT`` of the machine where all meet; "": there is one machine.
        restarts: how often all are started again when one has died.
        threads: threads of each process, where ``OMP_NUM_THREADS`` does not say; 0: the processors, shared out.

    Returns:
        The exit status: that of the process that failed first, 0 when all have done their work, 130 after a signal.
    """
    if "RANK" in os.environ:
        raise ConfigError("--devices starts processes: torchrun has started this one already, leave --devices out")
    _check(nodes, endpoint, restarts)
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError

    os.environ.setdefault("OMP_NUM_THREADS", str(threads or max(1, (os.cpu_count() or 1) // processes)))
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # the processes tell of their failures themselves
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if endpoint:  # machines count restarts each for itself: each start of all gets a store of its own
        os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    place = [f"--rdzv-endpoint={endpoint}", "--rdzv-backend=c10d", "--rdzv-id=resdet"] if endpoint else ["--standalone"]
    given = [f"--nproc-per-node={processes}", f"--nnodes={nodes}", f"--max-restarts={restarts}", *place, "-m", "resdet"]
    arguments = run.parse_args([*given, *command])
    if getattr(arguments, "shutdown_timeout", 0) is None:  # torch before 2.10 has 30 seconds and no option
        arguments.shutdown_timeout = _SAVING
    try:
        run.run(arguments)
    except ChildFailedError as error:
        return _status(error)
    except SignalException:
        return _INTERRUPTED
    except RendezvousError as error:
        raise ResdetError(f"--rdzv-endpoint {endpoint}: the machines do not meet there: {reason_of(error, 200)}") from error
    return 0


def _check(nodes: str, endpoint: str, restarts: int) -> None:
    """What torch's launcher would fail at with a traceback."""
    problems = []
    counts = [int(count) for count in nodes.split(":")] if re.fullmatch(r"\d{1,6}(:\d{1,6})?", nodes) else [0]
    if not 1 <= counts[0] <= counts[-1]:
        problems.append(f"--nnodes must be a number of machines, or MIN:MAX, from 1 on, got {nodes!r}")
    elif nodes != "1" and not endpoint:
        problems.append(f"--nnodes {nodes} needs --rdzv-endpoint HOST:PORT, where the machines meet")
    port = re.fullmatch(r".+:(\d{1,5})", endpoint)
    if endpoint and not (port and int(port[1]) < 1 << 16):
        problems.append(f"--rdzv-endpoint must be HOST:PORT, got {endpoint!r}")
    if restarts < 0:
        problems.append(f"--max-restarts must be at least 0, got {restarts}")
    if problems:
        raise ConfigError(problems)


def _status(error: Any) -> int:
    """The exit status of the process that failed first; of one that a signal has ended, as shells have it."""
    _, failure = error.get_first_failure()
    status = int(failure.exitcode)
    if status == -getattr(signal, "SIGKILL", 0) and status:  # Windows has no such signal
        logging.getLogger(__name__).error("rank %d was killed, for want of memory perhaps", failure.global_rank)
    return 128 - status if status < 0 else status or ResdetError.exit_status
