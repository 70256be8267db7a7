"""Compiles each kernel in Triton for compute capability 9.0 and prints its name; no GPU is needed for that."""

from __future__ import annotations

from typing import Any

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler import compile as compiled

from resdet.ops.triton_nms import _overlaps, _walk
from resdet.ops.triton_roi_align import _pool


def check(kernel: Any, constants: dict[str, Any], **types: str) -> None:
    signature = {name: types.get(name, "constexpr" if name in constants else "i32") for name in kernel.arg_names}
    done = compiled(
        ASTSource(kernel, signature, constants), target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": False}
    )
    assert "div.full" not in done.asm["ptx"]  # which is not rounded as torchvision's is
    print(kernel.__name__)


for labels, by_label in (("*i1", False), ("*i64", True)):
    check(_overlaps, {"by_label": by_label}, boxes="*fp32", labels=labels, overlaps="*i64", threshold="fp32")
for width in (32, 128):
    sizes = {"rows": 64, "width": width}
    check(_walk, sizes, overlaps="*i64", usable="*i1", survivors="*i64", kept="*i64")
for number, sizes in (
    ("*bf16", {"down": 14, "across": 14, "columns": 16, "block": 128}),
    ("*fp32", {"down": 1, "across": 1, "columns": 1, "block": 1, "channels": 1}),  # a 1 is a constant
):
    check(_pool, sizes, features=number, boxes="*fp32", image="*i64", pooled=number, scale="fp32")
