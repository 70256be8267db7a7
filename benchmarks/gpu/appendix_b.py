"""Which gains of the paper's appendix B hold on generated shapes, and at what cost; and four-step training beside joint.

Detectors on ResNet-18-C4 of several seeds, trained alike; each gain is a difference on the same images, with the interval of a
paired bootstrap. Several processes run at a time, by priority; what is finished stays below the output, and is not repeated.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from appendix_b_pieces import Plan, classifier, draw, evaluate, evaluation, join, times, train
from pieces import Piece, only, pool, run_pieces
from stage import Deadline, Report, arguments, device

SPLITS = ("train", "val")
TINY = {"train": 8, "val": 6, "few": 4, "side": 64, "short_side": 64, "pyramid": (32, 64, 96), "iterations": 8, "width": 8}


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--processes", type=int, default=8, metavar="N", help="at a time (default: 8)")
    parser.add_argument("--iterations", type=int, default=1000, metavar="N", help="of training (default: 1000)")
    parser.add_argument("--few", type=int, default=500, metavar="N", help="images for multi-scale testing (default: 500)")
    parser.add_argument("--side", type=int, default=600, metavar="PX", help="of images, made and tested (default: 600)")
    parser.add_argument("--val", type=int, default=2000, metavar="N", help="images for testing at one scale (default: 2000)")
    parser.add_argument("--regions", type=int, default=128, metavar="N", help="of an image, in training (default: 128)")
    parser.add_argument("--precision", default="bf16", choices=("bf16", "fp32"), help="of convolutions (default: bf16)")
    parser.add_argument("--cpu", action="store_true", help="where there is no GPU; see the other options for less to compute")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each detector (default: 3)")
    parser.add_argument(
        "--pieces", nargs="+", default=["*"], metavar="NAME", help="these and what they need, as plain_*_both (default: all)"
    )
    args = parser.parse_args()
    where, deadline = "cpu" if args.cpu else device(args.rehearse).type, Deadline(args.seconds)
    folder = (args.output or Path("runs/appendix_b.json")).absolute().with_suffix("")
    sizes = {"side": args.side, "short_side": args.side, "pyramid": tuple(args.side * third // 3 for third in range(1, 6))}
    counts = {"val": args.val, "few": args.few, "iterations": args.iterations, "regions": args.regions}
    plan = Plan(folder, where, args.weights, precision=args.precision, **counts, **sizes)
    seeds, processes = tuple(range(args.seeds)), args.processes
    if args.rehearse:
        least = {"steps": 4, "regions": 8, "timed": 1, "workers": 0, "timing": 0.0, "precision": "fp32"}
        plan = Plan(folder, where, args.weights, **least, **TINY)  # type: ignore[arg-type]
        seeds, processes = (0,), 2
    start = "ImageNet's weights" if plan.weights else "a narrow classifier of crops"
    report = Report(
        args.output,
        f"Appendix B on generated shapes: {plan.train} and {plan.val} images of {plan.side} pixels, ResNet-18-C4 from {start}, "
        f"{plan.iterations} iterations of 4 images",
    )
    began = deadline.left
    make(plan, os.cpu_count() or 1, deadline)
    report.note(f"data: {began - deadline.left:.0f} s")
    succeeded = run_pieces(only(all_pieces(plan, seeds), args.pieces), processes, deadline, report)
    for line in summary(report.content["rows"]):
        report.note(line)
    return 0 if succeeded else 1


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Of each gain its mean over the seeds, and of how many of them the interval does not hold 0."""
    gains = defaultdict[tuple[str, ...], list[dict[str, Any]]](list)
    for row in rows:
        if "against" in row:
            together = f"{len(row['seeds'].split())} together" if " " in row["seeds"] else "single"
            gains[row["model"], together, row["piece"], row["against"].split()[0], row["against"].split()[-1]].append(row)
    lines = []
    for (model, together, piece, kind, before), own in gains.items():
        mean = sum(row["AP gain"] for row in own) / len(own)
        sure = sum(not row["AP low"] <= 0 <= row["AP high"] for row in own)
        lines.append(
            f"{model}, {together}, {piece}, against {kind}, {before}: AP {mean:+.4f}; "
            f"beyond chance in {sure} of {len(own)} comparisons"
        )
    return lines


def make(plan: Plan, parts: int, deadline: Deadline) -> None:
    """The data, unless they are there, one process a core."""
    if plan.annotations("train").is_file():
        return
    shutil.rmtree(plan.folder / "data", ignore_errors=True)
    # forked: they are there at once, and use no device
    with pool(parts, deadline.left, "fork") as executor:
        for done in [executor.submit(draw, plan, split, part, parts) for split in SPLITS for part in range(parts)]:
            done.result()
    join(plan, parts)


def all_pieces(plan: Plan, seeds: tuple[int, ...]) -> list[Piece]:
    """By priority."""
    first, everyone = seeds[:1], seeds if len(seeds) > 1 else seeds * 2
    begun = () if plan.weights else ("classifier",)
    pieces = [Piece("classifier", classifier, (plan,))] if begun else []
    pieces += [Piece(f"{kind}_{seed}", train, (plan, kind, seed), begun) for kind in ("plain", "context") for seed in seeds]
    timed = [("plain", first, way) for way in ("baseline", "refinement", "multi-scale", "both")]
    timed += [("context", first, way) for way in ("baseline", "both")]
    timed += [("plain", everyone, "baseline"), ("context", everyone, "both")]
    trained = tuple(piece.name for piece in pieces)
    pieces.append(Piece("times", times, (plan, timed), trained, alone=True))
    # each gain against the line above it in the paper's table 9, or against the plain detector
    for seed in seeds:
        pieces.append(measured(plan, "plain", (seed,), "baseline"))
        for way in ("refinement", "multi-scale", "both"):
            pieces.append(measured(plan, "plain", (seed,), way, ("plain", (seed,), "baseline")))
    for seed in seeds:
        pieces.append(measured(plan, "context", (seed,), "baseline", ("plain", (seed,), "baseline")))
        pieces.append(measured(plan, "context", (seed,), "refinement", ("plain", (seed,), "refinement")))
        pieces.append(measured(plan, "context", (seed,), "both", ("context", (seed,), "refinement")))
    for way in ("baseline", "both"):
        pieces.append(measured(plan, "plain", everyone, way, ("plain", first, way)))
    pieces.append(measured(plan, "context", everyone, "both", ("context", first, "both")))
    for seed in seeds:
        pieces.append(Piece(f"four-step_{seed}", train, (plan, "four-step", seed), begun))
        pieces.append(measured(plan, "four-step", (seed,), "baseline", ("plain", (seed,), "baseline")))
    return pieces


def measured(
    plan: Plan,
    kind: str,
    seeds: tuple[int, ...],
    variant: str,
    against: tuple[str, tuple[int, ...], str] | None = None,
) -> Piece:
    """An evaluation of trained detectors."""
    folder, other = evaluation(plan, kind, seeds, variant), evaluation(plan, *against) if against else None
    after = (*(f"{kind}_{seed}" for seed in seeds), *([other.name] if other else []))
    return Piece(folder.name, evaluate, (plan, kind, seeds, variant, other), after)


if __name__ == "__main__":
    sys.exit(main())
