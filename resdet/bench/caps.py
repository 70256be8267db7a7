"""A cap on the instructions that the libraries under a benchmark may use: an older CPU, as far as variables make one."""

from __future__ import annotations

import os
from collections.abc import Mapping

from resdet.errors import ConfigError

# MKL's own counts on Intel's CPUs alone; on AMD's its products are as fast with AVX2, with AVX512 and without it, and no faster
# than oneDNN's under AVX2: there they are capped by themselves
CAPS: Mapping[str, Mapping[str, str]] = {
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
}


def capped(environment: Mapping[str, str], isa: str | None) -> dict[str, str]:
    """``environment`` with the cap ``isa``, one of ``CAPS``; as it is for None. To be set before the libraries start.

    Raises:
        ConfigError: when this CPU has less, or a variable of the environment keeps torch below it.
    """
    if isa is None:
        return dict(environment)
    has = _capability()
    if isa.upper() not in {"AVX2": ("AVX2",), "AVX512": ("AVX2", "AVX512")}.get(has, ()):
        given = os.environ.get("ATEN_CPU_CAPABILITY")
        raise ConfigError(f"--isa {isa}: torch finds {has} here" + (f", for ATEN_CPU_CAPABILITY is {given}" if given else ""))
    return {**environment, **CAPS[isa]}


def label(caps: Mapping[str, str]) -> str:
    """What a table says of the variables ``caps``: "capped to AVX2", or the variables where they are no cap of ``CAPS``."""
    name = next((isa for isa, cap in CAPS.items() if cap == caps), None)
    return f"capped to {name.upper()}" if name else ", ".join(f"{key}={value}" for key, value in caps.items())


def _capability() -> str:
    import torch

    return torch.backends.cpu.get_cpu_capability()
