"""A plan in the making: its run file, its folder, the options so far, and what was said of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from resdet.config import load_config
from resdet.errors import ConfigError
from resdet.training.plan.run import run_folder

_RUN_FILES = {"detector": "finetune", "classifier": "finetune_cls"}


class Draft:
    """What plans of detectors and of classifiers have in common.

    Args:
        path: the data.
        output: the run folder; None: ``runs/<name of the data>``.
        what: "detector" or "classifier".
        model: the network, of ``models``; None: r18 on a CPU, r50 on a GPU.
        models: the networks that there are run files for.
        device: the device to train on.
        overrides: ``key.path=value`` strings that replace what the plan chooses.
        say: called with each sentence.

    Attributes:
        folder: the run folder.
        fixed: options that all configs of the plan have.
        lines: the sentences so far.

    Raises:
        ConfigError: from the constructor, for a model that is none of ``models``.
    """

    def __init__(
        self,
        path: str | Path,
        output: str | Path | None,
        *,
        what: str,
        model: str | None,
        models: Sequence[str],
        device: torch.device,
        overrides: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        if model is not None and model not in models:
            raise ConfigError(f"--model must be one of {', '.join(models)} for a {what}, got {model!r}")
        self.folder = run_folder(path, output)
        self.fixed: dict[str, Any] = {"output": str(self.folder)}
        self.lines: list[str] = []
        self._name = f"{_RUN_FILES[what]}_{model or ('r18' if device.type == 'cpu' else 'r50')}"
        self._overrides, self._say = list(overrides), say

    def tell(self, line: str) -> None:
        """Say a sentence, and keep it."""
        self.lines.append(line)
        self._say(line)

    def config(self, options: Mapping[str, Any] | None = None) -> Any:
        """The run file with the fixed options, with these, and with what replaces them."""
        chosen = {**self.fixed, **(options or {})}
        given = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in chosen.items()]
        # the example of a validation set in the run file is forgotten first: options of another format would stay
        return load_config(self._name, ["data.val=null", *given, *self._overrides])

    def untouched(self) -> Any:
        """The run file as it is shipped."""
        return load_config(self._name)
