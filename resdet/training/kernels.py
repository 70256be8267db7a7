"""Chooses how a training run computes its products: once, recorded, and kept when the run is resumed.

Another way to compute a product rounds differently, so a run continues bit for bit only with the way it began with.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from resdet.errors import ConfigError
from resdet.models.detection.training_rows.twin import gpu_twin, training_kernel, training_twin
from resdet.ops.kernels import PINS, Kernels, default_kernels, machine_key
from resdet.training.recorded import recorded_section

if TYPE_CHECKING:
    from resdet.config.check import RunFile

_log = logging.getLogger(__name__)
ModelT = TypeVar("ModelT", bound=nn.Module)
RunFileT = TypeVar("RunFileT", bound="RunFile")


def recorded_kernels(output: str | Path) -> str:
    """``run.kernels`` of the run in a folder; "auto" when there is no run, or it has not chosen."""
    options = recorded_section(output, "run")
    recorded = "auto" if options is None else options.get("kernels", "torch")  # runs without a choice used torch
    return recorded if recorded in PINS else "auto"


def choose_kernels(config: RunFileT, model: ModelT, device: torch.device) -> tuple[RunFileT, ModelT]:
    """Replace "auto" in the config with the way that its run computes products, and make the network that takes the steps.

    Args:
        config: the config of the run; a choice recorded in its folder stays.
        model: the network, on ``device``.
        device: there is a choice only on a CPU, in float32 and without compilation.

    Returns:
        The config, and ``training_twin`` of the model; both unchanged when there is no choice. On a GPU ``gpu_twin``.

    Raises:
        ConfigError: when the config asks for a way that is not available.
    """
    run = config.run
    if device.type == "cuda" and not run.compile:
        return config, gpu_twin(model)
    if device.type != "cpu" or run.precision != "fp32" or run.compile:
        return config, model
    recorded = recorded_kernels(config.output)
    kernels = default_kernels(recorded if run.kernels == "auto" else run.kernels)
    name = training_kernel(model, kernels)
    if name is None:
        return config, model
    if run.kernels not in ("auto", name):
        raise ConfigError(f"option 'run.kernels' is {run.kernels!r}, which this torch does not have here")
    if run.kernels == "auto" and recorded != "auto":
        _say_what_differs(recorded, name, training_kernel(model, default_kernels()))
    return replace(config, run=replace(run, kernels=name)), training_twin(model, Kernels(name))


def machine_notes(config: RunFile) -> dict[str, str]:
    """Everything besides the config that the last bits of a run depend on."""
    return {"kernels": config.run.kernels, "machine": machine_key()}


def _say_what_differs(recorded: str, name: str, fastest: str | None) -> None:
    if name != recorded:
        _log.warning("the run began with the products of %s, which are not here: it continues with those of %s", recorded, name)
    elif fastest != name:
        _log.info("the run began with the products of %s and keeps them; here those of %s would be faster", name, fastest)
