"""The way of a training run from the command to its first step, traced: which calls are open then, and what they hand on.

    python tools/trace_run.py train-det --config mine.yaml --output /tmp/traced [--checkout DIR]

Of the calls that are open when the network is asked for its first losses, each is printed with the parameters that it took.
Below them stands how many calls in how many files that is, how many parameters were handed down, and how many calls went up, to
a room on a higher floor than the caller's. ``--checkout`` traces another copy of the package.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from types import FrameType
from typing import Any

FLOORS = ("models", "engine", "training", "commands")  # from below
STEPS = ("losses", "classification_step")  # where a step begins to compute


class FirstStepError(Exception):
    """The network is asked for its first losses."""


class Tracer:
    """Follows the calls of one thread until the first step; ``root`` is the package's folder."""

    def __init__(self, root: Path) -> None:
        self.root = f"{root}/"
        self.way: list[tuple[str, str, int]] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:  # noqa: ARG002 - as Python calls it
        """Stop at the first step, and remember how it came to that."""
        if event == "call" and frame.f_code.co_name in STEPS and frame.f_code.co_filename.startswith(self.root):
            self.way = self._open(frame)
            raise FirstStepError

    def _open(self, frame: FrameType | None) -> list[tuple[str, str, int]]:
        """File, function and number of parameters of every open call of the package, the outermost first."""
        calls = []
        while frame is not None:
            code = frame.f_code
            if code.co_filename.startswith(self.root):
                name = getattr(code, "co_qualname", code.co_name)
                calls.append((code.co_filename.removeprefix(self.root), name, code.co_argcount + code.co_kwonlyargcount))
            frame = frame.f_back
        return [call for call in reversed(calls) if call[0].split("/")[0] in FLOORS]


def floor(file: str) -> int:
    """The floor of a file, counted from below."""
    return FLOORS.index(file.split("/", maxsplit=1)[0])


def main() -> None:
    """Trace the command that the arguments are."""
    arguments = sys.argv[1:]
    checkout = Path(__file__).resolve().parents[1]
    if "--checkout" in arguments:
        place = arguments.index("--checkout")
        checkout = Path(arguments[place + 1]).resolve()
        del arguments[place : place + 2]
    sys.path.insert(0, str(checkout))
    from resdet.cli import main as resdet

    tracer = Tracer(checkout / "resdet")
    sys.setprofile(tracer)
    try:
        resdet(arguments)
    except FirstStepError:
        pass
    finally:
        sys.setprofile(None)
    files = [file for file, _, _ in tracer.way]
    for file, name, parameters in tracer.way:
        print(f"{file:40} {name:40} {parameters:3}")
    handed = sum(parameters for _, _, parameters in tracer.way)
    up = sum(floor(later) > floor(earlier) for earlier, later in itertools.pairwise(files))
    print(f"{len(files)} calls in {len(set(files))} files, {handed} parameters, {up} calls up")


if __name__ == "__main__":
    main()
