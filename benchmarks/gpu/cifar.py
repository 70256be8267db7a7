"""CIFAR-10 by the paper's schedule with the data set on the device and recorded passes: R20 first, then as many as fit.

Without the files of CIFAR-10 the steps are timed on pictures that are made.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from cifar_files import written_cifar10  # of the tests' folder
from stage import Deadline, Report, arguments, device

import resdet

PAPER = {"r20": "8.75", "plain20": "", "r56": "6.97", "plain56": "", "r32": "7.51", "r44": "7.17", "r110": "6.43 (6.61 ± 0.16)"}
args = arguments(__doc__).parse_args()
where, deadline = device(args.rehearse), Deadline(args.seconds)
real = args.cifar10 is not None
report = Report(args.output, f"CIFAR-10, {'64,000 steps of 128, bf16' if real else 'timing of steps, made pictures'}")
with tempfile.TemporaryDirectory() as folder:
    root = args.cifar10 if real else written_cifar10(Path(folder) / "cifar", 20 if args.rehearse else 10_000)
    a_step = 0.0
    for name, reference in list(PAPER.items())[: 1 if args.rehearse else None]:
        steps = 64_000 if real else 4 if args.rehearse else 2_000
        if deadline.left < max(10.0, 1.2 * steps * a_step):
            report.note(f"{name}: no time left")
            continue
        began = time.monotonic()
        run = resdet.train(
            f"cifar10_{name}",
            output=Path(folder) / name,
            device=where.type,
            **{
                "data.train.root": str(root),
                "data.val.root": str(root),
                "data.resident": True,
                "data.workers": 0 if args.rehearse else 4,
                "run.cuda_graphs": where.type == "cuda",
                "run.channels_last": where.type == "cuda",
                "run.precision": "bf16",
                "run.log_every": min(1000, steps),
                "run.checkpoint_every": steps,
                "run.eval_every": 0,
                "schedule.iterations": steps,
                **({} if real else {"schedule.milestones": []}),
                **({"run.batch": 8} if args.rehearse else {}),
            },
        )
        seconds = time.monotonic() - began
        a_step = max(a_step, seconds / steps)
        error = run.metrics["top1_error"]
        report.row(
            network=name,
            steps=steps,
            seconds=f"{seconds:.0f}",
            **(
                {"test error": f"{100 * error:.2f} %", "paper": reference}
                if real
                else {"ms a step": f"{1000 * seconds / steps:.2f}"}
            ),
        )
