"""Run folders that hold something else, and training that fails."""

from __future__ import annotations

import re

import pytest
import torch
from error_lab import Lab, finished, malicious, then, written
from error_rows import Row, check, row
from safetensors.torch import load_file

from resdet.cli import main

RUNS = [
    row(
        "a folder that holds a run",
        lambda lab: finished(lab),
        2,
        r"run holds a run; pass --resume to continue it or choose another --output",
    ),
    row(
        "resumed with other options",
        lambda lab: [*finished(lab), "--resume", "optimizer.lr=0.5", "run.seed=9"],
        2,
        r"run holds a run of another config: option 'optimizer\.lr' is 0\.02 there and 0\.5 now",
        r"run holds a run of another config: option 'run\.seed' is 3 there and 9 now",
    ),
    row(
        "a damaged state",
        lambda lab: [*finished(lab, damage=lambda state: state[: len(state) // 2]), "--resume"],
        3,
        r"run/state\.pt: not a readable training state: ",
    ),
    row(
        "a state that is a pickle with code",
        lambda lab: [
            *finished(lab, damage=lambda state: malicious(lab.folder / "evil", lab.folder / "pwned").read_bytes()),
            "--resume",
        ],
        3,
        r"run/state\.pt: not a readable training state: ",
        after=lambda lab: not (lab.folder / "pwned").exists(),
    ),
    row(
        "an output that is a file",
        lambda lab: then(written(lab.output, b""), lab.train_cls()),
        2,
        r"--output .*run: .*(File exists|Not a directory)",
    ),
]


def saved_before_the_failure(lab: Lab) -> bool:
    """No checkpoint was due, and both files are there, of the same finite weights."""
    state = torch.load(lab.output / "state.pt", weights_only=True)
    model = load_file(lab.output / "model.safetensors")
    return all(tensor.isfinite().all() and torch.equal(tensor, state["model"][name]) for name, tensor in model.items())


TRAINING = [
    row(
        "a detector's loss that explodes",
        lambda lab: lab.train_det("optimizer.lr=1e30", "run.checkpoint_every=100", schedule__warmup_iterations=0),
        1,
        r"iteration \d+: the loss is not finite \(loss \w+, .*loss_roi_cls .*\) at learning rate 1e\+30, "
        r"images .*\.png \(image id \d\), .*\.png \(image id \d\); .*state\.pt holds the state before it; optimizer\.clip_norm",
        after=lambda lab: saved_before_the_failure(lab),
    ),
    row(
        "a classifier's loss that explodes after a checkpoint",
        lambda lab: lab.train_cls("optimizer.lr=1e18", "schedule.iterations=6", schedule__warmup_iterations=0),
        1,
        r"iteration \d+: (the loss is not finite .*images .*\.png|.* of the model is not finite)",
    ),
]


@pytest.mark.parametrize("mistake", RUNS + TRAINING, ids=lambda mistake: mistake.name)
def test_failing_runs(mistake: Row, lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    check(mistake, lab, capfd)


def test_non_finite_loss_keeps_the_last_checkpoint(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """A warm-up that ends in madness: the checkpoint before is untouched, and the message names the images of the step."""
    # lr is 1e-8 of 1e9 at first and passes through all magnitudes: the first steps are sane
    schedule = {"iterations": 8, "warmup_iterations": 4, "warmup_factor": 1e-12}
    command = lab.train_cls(schedule=schedule, optimizer__lr=1e20)
    assert main(command) == 1
    assert re.search(r"error: iteration \d+: .*not finite", capsys.readouterr().err)
    state = torch.load(lab.output / "state.pt", weights_only=True)
    assert state["iteration"] >= 1
    assert all(tensor.isfinite().all() for tensor in state["model"].values())
    assert all(tensor.isfinite().all() for tensor in load_file(lab.output / "model.safetensors").values())
