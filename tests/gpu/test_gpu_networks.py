"""Networks on a GPU against themselves on the CPU, in float32: values to 1e-4 of the largest, the same decisions."""

from __future__ import annotations

import copy

import pytest
import torch
from close_detections import assert_close_detections, edges_of
from rounding import ALGEBRA
from tiny_detectors import picture, tiny_detector
from torch import Tensor, nn
from torch.nn import functional as F

from resdet.engine.optimizer import build_sgd
from resdet.models.backbones.registry import create_backbone
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.training_rows.recorded import record_passes
from resdet.ops.nms import class_nms, top_nms
from resdet.structures import Target

pytestmark = pytest.mark.gpu
CLOSE = 1e-4  # of the largest number: sums of some thousand products in another order, through some twenty layers


def close(found: Tensor, expected: Tensor, relative: float = CLOSE) -> None:
    difference = (found.detach().cpu().double() - expected.detach().double()).abs().max()
    assert difference <= relative * expected.abs().max(), f"{difference:.3g} of {expected.abs().max():.3g}"


def on(model: nn.Module, device: torch.device) -> nn.Module:
    return copy.deepcopy(model).to(device)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "cifar_resnet20"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_logits_and_gradients(device: torch.device, name: str, channels_last: bool) -> None:
    """Logits in float32; gradients in float64, for batch norm in training makes differences of rounding large."""
    torch.manual_seed(0)
    plain = create_backbone(name, num_classes=3)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    images, labels = torch.rand(4, 3, 64, 64), torch.tensor([0, 1, 2, 1])
    there = on(plain, device).to(memory_format=layout)
    with torch.no_grad():
        close(there.eval()(images.to(device)), plain.eval()(images))
    plain, there = plain.double().train(), on(plain, device).double().train().to(memory_format=layout)
    F.cross_entropy(plain(images.double()), labels).backward()
    F.cross_entropy(there(images.double().to(device)), labels.to(device)).backward()
    for own, other in zip(plain.parameters(), there.parameters(), strict=True):
        close(other.grad, own.grad, ALGEBRA)


@pytest.mark.parametrize("batch", [1, 3])
def test_detections_plain_and_prepared(device: torch.device, batch: int) -> None:
    model = tiny_detector(names=["cat", "dog", "emu"])
    there = on(model, device)
    images = [picture(seed, 64 + 16 * (seed % 2), 96) for seed in range(batch)]
    expected = model.detect(images)
    for other in (there, there.prepare()):
        for found, wanted in zip(other.detect([image.to(device) for image in images]), expected, strict=True):
            assert_close_detections(found.to("cpu"), wanted, edges=edges_of(model.roi_heads.postprocess))


def same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random keys of the CPU's generator on any device, so that the same anchors and regions are drawn."""
    draw = torch.rand

    def rand(*shape: object, device: object = None, **options: object) -> Tensor:
        return draw(*shape, **options).to(device)

    monkeypatch.setattr("resdet.models.detection.sampler.torch.rand", rand)


def losses_after(model: FasterRCNN, device: torch.device, steps: int, lr: float = 0.005) -> list[Tensor]:
    """The sums of the losses of some steps of training."""
    images = [picture(seed, 64, 96).to(device) for seed in range(2)]
    boxes = torch.tensor([[4.0, 6, 40, 50], [30, 8, 80, 60]])
    targets = [Target(boxes, torch.tensor([0, 2]), (64, 96)), Target(boxes[:1], torch.tensor([1]), (64, 96))]
    optimizer = build_sgd(model, lr, 0.9, 1e-4)
    found = []
    for step in range(steps):
        torch.manual_seed(step)
        optimizer.zero_grad()
        total = torch.stack(list(model.losses(images, targets).values())).sum()
        total.backward()
        optimizer.step()
        found.append(total.detach().cpu())
    return found


@pytest.mark.parametrize("fused", [False, True])
def test_a_detectors_steps(device: torch.device, monkeypatch: pytest.MonkeyPatch, fused: bool) -> None:
    same_draws(monkeypatch)
    model = tiny_detector().train()
    there = on(model, device)
    there = there.prepare_for_training() if fused else there
    expected, found = losses_after(model, torch.device("cpu"), 3), losses_after(there, device, 3)
    close(found[0], expected[0])
    for mine, other in zip(found, expected, strict=True):  # rounding grows from step to step
        close(mine, other, 1e-2)


def places(tensor: torch.Tensor) -> list[int]:
    """The strides of the dimensions that have any."""
    return [step for step, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


def test_recorded_passes_of_a_detector(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients of a step, and losses of steps of which most are replayed, are those of passes that are not recorded."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    losses, gradients = [], []
    for replays in (False, device.type == "cuda"):
        model = on(tiny_detector().train(), device).prepare_for_training()
        if replays:
            assert all(record_passes(part) for part in (model.trunk, model.roi_heads.res5))
        losses_after(model, device, 3, lr=0.0)  # a GPU records at the third
        losses.append(losses_after(model, device, 1, lr=0.0))
        gradients.append([parameter.grad.clone() for parameter in model.parameters() if parameter.requires_grad])
        losses[-1] += losses_after(model, device, 5)
    for mine, other in zip(gradients[1], gradients[0], strict=True):
        close(mine, other.cpu())
        assert places(mine) == places(other)
    close(losses[1][0], losses[0][0])
    for mine, other in zip(losses[1], losses[0], strict=True):  # rounding grows from step to step
        close(mine, other, 1e-3)


def test_recorded_passes_add_up_their_gradients(device: torch.device) -> None:
    """Over two steps without emptying, as the parts of a batch do, and where another size lies between them."""
    if device.type == "cpu":
        pytest.skip("a CPU records nothing")
    torch.manual_seed(0)
    sizes, found = [(64, 96), (96, 64), (64, 96), (64, 80)], []
    for replays in (False, True):
        model = on(tiny_detector().train(), device).prepare_for_training()
        trunk = model.trunk
        assert not replays or record_passes(trunk)
        for number in range(5):
            trunk.zero_grad()
            for size in sizes:
                torch.manual_seed(number)
                trunk(torch.randn(1, 3, *size, device=device)).square().sum().backward()
        found.append([parameter.grad.clone() for parameter in trunk.parameters() if parameter.requires_grad])
    for mine, other in zip(*found, strict=True):
        close(mine, other.cpu())


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_nms_decides_alike(device: torch.device, count: int) -> None:
    torch.manual_seed(0)
    corner = torch.rand(count, 2) * 200
    boxes = torch.cat([corner, corner + 5 + torch.rand(count, 2) * 60], 1)
    scores, labels = torch.rand(count), torch.randint(3, (count,))
    there = boxes.to(device), scores.to(device), labels.to(device)
    assert torch.equal(class_nms(*there, 0.5, 100).cpu(), class_nms(boxes, scores, labels, 0.5, 100))
    assert torch.equal(top_nms(*there[:2], 0.7, 300).cpu(), top_nms(boxes, scores, 0.7, 300))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_find_most_of_the_same(device: torch.device, dtype: torch.dtype) -> None:
    if device.type == "cpu" and dtype == torch.float16:
        pytest.skip("a CPU has no half precision to speak of")
    model = on(tiny_detector(), device)
    image = picture(1, 96, 128)
    exact, rounded = model.detect([image.to(device)])[0], model.prepare(dtype).detect([image.to(device)])[0]
    assert len(exact)
    assert torch.isfinite(rounded.scores).all()
    assert abs(len(exact) - len(rounded)) <= len(exact) // 2
