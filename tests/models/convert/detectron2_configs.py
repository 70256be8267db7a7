"""Configs as Detectron2 writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def config(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under Detectron2's names as its nested config."""
    content: dict[str, Any] = {"MODEL": {"RESNETS": {"DEPTH": 50}}}
    for name, value in settings.items():
        section = content
        for part in name.split(".")[:-1]:
            section = section.setdefault(part, {})
        section[name.rpartition(".")[2]] = value
    return content
