"""Keeps training and eval modes while other code changes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def kept_modes(model: nn.Module) -> Iterator[None]:
    """A context that restores the training or eval mode of every module of ``model`` when it ends."""
    # each module has its own mode: frozen parts of a model in training are already in eval mode
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
