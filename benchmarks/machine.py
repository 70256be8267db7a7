"""What a benchmark says of the machine, the libraries and this process's memory."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

_LIBRARIES = (
    "torch", "torchvision", "numpy", "pillow", "opencv-python-headless", "simplejpeg", "pycocotools", "hotcoco", "timm",
    "detectron2", "webdataset",
)  # fmt: skip


def about_machine() -> dict[str, Any]:
    """The processor's name, the cores this process may use, memory (bytes), the GPU if torch sees one, the load.

    What the system does not tell is ``None``.
    """
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    torch = sys.modules.get("torch")
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None,
        "gpu": torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None,
        "system": platform.platform(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that are installed."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def checkout() -> str | None:
    """The checkout's commit, with "-dirty" where files differ from it; ``None`` outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parent,
        env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.stdout.strip() or None


def forget_peak() -> int | None:
    """Begin the process's peak of memory anew at what it needs now, bytes; ``None`` where the system cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)  # what is free is not held: glibc would use it again unseen
    try:
        Path("/proc/self/clear_refs").write_bytes(b"5")
    except OSError:
        return None
    return _status_bytes("VmRSS")


def peak_bytes() -> int:
    """The most this process held at once since :func:`forget_peak`, bytes."""
    return _status_bytes("VmHWM")


def _status_bytes(key: str) -> int:
    # not ru_maxrss: it begins at the size of the process that started this one, and never falls
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))
