"""What a benchmark says of its machine, and how it writes what it found."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

X86_FLAGS = Path("/proc/cpuinfo").exists() and platform.machine() == "x86_64"


@pytest.fixture(scope="module")
def machine(script_module: Callable[[str], ModuleType]) -> ModuleType:
    return script_module("machine")


@pytest.fixture(scope="module")
def report(script_module: Callable[[str], ModuleType]) -> Callable[..., None]:
    return script_module("reporting").report


def found(measure: ModuleType, at_most: float | None, **claim: object):
    samples = {
        "ours": [measure.Sample(*numbers) for numbers in ((1, 8, 300), (9, 2, 100), (2, 4, 200))],
        "theirs": [measure.Sample(*numbers) for numbers in ((8, 1, 400), (4, 2, 400))],
    }
    return measure.Result(measure.Claim("x", at_most, **claim), samples, "ours", "theirs")


def test_table_and_file(
    measure: ModuleType, report: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = dataclasses.replace(found(measure, 0.33), kernels=("rows by 512×512: packed",))
    memory = dataclasses.replace(first, claim=measure.Claim("memory", 2**20, "bytes"), peer=None, kernels=())
    report("Title", [first, memory], json_path=tmp_path / "x.json", quick=True, missing=["other"])
    printed = capsys.readouterr().out
    assert "ours / theirs, CPU s: 0.333, at most 0.33: falls short\n  kernels: rows by 512×512: packed\n" in printed
    assert "ours: 0.000191 MiB, at most 1: reached" in printed
    assert printed.count("kernels") == 1
    content = json.loads((tmp_path / "x.json").read_text())
    assert set(content) == {"title", "quick", "command", "date", "commit", "machine", "versions", "missing", "results"}
    assert {"cpu", "isa", "caps", "capability", "cores", "memory", "gpu"} <= set(content["machine"])
    assert {"python", "torch", "numpy"} <= set(content["versions"])
    assert content["missing"] == ["other"]
    one, two = content["results"]
    assert (one["figure"], one["reached"], one["ways"]["ours"]["cpu"]) == (1 / 3, False, {"median": 2, "samples": [1, 9, 2]})
    assert (one["kernels"], two["kernels"]) == (["rows by 512×512: packed"], [])
    assert (two["name"], two["unit"], two["peer"], two["figure"]) == ("memory", "bytes", None, 200)


def test_a_claim_that_counts_multiply_adds_shows_how_many_a_second(
    measure: ModuleType, report: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    ours = dataclasses.replace(found(measure, None, multiply_adds=12e9), peer=None)
    report("Peak", [ours, dataclasses.replace(ours, ours="theirs")])
    printed = capsys.readouterr().out
    assert "ours: 2 CPU s, 6 G multiply-adds a second\n  theirs: 6 CPU s, 2 G multiply-adds a second\n" in printed
    assert printed.count("wall s") == 1  # one table of both, for they are of the same runs


def test_kernels_of_a_prepared_model_are_a_line_for_each_way(measure: ModuleType) -> None:
    chosen = {"product 4×4": "torch", "product 8×8": "onednn", "sum 4×4": "torch"}
    assert measure.kernels_of(SimpleNamespace(kernels=chosen)) == ("onednn: product 8×8", "torch: product 4×4, sum 4×4")
    assert measure.kernels_of(torch.nn.Identity()) == ()


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ("fpu avx2 avx512f avx512_bf16", ["AVX2", "AVX-512", "AVX-512 bf16"]),
        ("fpu sse4_2", []),
        ("avx2 amx_bf16 avx512_fp16", ["AVX2", "AVX-512 fp16", "AMX bf16"]),
    ],
)
def test_what_linux_calls_an_instruction_set(
    machine: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, names: list[str]
) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(
        f"processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\nflags\t\t: {flags}\n\n"
        "processor\t: 1\nmodel name\t: another\n"
    )
    monkeypatch.setattr(machine, "Path", lambda _: told)
    assert machine.isa() == names
    assert machine.about_machine()["cpu"] == "AMD EPYC (family 26, model 2)"


@pytest.mark.skipif(not X86_FLAGS, reason="the flags of an x86 CPU, as Linux tells them")
def test_the_machine_s_sets_are_those_that_torch_uses(machine: ModuleType) -> None:
    least = {"AVX2": "AVX2", "AVX512": "AVX-512"}.get(torch.backends.cpu.get_cpu_capability())
    assert least is None or least in machine.isa()


def test_caps_are_the_variables_that_choose_instructions(machine: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.caps():
        monkeypatch.delenv(name)
    assert machine.caps() == {}
    given = {
        "ATEN_CPU_CAPABILITY": "avx2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_DEFAULT_FPMATH_MODE": "any",
    }
    for name, value in {**given, "ONEDNN_VERBOSE": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    assert machine.caps() == given


@pytest.mark.parametrize(
    ("sets", "cap", "expected"),
    [
        (["AVX2", "AVX-512", "AVX-512 bf16"], None, True),
        (["AVX2", "AVX-512", "AVX-512 bf16"], "AVX2", False),
        (["AVX2", "AVX-512"], None, False),
        (["NEON", "bf16"], None, True),
    ],
)
def test_bf16_counts_where_the_cpu_has_it_and_may_use_it(
    machine: ModuleType, monkeypatch: pytest.MonkeyPatch, sets: list[str], cap: str | None, expected: bool
) -> None:
    monkeypatch.setattr(machine, "isa", lambda: sets)
    monkeypatch.setattr(machine, "caps", lambda: {} if cap is None else {"ONEDNN_MAX_CPU_ISA": cap})
    assert machine.computes_bf16() is expected


def test_a_missing_peer_is_said(machine: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert machine.missing(["torch", "no_such_peer"]) == ["no_such_peer"]
    assert capsys.readouterr().out == "no_such_peer: not installed, pip install resdet[bench]\n"


def test_versions_tell_of_the_libraries_inside_torch(machine: ModuleType) -> None:
    assert "torch" in sys.modules
    found, built = machine.versions(), torch.__config__.show()
    assert ("MKL" in found) == ("Math Kernel Library" in built)
    assert ("oneDNN" in found) == ("MKL-DNN" in built)
    assert all(value[0].isdigit() for name, value in found.items() if name in ("MKL", "oneDNN"))
