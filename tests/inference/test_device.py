"""The names of devices: what is chosen, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from resdet.errors import ConfigError
from resdet.inference.device import select_device


def test_device_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(is_available=lambda: False, device_count=lambda: 0))
    assert select_device() == select_device("cpu") == select_device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(ConfigError, match="device 'cuda': torch sees no CUDA devices on this machine"):
        select_device("cuda")
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(is_available=lambda: True, device_count=lambda: 2))
    assert select_device("auto") == torch.device("cuda")
    assert select_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="device 'cuda:2': torch sees 2 CUDA devices on this machine"):
        select_device("cuda:2")


@pytest.mark.parametrize("name", ["", "tpu", "meta", "MPS", "mps:1", "xpu", "CUDA", "0", "cuda:", "cuda:x", "cpu:1"])
def test_unknown_device_names(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device must be auto, cpu, cuda, cuda:N or mps, got '{name}'"):
        select_device(name)
