"""How a run is called elsewhere, which a resumed run must know, and its options."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resdet.config import config_to_dict
from resdet.engine.run import Run
from resdet.files import json_ready, read_json, write_json

PROJECT = "resdet"
_FILE = "loggers.json"


def known_name(folder: Path, logger: str) -> str:
    """What a logger calls the run of a folder; "" when it has no name there yet."""
    return str(_names(folder).get(logger, ""))


def keep_name(folder: Path, logger: str, name: str) -> None:
    """Remember what a logger calls the run of a folder."""
    write_json(folder / _FILE, {**_names(folder), logger: name})


def kept_name(folder: Path, logger: str) -> str:
    """The name of a folder's run for a logger that lets us choose it: the known one, or a new one that is kept."""
    name = known_name(folder, logger) or secrets.token_hex(4)
    keep_name(folder, logger, name)
    return name


def options_of(run: Run) -> dict[str, Any]:
    """The options of a run, as JSON can hold them, by their whole names: ``{"optimizer.lr": 0.01, …}``."""
    return dict(_flat(json_ready(config_to_dict(run.config)))) if run.config else {}


def _flat(options: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in options.items():
        pairs += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return pairs


def _names(folder: Path) -> dict[str, Any]:
    path = folder / _FILE
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}
