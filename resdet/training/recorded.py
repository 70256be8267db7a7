"""Takes over what a run decided when it began, where the config of a resumed run leaves the decision open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

if TYPE_CHECKING:
    from resdet.config.check import RunFile

RunFileT = TypeVar("RunFileT", bound="RunFile")


def recorded_section(output: str | Path, section: str) -> dict[str, Any] | None:
    """A section of the ``config.yaml`` in a run folder; None where there is none, of which ``open_run`` tells."""
    try:
        options = yaml.safe_load((Path(output) / "config.yaml").read_text(encoding="utf-8"))[section]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None
    return options if isinstance(options, dict) else None


def as_recorded(config: RunFileT) -> RunFileT:
    """The config with the warm-up of the run in its folder in place of -1: earlier releases began without one."""
    recorded = (recorded_section(config.output, "schedule") or {}).get("warmup_iterations")
    if config.schedule.warmup_iterations >= 0 or type(recorded) is not int:
        return config
    return replace(config, schedule=replace(config.schedule, warmup_iterations=recorded))
