"""Values of run files, changed and written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

RunFile = dict[str, Any]


def changed(values: RunFile, changes: RunFile) -> RunFile:
    """A copy with the options ``{"section.name": value}`` set."""
    values = copy.deepcopy(values)
    for name, value in changes.items():
        *sections, option = name.split(".")
        node = values
        for section in sections:
            node = node.setdefault(section, {})
        node[option] = value
    return values


def write_run_file(path: Path, values: RunFile) -> Path:
    path.write_text(yaml.safe_dump(values))
    return path
