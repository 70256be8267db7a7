"""Looks after the other processes of a run: nobody waits for one that has failed, died or hangs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from torch.distributed import Store  # type: ignore[attr-defined]

from resdet.errors import PeerError, TrainingError
from resdet.wording import reason_of

_INTERVAL = 0.25  # seconds between two looks at the others
_GRACE = 5.0  # seconds that this process has to end by itself when another has failed
_HEARD = 2.0  # seconds in which the others learn of a failure, where they live


@dataclass(frozen=True)
class Failure:
    """What ended the run.

    Attributes:
        rank: the process that failed first.
        status: the exit status of all.
        problems: what it says of it.
    """

    rank: int
    status: int
    problems: list[str]


class Watch:
    """A thread that tells the others of a failure here, and ends this process when another has failed.

    The main thread learns of a failure where it next asks the others. When it does not come so far within seconds, the thread
    ends the process; files that it may be writing are replaced as a whole, or stay as they were.

    Args:
        store: a connection of its own to the store of all processes.
        rank, world: see ``Ranks``.
        patience: seconds that this process waits for another.

    Attributes:
        doing: what the main thread does.
    """

    def __init__(self, store: Store, rank: int, world: int, patience: float) -> None:
        self.doing = ""
        self._store = store
        self._rank = rank
        self._world = world
        self._patience = patience
        self._asked = 0  # how often the main thread has asked the others: the same number in all that keep up
        self._waits_since: float | None = None
        self._said = ""
        self._read = False  # whether this process has read the failure of another
        self._lock = threading.Lock()  # of the connection, which serves one call at a time
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resdet watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """The main thread asks the others in this context.

        Raises:
            PeerError: another process has failed.
            TrainingError: another process is gone, and has not said why.
        """
        self._asked += 1
        self._waits_since = time.monotonic()
        try:
            yield
        except RuntimeError as error:  # what torch says of a connection that is lost
            failure = self._failure(patience=_HEARD)
            if failure is None:
                raise TrainingError(f"another process is gone ({reason_of(error, 200)})") from error
            raise PeerError(failure.rank, failure.status, failure.problems) from None
        finally:
            self._waits_since = None

    def tell(self, status: int, problems: Sequence[str]) -> Failure:
        """Tell the others that this process ends with an error; the failure that ended the run, which may be an earlier one."""
        own = json.dumps(asdict(Failure(self._rank, status, list(problems))))
        try:
            with self._lock:
                first = self._store.compare_set("failure", "", own).decode()
                if first == own:  # who serves the store must not leave before the others have read it
                    self._await_readers()
        except RuntimeError:  # the store is gone, and with it those who could fail
            first = own
        return Failure(**json.loads(first))

    def _await_readers(self) -> None:
        until = time.monotonic() + _HEARD
        while self._store.add("readers", 0) < self._world - 1 and time.monotonic() < until:
            time.sleep(_INTERVAL / 5)

    def _failure(self, patience: float = 0.0) -> Failure | None:
        """The failure that ended the run, as soon as it is told; None when there is none."""
        until = time.monotonic() + patience
        while True:
            with contextlib.suppress(RuntimeError), self._lock:
                if self._store.check(["failure"]):
                    failure = Failure(**json.loads(self._store.get("failure")))
                    if failure.rank != self._rank and not self._read:
                        self._read = True
                        self._store.add("readers", 1)
                    return failure
            if time.monotonic() >= until:
                return None
            time.sleep(_INTERVAL / 5)

    def _run(self) -> None:
        while not self._closed.wait(_INTERVAL):
            try:
                self._say()
                late = self._late()
            except RuntimeError:  # the store is gone with the process, or the agent, that serves it
                self._leave(1)
                return
            failure = self._failure()
            if failure is None and late:
                failure = self.tell(1, [late])
                if failure.rank == self._rank:
                    print(f"error: {late}", file=sys.stderr, flush=True)
                    os._exit(failure.status)
            if failure is not None:
                self._leave(failure.status)
                return

    def _leave(self, status: int) -> None:
        """End the process unless it ends by itself."""
        if not self._closed.wait(_GRACE):
            sys.stderr.flush()
            os._exit(status)

    def _say(self) -> None:
        """Let the others see what the main thread does."""
        now = json.dumps([self._asked, self.doing])
        if now != self._said:
            with self._lock:
                self._store.set(f"doing/{self._rank}", now)
            self._said = now

    def _late(self) -> str:
        """Whom this process has waited for too long, and what they do; "" when it has not."""
        since, asked = self._waits_since, self._asked
        if since is None or time.monotonic() - since < self._patience:
            return ""
        late = []
        for rank in range(self._world):
            with self._lock:
                known = self._store.check([f"doing/{rank}"])
                steps, doing = json.loads(self._store.get(f"doing/{rank}")) if known else (0, "")
            if steps < asked:
                late.append(f"rank {rank}{f' ({doing})' if doing else ''}")
        where = f" at {self.doing}" if self.doing else ""
        return f"rank {self._rank}{where} has waited {self._patience:g} s for {', '.join(late) or 'the others'}"
