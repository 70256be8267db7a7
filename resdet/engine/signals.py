"""Stops training on request: a signal sets a flag that the training loop reads between steps."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from resdet.system import stop_signals


class StopSignals:
    """Inside this context the first SIGINT, SIGTERM or SIGHUP only sets ``received``; one more SIGINT raises KeyboardInterrupt.

    A SIGHUP that is ignored already, as under ``nohup``, stays so. On Windows, where no program can send SIGTERM, Ctrl-Break
    (SIGBREAK) takes its place.

    ``quiet`` leaves out the line that tells of the signal. The former handlers are restored when the context ends. Outside the
    main thread Python allows no handlers, so none are set.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self.received = ""  # the name of the signal, "" before any
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                if number.name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN:
                    continue
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: it was not set from Python

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number).name
        if self._quiet:
            return
        # not print: the handler may interrupt a print to the same stream, which Python refuses to nest
        with contextlib.suppress(OSError):  # a program without a console has no such stream
            os.write(2, f"\n{self.received}: saving after this step; Ctrl-C stops at once\n".encode())
