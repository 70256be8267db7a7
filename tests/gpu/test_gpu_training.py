"""Training commands on a GPU: the data set on the device, recorded passes, resuming, determinism."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cifar_files import written_cifar10
from tiny_detectors import short_run

import resdet
from resdet.engine.run import Hook, Run
from resdet.errors import TrainingError

pytestmark = pytest.mark.gpu


GENTLE = {"optimizer.lr": 0.005}  # rounding grows from step to step, faster at larger rates


class Losses(Hook):
    """Notes the loss of every step."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def after_step(self, run: Run) -> None:
        self.found.append(run.losses["loss"])


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    """The convolutions' gradients are summed in one order; by itself cuDNN may add them as they come."""
    before, torch.backends.cudnn.deterministic = torch.backends.cudnn.deterministic, True
    yield
    torch.backends.cudnn.deterministic = before


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
    _, plain = trained(cifar, tmp_path / "plain", device, **GENTLE)
    run, replayed = trained(cifar, tmp_path / "replayed", device, **GENTLE, **{"run.cuda_graphs": device.type == "cuda"})
    assert replayed.found == pytest.approx(plain.found, rel=1e-3)
    assert replayed.found[0] == pytest.approx(plain.found[0], rel=1e-5)
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
    for (name, mine), other in zip(again.model.state_dict().items(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(mine, other), name


def test_recording_leaves_weights_and_statistics_as_they_were(device: torch.device, cifar: Path, tmp_path: Path) -> None:
    """Without a step (a learning rate of 0) only BN's statistics change, as much as in steps that are not recorded."""
    still = {"optimizer.lr": 0.0, "optimizer.momentum": 0.0}
    plain, _ = trained(cifar, tmp_path / "plain", device, iterations=2, **still)
    recorded, _ = trained(
        cifar, tmp_path / "recorded", device, iterations=2, **still, **{"run.cuda_graphs": device.type == "cuda"}
    )
    for (name, mine), other in zip(recorded.model.state_dict().items(), plain.model.state_dict().values(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-5, atol=1e-6), name


@pytest.mark.filterwarnings("ignore:frozen BN")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_detectors_recorded_passes_give_the_same_losses(
    device: torch.device, tiny_coco: Any, tmp_path: Path, precision: str
) -> None:
    """At weights that stay: the regions that a step draws hang on the last digit of a score."""
    found = []
    for recorded in (False, device.type == "cuda"):
        losses = Losses()
        options = short_run(tiny_coco) | {
            "model.roi.batch_size_per_image": 8,
            "optimizer.lr": 0.0,
            "run.precision": precision,
            "run.cuda_graphs": recorded,
        }
        output = tmp_path / f"{recorded} {len(found)}"
        run = resdet.train("coco_r50", output=output, device=device.type, hooks=[losses], **options)
        if recorded:
            assert run.network.trunk.forward._passes
            assert run.network.roi_heads.res5.forward._passes
        found.append(losses.found)
    assert len(found[0]) == 8
    assert found[1] == pytest.approx(found[0], rel=1e-4)


def test_a_loss_that_is_not_finite_stops_before_the_weights(device: torch.device, cifar: Path, tmp_path: Path) -> None:
    class Spoil(Hook):
        def after_step(self, run: Run) -> None:
            with torch.no_grad():
                run.task.model.backbone.fc.bias.fill_(float("nan"))

    with pytest.raises(TrainingError, match="the loss is not finite"):
        trained(cifar, tmp_path / "run", device, hook=Spoil(), **{"run.cuda_graphs": device.type == "cuda"})
