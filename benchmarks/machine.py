"""What a benchmark says of the machine, the libraries and this process's memory."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_LIBRARIES = (
    "torch", "torchvision", "numpy", "pillow", "opencv-python-headless", "simplejpeg", "pycocotools", "hotcoco", "timm",
    "detectron2", "onnx", "onnxruntime", "openvino", "webdataset",
)  # fmt: skip
# what of an instruction set decides how fast products are: the system's or torch's name without "_", and the common one
_ISA = {
    "avx2": "AVX2", "avx512f": "AVX-512", "avx512vnni": "AVX-512 VNNI", "avx512bf16": "AVX-512 bf16",
    "avx512fp16": "AVX-512 fp16", "amxbf16": "AMX bf16", "amxfp16": "AMX fp16",
    "asimd": "NEON", "sve": "SVE", "sve2": "SVE2", "bf16": "bf16",
}  # fmt: skip
_CAPS = re.compile(r"ATEN_CPU_CAPABILITY|MKL_CBWR|MKL_ENABLE_INSTRUCTIONS|(ONEDNN|DNNL)_(?!.*VERBOSE).*")
_INSTALL = {"detectron2": "see its own instructions"}  # no index of packages has it


def about_machine() -> dict[str, Any]:
    """What the numbers were measured on.

    Returns:
        "cpu", its name; "isa", what it has, and "caps", the variables that keep libraries from using all of that; "capability",
        what torch uses (``None`` where it is not imported); "cores" that this process may use; "memory", bytes; "gpu", if
        torch sees one; "system"; "load".
    """
    about = _cpuinfo()
    torch = sys.modules.get("torch")
    return {
        "cpu": about.get("model name") or platform.processor() or platform.machine(),
        "isa": isa(),
        "caps": caps(),
        "capability": torch.backends.cpu.get_cpu_capability() if torch is not None else None,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None,
        "gpu": torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None,
        "system": platform.platform(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def isa() -> list[str]:
    """The instruction sets that this CPU has, of those that decide how fast products are."""
    about = _cpuinfo()
    flags = set((about.get("flags") or about.get("Features") or "").replace("_", "").split())
    told = getattr(getattr(sys.modules.get("torch"), "cpu", None), "get_capabilities", None)
    if not flags and told is not None:
        flags = {name.replace("_", "") for name, there in told().items() if there is True}
    return [name for flag, name in _ISA.items() if flag in flags]


def caps() -> dict[str, str]:
    """The environment's variables that decide which instructions torch, oneDNN and MKL use."""
    return {name: value for name, value in sorted(os.environ.items()) if _CAPS.fullmatch(name)}


def computes_bf16() -> bool:
    """Whether products in bfloat16 are this CPU's own, and not kept from oneDNN."""
    return any(name.endswith("bf16") for name in isa()) and not {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"} & caps().keys()


def installed(library: str) -> bool:
    """Whether a module can be imported."""
    return importlib.util.find_spec(library) is not None


def missing(libraries: Iterable[str]) -> list[str]:
    """Those of the modules that are not installed, which it says on stdout."""
    gone = [name for name in libraries if not installed(name)]
    for name in gone:
        print(f"{name}: not installed, {_INSTALL.get(name, 'pip install resdet[bench]')}")
    return gone


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that are installed; of MKL and oneDNN, which are part of torch, if imported."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if "torch" in sys.modules:
        built = sys.modules["torch"].__config__.show()
        for name, line in (("MKL", r"Math Kernel Library Version (\d[\d.]*)"), ("oneDNN", r"MKL-DNN v(\d[\d.]*)")):
            if match := re.search(line, built):
                found[name] = match[1]
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


def _cpuinfo() -> dict[str, str]:
    """What Linux tells of the first core; the name with family and model, where it may be as short as "AMD EPYC"."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    first, _, _ = path.read_text(encoding="utf-8").partition("\n\n")
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    if {"model name", "cpu family", "model"} <= found.keys():
        found["model name"] += f" (family {found['cpu family']}, model {found['model']})"
    return found
