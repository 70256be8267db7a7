"""The command line, with a training that holds still after a step until a signal comes.

python held_run.py STEP COMMAND ARGUMENT…

It holds between the log line of the step and its checkpoint, and says so by making the file ``held`` in the current folder.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from resdet.cli import main
from resdet.engine.checkpoint_hooks import CheckpointHook
from resdet.engine.run import Progress

STOPS = {signal.SIGINT, signal.SIGTERM}


def hold_after(step: int) -> None:
    after_step = CheckpointHook.after_step

    def hold(self: CheckpointHook, progress: Progress) -> None:
        if progress.iteration == step:
            # blocked before it is announced, so that a signal that comes at once is not lost
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
            Path("held").touch()
            received = signal.sigwait(STOPS)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            os.kill(os.getpid(), received)
        after_step(self, progress)

    CheckpointHook.after_step = hold  # type: ignore[method-assign]


if __name__ == "__main__":
    hold_after(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
