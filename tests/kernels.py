"""The numeric tests with the kernels of other CPUs: ``make test-kernels``, or ``python tests/kernels.py [--short]``.

oneDNN, ATen and MKL choose their kernels by the CPU, and each may be kept below what the CPU has by a variable that it reads
before torch is imported. So a run of the tests is a process of its own, and a probe with the same variables says first which
kernels it gets: what the CPU lacks is left out by name, and a variable without effect is a failure.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

NUMERIC = ("ops", "models", "losses", "structures", "inference", "evaluation", "analysis")  # folders of tests/
# of these what computes most, for the short form
QUICK = ("ops", "losses", "models/detection", "models/detection/training_rows")
# each from the least to the most; "" is no limit
AXES: dict[str, tuple[str, ...]] = {
    "ONEDNN_MAX_CPU_ISA": ("SSE41", "AVX2", "AVX512_CORE", ""),
    "ATEN_CPU_CAPABILITY": ("default", "avx2", "avx512"),
    "MKL_CBWR": ("COMPATIBLE", "AUTO"),
    "TEST_THREADS": ("1", "2"),
}
# the least there is, and the commonest CPU: what is not limited is what `make test` runs
SHORT = (("SSE41", "default", "COMPATIBLE", "1"), ("AVX2", "avx2", "AUTO", "2"))

_ROOT = Path(__file__).resolve().parents[1]
_SEEN = {  # what oneDNN and ATen call a level, in any of their releases
    "ONEDNN_MAX_CPU_ISA": {"SSE41": r"SSE4\.1$", "AVX2": r"AVX2$", "AVX512_CORE": r"AVX512BW"},
    "ATEN_CPU_CAPABILITY": {"default": r"DEFAULT|NO AVX", "avx2": r"AVX2", "avx512": r"AVX512"},
}
_PROBE = """
import os, torch
torch.set_num_threads(int(os.environ["TEST_THREADS"]))
torch.nn.functional.conv2d(torch.ones(8, 16, 32, 32), torch.ones(16, 16, 3, 3))
torch.ones(64, 64) @ torch.ones(64, 64)
print("aten:", torch.backends.cpu.get_cpu_capability())
print("threads:", torch.get_num_threads())
"""


@dataclass(frozen=True)
class Kernels:
    """What the libraries say that they use; "" where a library is not part of this torch."""

    onednn: str
    aten: str
    mkl: str
    threads: str

    @classmethod
    def read(cls, said: str) -> Kernels:
        """From what a probe wrote."""
        patterns = (r"info,cpu,isa:(.*)", r"^aten: (.*)", r"MKL_VERBOSE \wGEMM.* CNR:(\w+)", r"^threads: (.*)")
        found = (re.search(pattern, said, re.MULTILINE) for pattern in patterns)
        return cls(*(match[1].strip() if match else "" for match in found))

    def follow(self, setting: Mapping[str, str]) -> list[str]:
        """What of a setting has no effect."""
        seen = dict(zip(AXES, (self.onednn, self.aten, self.mkl, self.threads), strict=True))
        wrong = []
        for name, value in setting.items():
            limit = value and (name, value, self.mkl) != ("MKL_CBWR", "AUTO", "")
            if limit and not re.search(_SEEN.get(name, {}).get(value, value), seen[name]):
                wrong.append(f"{name}={value} has no effect: {seen[name] or 'not used'}")
        return wrong


def available(machine: Kernels) -> tuple[dict[str, list[str]], list[str]]:
    """The values of each axis that a machine without limits can follow, and what it lacks, by name."""
    onednn = ("SSE4.1", "AVX2", "AVX-512|AVX10|AMX")
    level = max((i for i, pattern in enumerate(onednn) if re.search(pattern, machine.onednn)), default=-1)
    lanes = {"AVX512": 2, "AVX2": 1}.get(machine.aten, 0)
    cpus = os.cpu_count() or 1
    axes, lacking = {}, []
    for name, values in AXES.items():
        axes[name] = []
        for place, value in enumerate(values):
            reason = ""
            if name == "ONEDNN_MAX_CPU_ISA" and value and place > level:
                reason = f"oneDNN sees {machine.onednn or 'no x86 CPU'}"
            elif name == "ATEN_CPU_CAPABILITY" and place > lanes:
                reason = f"ATen sees {machine.aten}"
            elif name == "MKL_CBWR" and value == "COMPATIBLE" and not machine.mkl:
                reason = "this torch has no MKL"
            elif name == "TEST_THREADS" and int(value) > cpus:
                reason = f"{cpus} processor"
            if reason:
                lacking.append(f"skipped: {name}={value}: {reason}")
            else:
                axes[name].append(value)
    return axes, lacking


def covering(axes: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Settings that hold every pair of values of two axes, beginning with the least and the most of all; greedy."""
    settings = list(product(*axes.values()))

    def pairs(setting: Sequence[str]) -> set[tuple[tuple[int, str], tuple[int, str]]]:
        return set(combinations(enumerate(setting), 2))

    chosen = [settings[0], settings[-1]]
    missing = set().union(*map(pairs, settings)) - pairs(settings[0]) - pairs(settings[-1])
    while missing:
        chosen.append(max(settings, key=lambda setting: len(pairs(setting) & missing)))
        missing -= pairs(chosen[-1])
    return [dict(zip(axes, setting, strict=True)) for setting in dict.fromkeys(chosen)]


def _environment(setting: Mapping[str, str]) -> dict[str, str]:
    limits = {name: value for name, value in setting.items() if value}
    others = {name: value for name, value in os.environ.items() if name not in AXES}
    return {**others, "TEST_THREADS": "1", **limits, "OMP_NUM_THREADS": limits.get("TEST_THREADS", "1")}


def _probe(setting: Mapping[str, str]) -> Kernels:
    environment = {**_environment(setting), "ONEDNN_VERBOSE": "1", "MKL_VERBOSE": "1"}
    said = subprocess.run([sys.executable, "-c", _PROBE], env=environment, capture_output=True, text=True, check=True)
    return Kernels.read(said.stdout)


def _test(setting: Mapping[str, str], options: Sequence[str], folders: Sequence[str]) -> bool:
    workers = min(8, os.cpu_count() or 1)  # few tests have enough to do for a second thread
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", "build/pytest-kernels"]
    command += ["-n", str(workers), "--dist", "worksteal"] if workers > 1 else []
    command += [*options, *(f"tests/{folder}" for folder in folders)]
    return subprocess.run(command, env=_environment(setting), cwd=_ROOT, check=False).returncode == 0


def main(arguments: Sequence[str]) -> int:
    """Run all settings, or the short ones; 1 when any failed. What follows ``--`` goes to pytest."""
    short = "--short" in arguments
    options = [*(["-m", "not slow"] if short else []), *(arguments[arguments.index("--") + 1 :] if "--" in arguments else [])]
    machine = _probe({})
    print(f"kernels without limits: oneDNN {machine.onednn}; ATen {machine.aten}; MKL {machine.mkl}")
    axes, lacking = available(machine)
    print("\n".join(lacking))
    wanted = [dict(zip(AXES, values, strict=True)) for values in SHORT] if short else covering(axes)
    results = []
    for setting in wanted:
        name = " ".join(f"{key}={value or '(none)'}" for key, value in setting.items())
        if any(value not in axes[key] for key, value in setting.items()):
            results.append(f"skipped  {name}")
            continue
        print(f"\n{name}", flush=True)
        begin, wrong = time.monotonic(), _probe(setting).follow(setting)
        passed = not wrong and _test(setting, options, QUICK if short else NUMERIC)
        outcome = "passed " if passed else "FAILED "
        results.append(f"{outcome}  {name}  {time.monotonic() - begin:.0f} s{''.join(f'; {each}' for each in wrong)}")
    print("", *results, sep="\n")
    return int(any(result.startswith("FAILED") for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
