"""What the stages share: their options, their file, the device, and the clock."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from machine import about_machine, checkout, versions


class Report:
    """The rows and notes of a stage; its file is written after each, so that a stage that is stopped keeps what it has.

    Args:
        path: the file, or None.
        title: what the stage measures.
    """

    def __init__(self, path: Path | None, title: str) -> None:
        machine, used = about_machine(), versions()
        cpu = f"{machine['cpu']}, {machine['cores']} cores"
        self.path = path
        self.content: dict[str, Any] = {
            "title": title,
            "machine": f"{machine['gpu'] or 'no GPU'}; {cpu}; torch {used['torch']}, CUDA {torch.version.cuda}",
            "commit": checkout(),
            "rows": [],
            "notes": [],
        }

    def row(self, **values: object) -> None:
        """Add a row of the table."""
        self.content["rows"].append(values)
        self._write(", ".join(f"{key} {value}" for key, value in values.items()))

    def note(self, text: str) -> None:
        """Add a sentence below the table."""
        self.content["notes"].append(text)
        self._write(text)

    def _write(self, said: str) -> None:
        print(said, flush=True)
        if self.path:
            self.path.write_text(json.dumps(self.content, ensure_ascii=False), encoding="utf-8", newline="\n")


class Deadline:
    """Whether a stage still has time.

    Args:
        seconds: of the whole stage.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + 0.9 * seconds  # the rest is for imports and the end

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """The options of every stage."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--cifar10", type=Path, metavar="DIR")
    parser.add_argument("--weights", type=Path, metavar="FILE")
    return parser


def device(rehearse: bool) -> torch.device:
    """The GPU; the CPU in a rehearsal; exits where there is none."""
    if rehearse:
        torch.set_num_threads(1)
        return torch.device("cpu")
    if not torch.cuda.is_available():
        sys.exit("no GPU: --rehearse runs tiny sizes on the CPU")
    return torch.device("cuda")


def wait(where: torch.device) -> None:
    """Until the device has done everything."""
    if where.type == "cuda":
        torch.cuda.synchronize()


def by_turns(
    ways: Mapping[str, Callable[[], object]], where: torch.device, *, rounds: int, seconds: float, warmup: int = 3
) -> dict[str, float]:
    """The median wall seconds of each way, measured by turns until the rounds or the time are over, at least once."""
    end = time.monotonic() + seconds
    for way in ways.values():
        for _ in range(warmup):
            way()
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        if number and time.monotonic() > end:
            break
        for name, way in ways.items():
            wait(where)
            began = time.perf_counter()
            way()
            wait(where)
            samples[name].append(time.perf_counter() - began)
    return {name: statistics.median(each) for name, each in samples.items()}


@contextlib.contextmanager
def numbers(name: str, where: torch.device) -> Iterator[torch.dtype | None]:
    """A number format for torch's own modules: fp32 without TF32, tf32, or autocast to bf16 or fp16, whose dtype is given."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(name)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name != "fp32"
    try:
        with torch.autocast(where.type, dtype, enabled=dtype is not None):
            yield dtype
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def ms(seconds: float) -> str:
    """Milliseconds, three digits."""
    return f"{1000 * seconds:.3g}"
