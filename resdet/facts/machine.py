"""Facts about the machine: versions, the device, and the fastest ways to compute on it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from resdet.ops.kernels import default_kernels, machine_key, remembered_answers

_PACKAGES = ("resdet", "torch", "torchvision", "numpy", "safetensors", "omegaconf", "hotcoco", "pycocotools")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on, and the device."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu only, {torch.get_num_threads()} threads"
    if torch.backends.mps.is_available():
        device = f"mps where asked for, {device}"
    return {
        "python": f"{platform.python_version()} on {platform.platform()}",
        **{package: _version(package) for package in _PACKAGES},
        "device": device,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def kernels_values() -> dict[str, str]:
    """The fastest way to compute each product that was measured on this machine with these libraries and threads."""
    file = default_kernels().file
    return remembered_answers(file).get(machine_key(), {}) if file else {}


def kernels_text() -> str:
    """A text on the ways to compute products that were measured on this machine with these libraries and threads."""
    file, answers = default_kernels().file, kernels_values()
    head = f"fastest ways on {machine_key()}"
    if not answers:
        return f"{head}\n  none measured yet: preparing a detector on a CPU, or training one, does"
    lines = [
        f"  {way + ':':<10} {'; '.join(sorted(question for question, answer in answers.items() if answer == way))}"
        for way in sorted(set(answers.values()))
    ]
    return "\n".join([head, *lines, f"  remembered in {file}"])
