"""What this machine's products can do: G multiply-adds a second of each library, on the shapes of a detector of ResNet-50.

Rows by a fixed weight: torch's ``mm``, oneDNN's product of a weight that was packed once (``torch.ops.mkldnn``, where torch has
it), and ``mm`` in bfloat16 where the CPU has it. The products of the Fourier form: one ``bmm``, or packed ones one by one. The
ways must give the same numbers before they are measured. From these rates and the multiply-adds of a form follows the least
time that the form can take on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from machine import computes_bf16
from measure import Claim, Result, arguments, compare
from reporting import report
from torch import Tensor
from torch.nn import functional as F

MM, PACKED, BF16 = "torch mm", "oneDNN packed", "torch mm, bf16"
# rows, channels in, channels out: 1×1s of conv5 on 100 regions, then on the C4 map of 600×800; products of the Fourier form
SHAPES = ((4900, 512, 2048), (4900, 2048, 512), (1900, 1024, 512), (9400, 512, 512))
BATCH = (94, 100, 512, 512)  # products of the Fourier form of a 3×3 on 7×7, rows (regions), channels in and out
MAPS = (100, 512, 512, 7)  # maps, channels in and out, side
WINS = 1.5  # so much faster packed products must be to count as such: with the same instructions they are, by a little
Way = Callable[[], object]


def main() -> None:
    args = arguments(__doc__).parse_args()
    if not packs():
        print(f"{PACKED}: this torch has none")
    shrink = 16 if args.quick else 1
    results: list[Result] = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        for shape in SHAPES:
            rows, channels, out = (size // shrink for size in shape)
            name = f"peak: {rows}×{channels} by {channels}×{out}"
            results += measured(name, rows * channels * out, row_products(rows, channels, out), args.repeats, threads)
        count, rows, channels, out = BATCH[0], *(size // shrink for size in BATCH[1:])
        name = f"peak: {count} products of {rows}×{channels} by {channels}×{out}"
        results += measured(name, count * rows * channels * out, batched(count, rows, channels, out), args.repeats, threads)
        maps, channels, out, side = *(size // shrink for size in MAPS[:3]), MAPS[3]
        name = f"peak: 3×3 convolution, {channels} to {out} channels, {maps} maps of {side}×{side}"
        results += measured(
            name, 9 * maps * side**2 * channels * out, convolution(maps, channels, out, side), args.repeats, threads
        )
    report("Peak", results, json_path=args.output, quick=args.quick)


def packs() -> bool:
    """Whether this torch offers oneDNN's product of a weight packed once."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)


def packed_wins(threads: int) -> bool:
    """Whether packed products are faster than torch's own on this machine: on the larger of conv5's, best of a few runs."""
    if not packs():
        return False
    rows, channels, out = SHAPES[0]
    found = compare(Claim("", None), row_products(rows, channels, out), ours=PACKED, peer=MM, repeats=3, threads=threads)
    return min(found.values(MM, "CPU s")) > WINS * min(found.values(PACKED, "CPU s"))


def row_products(rows: int, channels: int, out: int) -> dict[str, Way]:
    """The ways to multiply rows (rows, channels) by a weight (out, channels), after a look at their results."""
    torch.manual_seed(0)
    x, weight = torch.randn(rows, channels), torch.randn(out, channels)
    columns = weight.t().contiguous()
    ways: dict[str, Way] = {MM: lambda: torch.mm(x, columns)}
    if packs():
        ways[PACKED] = packed(x, weight)
    if computes_bf16():
        short, short_columns = x.bfloat16(), columns.bfloat16()
        ways[BF16] = lambda: torch.mm(short, short_columns)
    return agreed(ways, x.double() @ columns.double(), math.sqrt(channels))


def batched(count: int, rows: int, channels: int, out: int) -> dict[str, Way]:
    """The ways to multiply ``count`` times rows (rows, channels) by a weight (out, channels) each."""
    torch.manual_seed(0)
    x, weights = torch.randn(count, rows, channels), torch.randn(count, out, channels)
    columns = weights.transpose(1, 2).contiguous()
    ways: dict[str, Way] = {"torch bmm": lambda: torch.bmm(x, columns)}
    if packs():
        each = [packed(one, weight) for one, weight in zip(x, weights, strict=True)]
        ways[PACKED] = lambda: torch.stack([product() for product in each])
    if computes_bf16():
        short, short_columns = x.bfloat16(), columns.bfloat16()
        ways["torch bmm, bf16"] = lambda: torch.bmm(short, short_columns)
    return agreed(ways, torch.bmm(x.double(), columns.double()), math.sqrt(channels))


def convolution(maps: int, channels: int, out: int, side: int) -> dict[str, Way]:
    """The 3×3 by definition, which torch gives to oneDNN."""
    torch.manual_seed(0)
    x, weight = torch.randn(maps, channels, side, side), torch.randn(out, channels, 3, 3)
    return {"torch conv2d": lambda: F.conv2d(x, weight, padding=1)}


def packed(x: Tensor, weight: Tensor) -> Callable[[], Tensor]:
    """The product of rows (R, C) by a weight (out, C), which is packed now."""
    ready = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))
    return lambda: torch.ops.mkldnn._linear_pointwise(x, ready, None, "none", [], "")


def agreed(ways: dict[str, Way], expected: Tensor, scale: float) -> dict[str, Way]:
    """``ways``; it exits when one gives other numbers than ``expected``, whose standard deviation is ``scale``."""
    for name, way in ways.items():
        # of sums of n products of standard normal numbers: bf16 rounds the factors and the result to 8 bits
        tolerance = (0.05 if name.endswith("bf16") else 1e-4) * scale
        if not float((torch.as_tensor(way()).double() - expected).abs().max()) <= tolerance:
            raise SystemExit(f"{name}: gives other numbers than the product in float64")
    return ways


def measured(name: str, multiply_adds: float, ways: dict[str, Way], repeats: int, threads: int) -> list[Result]:
    """A result for each way, beside torch's own where there are others."""
    own, *others = ways
    claim = Claim(name, None, multiply_adds=multiply_adds)
    found = compare(claim, ways, ours=own, peer=None, repeats=repeats, threads=threads)
    return [found, *(replace(found, ours=way) for way in others)]


if __name__ == "__main__":
    main()
