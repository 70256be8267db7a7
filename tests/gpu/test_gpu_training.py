"""Training commands on a GPU: the data set on the device, recorded passes, resuming, determinism."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from cifar_files import written_cifar10
from torch import nn

import resdet
from resdet.engine.graphs import replay
from resdet.engine.precision import Precision
from resdet.engine.run import Hook, Run

pytestmark = pytest.mark.gpu


class Losses(Hook):
    """Notes the loss of every step."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def after_step(self, run: Run) -> None:
        self.found.append(run.losses["loss"])


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    return written_cifar10(tmp_path / "cifar")


def trained(
    cifar: Path,
    output: Path,
    device: torch.device,
    iterations: int = 12,
    resume: bool = False,
    hook: Hook | None = None,
    **options: Any,
) -> tuple[Run, Losses]:
    """A run of ResNet-20 with the images on the device, and its losses."""
    losses = Losses()
    chosen = {
        "data.train.root": str(cifar),
        "data.val.root": str(cifar),
        "data.resident": True,
        "schedule.iterations": iterations,
        "schedule.milestones": [],
        "optimizer.lr": 0.05,
        "optimizer.base_batch": 0,
        "run.batch": 20,
        "run.checkpoint_every": 6,
        "run.eval_every": 0,
        **options,
    }
    hooks = [losses, hook] if hook else [losses]
    return resdet.train("cifar10_r20", output=output, device=device.type, hooks=hooks, resume=resume, **chosen), losses


def test_images_on_the_device_are_learnt_from(device: torch.device, cifar: Path, tmp_path: Path) -> None:
    _, losses = trained(cifar, tmp_path / "run", device, iterations=30)
    assert losses.found[-1] < 0.7 * losses.found[0]


def test_recorded_passes_train_as_others_do(device: torch.device, cifar: Path, tmp_path: Path) -> None:
    _, plain = trained(cifar, tmp_path / "plain", device)
    recorded = {"run.cuda_graphs": device.type == "cuda"}
    run, replayed = trained(cifar, tmp_path / "replayed", device, **recorded)
    assert replayed.found == pytest.approx(plain.found, rel=0.05)
    assert replayed.found[0] == pytest.approx(plain.found[0], rel=1e-4)
    assert run.metrics["top1_error"] is not None  # evaluation is not recorded: its batches have another size


def test_a_run_stopped_and_resumed_is_the_same(device: torch.device, cifar: Path, tmp_path: Path) -> None:
    class Stop(Hook):
        def after_step(self, run: Run) -> None:
            if run.iteration == 8:
                raise KeyboardInterrupt

    options = {"run.cuda_graphs": device.type == "cuda"}
    whole, _ = trained(cifar, tmp_path / "whole", device, **options)
    with pytest.raises(KeyboardInterrupt):
        trained(cifar, tmp_path / "stopped", device, hook=Stop(), **options)
    again, _ = trained(cifar, tmp_path / "stopped", device, resume=True, **options)
    for mine, other in zip(again.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        # on a GPU the convolutions' gradients are summed by atomic additions where torch finds that faster
        assert torch.equal(mine, other) if device.type == "cpu" else torch.allclose(mine, other, rtol=1e-2, atol=1e-3)


def test_recording_leaves_statistics_and_weights_as_they_were(device: torch.device) -> None:
    if device.type == "cpu":
        pytest.skip("a CPU records no graphs")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).to(device)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    replay(module, torch.zeros(2, 3, 8, 8, device=device), Precision("fp32", device))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    x = torch.rand(2, 3, 8, 8, device=device)
    module.eval()
    assert torch.equal(module[2](module[1](module[0](x))), module(x))
    module.train()
    module(x).sum().backward()
    assert module[0].weight.grad is not None
    assert int(module[1].num_batches_tracked) == 1
