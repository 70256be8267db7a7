"""The walk over other CPUs' kernels: what counts as an effect, what a machine lacks, which settings are run."""

from __future__ import annotations

import os
from itertools import combinations, product

import kernels
import pytest
from kernels import AXES, SHORT, Kernels, available, covering

SAID = """\
onednn_verbose,v1,info,oneDNN v3.12.0 (commit 80afa71)
onednn_verbose,v1,info,cpu,isa:Intel AVX2
onednn_verbose,v1,primitive,exec,cpu,convolution,jit:avx2,forward_training,src:f32:a:blocked:aBcd8b::f0
MKL_VERBOSE oneMKL 2024.0 Update 2 Product build 20240605 for Intel(R) 64 architecture, Lnx 2.80GHz lp64 gnu_thread
MKL_VERBOSE SGEMM(N,N,64,64,64,0x7ffc,0x55,64,0x55,64,0x7f,0x55,64) 44.47us CNR:COMPATIBLE Dyn:0 FastMM:1 TID:0  NThr:1
aten: NO AVX
threads: 2
"""
BFLOAT16 = "Intel AVX-512 with Intel DL Boost and bfloat16 support"
LARGE = Kernels(BFLOAT16, "AVX512", "OFF", "1")


def setting(*values: str) -> dict[str, str]:
    return dict(zip(AXES, values, strict=True))


def test_what_a_probe_said_is_read() -> None:
    assert Kernels.read(SAID) == Kernels("Intel AVX2", "NO AVX", "COMPATIBLE", "2")
    assert Kernels.read("aten: DEFAULT\nthreads: 1\n") == Kernels("", "DEFAULT", "", "1")
    # the older way that oneDNN begins its lines
    assert Kernels.read("onednn_verbose,info,cpu,isa:Intel SSE4.1\n").onednn == "Intel SSE4.1"


@pytest.mark.parametrize(
    ("found", "values"),
    [
        (Kernels("Intel SSE4.1", "DEFAULT", "COMPATIBLE", "1"), ("SSE41", "default", "COMPATIBLE", "1")),
        (Kernels("Intel AVX2", "AVX2", "AUTO", "2"), ("AVX2", "avx2", "AUTO", "2")),
        (Kernels(BFLOAT16, "AVX512", "AUTO", "2"), ("", "avx512", "AUTO", "2")),
        (
            Kernels("Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions", "NO AVX", "AUTO", "1"),
            ("AVX512_CORE", "default", "AUTO", "1"),
        ),
        (Kernels("", "DEFAULT", "", "1"), ("", "default", "AUTO", "1")),
    ],
)
def test_settings_that_are_followed(found: Kernels, values: tuple[str, ...]) -> None:
    assert found.follow(setting(*values)) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("AVX2", "avx512", "AUTO", "1"), f"ONEDNN_MAX_CPU_ISA=AVX2 has no effect: {BFLOAT16}"),
        (("AVX512_CORE", "avx512", "AUTO", "1"), f"ONEDNN_MAX_CPU_ISA=AVX512_CORE has no effect: {BFLOAT16}"),
        (("", "avx2", "AUTO", "1"), "ATEN_CPU_CAPABILITY=avx2 has no effect: AVX512"),
        (("", "avx512", "COMPATIBLE", "1"), "MKL_CBWR=COMPATIBLE has no effect: AUTO"),
        (("", "avx512", "AUTO", "2"), "TEST_THREADS=2 has no effect: 1"),
    ],
)
def test_a_setting_without_effect_is_told(values: tuple[str, ...], message: str) -> None:
    assert Kernels(BFLOAT16, "AVX512", "AUTO", "1").follow(setting(*values)) == [message]


def test_what_was_not_used_has_no_effect_either() -> None:
    assert len(Kernels("", "", "", "").follow(setting("AVX2", "avx2", "COMPATIBLE", "2"))) == 4


def test_what_a_cpu_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert available(LARGE) == ({name: list(values) for name, values in AXES.items()}, [])
    axes, lacking = available(Kernels("Intel AVX2", "AVX2", "OFF", "1"))
    assert axes["ONEDNN_MAX_CPU_ISA"] == ["SSE41", "AVX2", ""]
    assert lacking == [
        "skipped: ONEDNN_MAX_CPU_ISA=AVX512_CORE: oneDNN sees Intel AVX2",
        "skipped: ATEN_CPU_CAPABILITY=avx512: ATen sees AVX2",
    ]
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    axes, lacking = available(Kernels("", "DEFAULT", "", "1"))  # another kind of processor
    assert axes == setting([""], ["default"], ["AUTO"], ["1"])
    assert len(lacking) == 3 + 2 + 1 + 1


def test_every_pair_is_in_the_settings_and_so_are_the_ends() -> None:
    found = [tuple(each.values()) for each in covering(AXES)]
    assert found[0] == ("SSE41", "default", "COMPATIBLE", "1")
    assert found[1] == ("", "avx512", "AUTO", "2")
    assert len(found) == len(set(found)) < 15
    for (i, one), (j, other) in combinations(enumerate(AXES.values()), 2):
        assert {(each[i], each[j]) for each in found} == set(product(one, other))
    assert [len(covering(setting([""], ["default"], ["AUTO"], counts))) for counts in (["1"], ["1", "2"])] == [1, 2]
    assert all(tuple(values) in set(product(*AXES.values())) for values in SHORT)


def test_a_run_without_effect_fails_and_one_that_the_cpu_lacks_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = []
    monkeypatch.setattr(kernels, "_test", lambda setting, *_: tested.append(setting) or True)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(kernels, "_probe", lambda _: LARGE)  # no variable changes anything
    assert kernels.main(["--short"]) == 1
    assert tested == []
    assert "FAILED   ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE" in capsys.readouterr().out
    old = Kernels("Intel SSE4.1", "DEFAULT", "COMPATIBLE", "1")
    monkeypatch.setattr(kernels, "_probe", lambda _: old)
    assert kernels.main(["--short"]) == 0
    assert [tuple(each.values()) for each in tested] == [SHORT[0]]
    assert "skipped  ONEDNN_MAX_CPU_ISA=AVX2" in capsys.readouterr().out
    monkeypatch.setattr(kernels, "_test", lambda *_: False)
    assert kernels.main(["--short"]) == 1


def test_limits_reach_the_libraries() -> None:
    """Of this machine, with what torch it has: the least that every CPU can follow."""
    axes, _ = available(kernels._probe({}))
    least = {name: values[0] for name, values in axes.items()}
    assert kernels._probe(least).follow(least) == []
