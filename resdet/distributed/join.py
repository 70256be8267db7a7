"""Joins the processes that torchrun has started, and leaves them together."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import uuid
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore, rendezvous  # type: ignore[attr-defined]

from resdet.distributed.lent import await_return, forget
from resdet.distributed.ranks import Ranks
from resdet.distributed.watch import Watch
from resdet.errors import ConfigError, PeerError, ResdetError

PATIENCE = 1800.0  # seconds that a process waits for another
_INTERRUPTED = 130
_log = logging.getLogger(__name__)
_joined: list[Ranks] = []  # a process is in one group at most


@contextlib.contextmanager
def joined(device: str = "auto", patience: float = PATIENCE) -> Iterator[Ranks]:
    """The processes that torchrun started together with this one, until the context ends; without torchrun, this one alone.

    When one of them leaves with an error, all do, with its exit status: the first one with its own error, which names the
    rank and what it did, the others with a ``PeerError``. The context may be entered again inside.

    Args:
        device: what ``select_device`` will be given; on GPUs NCCL sums gradients, on CPUs gloo.
        patience: seconds that a process waits for another before it ends the run.

    Raises:
        PeerError: another process has failed.
    """
    if _joined or process_count() == 1:
        yield _joined[-1] if _joined else Ranks(restarted=_restarted())
        return
    gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if gpu and device in ("auto", "cuda"):
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # a little longer, so that the watch, which knows who is late, comes first
    _meet("cpu:gloo,cuda:nccl" if gpu else "gloo", dt.timedelta(seconds=patience + 60))
    watch = Watch(_own_store(), dist.get_rank(), dist.get_world_size(), patience)
    ended = False
    try:
        ranks = Ranks(dist.get_rank(), dist.get_world_size(), watch)
        _joined.append(Ranks(ranks.rank, ranks.world, watch, restarted=ranks.any(_restarted())))
        yield _joined[-1]
        watch.doing = "end"
        ranks.any(False)  # the first process may still write: nobody leaves before it
    except PeerError:
        raise
    except BaseException as error:
        _tell(watch, error)
        raise
    else:
        ended = True
    finally:
        _joined.clear()
        watch.close()
        if ended or not gpu:  # NCCL would wait for those that have failed
            await_return(1.0)
            dist.destroy_process_group()
        forget()


def process_count() -> int:
    """The number of processes that torchrun started together with this one; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def _restarted() -> bool:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def _meet(backend: str, timeout: dt.timedelta) -> None:
    """Form the group, at a place in the agent's store where no killed processes have left their addresses."""
    restarts, nodes = int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")), int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    if restarts and nodes > 1 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise ConfigError(
            f"torchrun on {nodes} machines with --max-restarts {restarts}: set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 on each, "
            "without which processes that are started again find the addresses of those before; resdet --devices does so"
        )
    store, rank, world = next(iter(rendezvous("env://", timeout=timeout)))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    dist.init_process_group(
        backend, store=PrefixStore(f"attempt {attempt}", store), rank=rank, world_size=world, timeout=timeout
    )


def _own_store() -> Store:
    """A connection of one's own to the store through which the processes met, with keys that no earlier processes had."""
    name = Ranks(dist.get_rank(), dist.get_world_size()).once(lambda: uuid.uuid4().hex)
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return PrefixStore(f"resdet/{name}", TCPStore(host, port, is_master=False, timeout=dt.timedelta(seconds=30)))


def _tell(watch: Watch, error: BaseException) -> None:
    """Tell the others of an error. When it was the first, it gets the rank and what that did; else a PeerError replaces it."""
    where = f"rank {dist.get_rank()}, {watch.doing}: " if watch.doing else ""
    status = _INTERRUPTED if isinstance(error, KeyboardInterrupt) else ResdetError.exit_status
    problems = [f"{where}{type(error).__name__}: {error}"]
    if isinstance(error, ResdetError):
        status, problems = error.exit_status, [f"{where}{problem}" for problem in error.problems]
    failure = watch.tell(status, problems)
    if (failure.rank, failure.problems) != (dist.get_rank(), problems):
        raise PeerError(failure.rank, failure.status, failure.problems) from error
    if isinstance(error, ResdetError):
        error.problems, error.args = tuple(problems), ("\n".join(problems),)
    elif where:
        _log.error("%s", problems[0])
