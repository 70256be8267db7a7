"""What planned runs of all tasks have in common: the plan itself, its folder, and words for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from resdet.distributed.join import process_count
from resdet.wording import first_few

if TYPE_CHECKING:
    from resdet.config.check import RunFile

STARTING = 15.0  # seconds for imports, reading and the report


@dataclass(frozen=True)
class Plan:
    """A run that was planned.

    Attributes:
        config: the config, complete.
        lines: the plan in sentences.
    """

    config: RunFile
    lines: list[str]


def run_folder(path: str | Path, output: str | Path | None = None) -> Path:
    """The run folder for data of one's own: ``output``, or else ``runs`` and the name of the data."""
    return Path(output) if output else Path("runs") / _name(path)


def named_classes(names: Sequence[str]) -> str:
    """Class names for people: their number, and the first few."""
    return f"{len(names)} class{'es' if len(names) != 1 else ''}: {first_few(names, 8)}"


def machine(device: torch.device) -> str:
    """What computes, for people: "2 threads", or the name of a GPU; of several processes their number, too."""
    one = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return one if process_count() == 1 else f"{process_count()} processes of {one}"


def _name(path: str | Path) -> str:
    return re.sub(r"[^\w.-]+", "_", Path(path).expanduser().resolve().name.partition(".")[0]) or "data"
