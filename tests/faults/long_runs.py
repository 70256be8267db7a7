"""Runs that are long, and must not grow: memory, open files and threads, after a warm-up.

python tests/faults/long_runs.py --steps 10000 [--seed 3] [--only classification detection localization predict loader]

Prints a line a run: how many steps, and the slope of each number by least squares over the last three quarters, as growth per
1,000 steps, with the most that is allowed. The exit status is 1 when one grows faster.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
MOST_MB = 4.0  # per 1,000 steps; a leak of one image of 64 pixels a step would be 12
MOST_HANDLES = 0.5
SAMPLES = 200


class Sample(NamedTuple):
    """What a process has at a time."""

    step: int
    memory: float  # MB that are in memory and its own
    handles: int
    threads: int


def sample(step: int) -> Sample:
    """This process now."""
    pages = Path("/proc/self/statm").read_text().split()
    own = (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return Sample(step, own, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")))  # noqa: PTH208


class Growth(NamedTuple):
    """Growth per 1,000 steps after the warm-up."""

    memory: float
    handles: float
    threads: float
    first: float
    last: float

    @property
    def flat(self) -> bool:
        """Whether it is within the bounds."""
        return self.memory <= MOST_MB and self.handles <= MOST_HANDLES and self.threads <= MOST_HANDLES


def growth(samples: list[Sample]) -> Growth:
    """The slopes of the last three quarters of the samples."""
    kept = np.array(samples[len(samples) // 4 :], dtype=np.float64)
    slopes = [1000 * float(np.polyfit(kept[:, 0], kept[:, column], 1)[0]) for column in (1, 2, 3)]
    return Growth(*slopes, float(kept[0, 1]), float(kept[-1, 1]))


def trained(task: str, steps: int, folder: Path, seed: int) -> Iterator[Sample]:
    """Train for so many steps on a few small images."""
    import yaml
    from faulty_commands import run_file

    import resdet
    from resdet.data.synthetic.scenes import make_shapes
    from resdet.engine.run import Hook, Run

    if not (folder / "shapes").exists():
        make_shapes(folder / "shapes", train=6, val=4, size=64, seed=0)
    values = yaml.safe_load(run_file(folder / f"{task}.yaml", task, folder / "shapes").read_text())
    every = max(1, steps // 5)
    values["schedule"]["iterations"] = steps
    values["run"].update(seed=seed, log_every=100, checkpoint_every=every, eval_every=every)
    values["output"] = str(folder / task)
    (folder / f"{task}.yaml").write_text(yaml.safe_dump(values))
    samples: list[Sample] = []

    class Watch(Hook):
        def after_step(self, run: Run) -> None:
            if run.iteration % max(1, steps // SAMPLES) == 0:
                samples.append(sample(run.iteration))

    resdet.train(str(folder / f"{task}.yaml"), device="cpu", hooks=[Watch()])
    yield from samples


def predicted(steps: int, folder: Path, seed: int) -> Iterator[Sample]:
    """Have a detector look at pictures of several sizes."""
    from tiny_detectors import tiny_detector

    from resdet.inference.detector import Detector

    detector = Detector(tiny_detector(seed), short_side=64, max_side=96)
    pictures = [np.random.default_rng(side).integers(0, 256, (side, 80, 3), dtype=np.uint8) for side in (40, 64, 96)]
    for step in range(steps):
        detector.predict(pictures[step % 3])
        if step % max(1, steps // SAMPLES) == 0:
            yield sample(step)


class Numbers:
    """A view whose batches are tensors."""

    def __len__(self) -> int:
        return 8

    def batch(self, keys: Any) -> Any:
        import torch

        return torch.full((3, 8, 8), float(keys[0][0]))


def restarted(steps: int, folder: Path, seed: int) -> Iterator[Sample]:
    """Begin to load with a worker, take a batch, and end it."""
    from resdet.data.loading.loader import train_loader

    for step in range(steps):
        batches: Any = train_loader(Numbers(), [[(index, 0)] for index in range(8)], 1)
        next(batches)
        batches.close()
        if step % max(1, steps // SAMPLES) == 0:
            yield sample(step)


RUNS: dict[str, tuple[Callable[[int, Path, int], Iterator[Sample]], float]] = {
    "classification": (functools.partial(trained, "classification"), 1),
    "detection": (functools.partial(trained, "detection"), 1),
    "localization": (functools.partial(trained, "localization"), 1),
    "predict": (predicted, 1),
    "loader": (restarted, 0.1),
}


def main() -> int:
    """Run them, and print what grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=RUNS)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    flat = True
    print("| run | steps | memory after the warm-up, and at the end | MB per 1,000 steps | handles | threads |")
    print("|" + "---|" * 6)
    for name in args.only or RUNS:
        run, share = RUNS[name]
        steps = max(SAMPLES // 4, round(args.steps * share))
        with tempfile.TemporaryDirectory() as folder:
            found = growth(list(run(steps, Path(folder), args.seed)))
        numbers = f"{found.first:.1f}, {found.last:.1f} MB | {found.memory:+.2f} | {found.handles:+.3f} | {found.threads:+.3f}"
        print(f"| {name} | {steps} | {numbers} |", flush=True)
        flat = flat and found.flat
    return int(not flat)


if __name__ == "__main__":
    sys.exit(main())
