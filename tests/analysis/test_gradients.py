"""Gradient norms against plain autograd."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from resdet.analysis.gradients import GradientProfile, LayerGradient, conclude_gradients, measure_gradients
from resdet.data.loading.batches import ClassificationBatch
from resdet.models.backbones.registry import create_backbone
from resdet.models.classifier import Classifier
from resdet.structures import PIXEL_CONVENTIONS


def classifier(name: str, **options: object) -> Classifier:
    torch.manual_seed(0)
    backbone = create_backbone(name, num_classes=3, width=4, **options)
    return Classifier(backbone, PIXEL_CONVENTIONS["torchvision"], ["a", "b", "c"])


def batches(count: int) -> list[ClassificationBatch]:
    torch.manual_seed(1)
    return [
        ClassificationBatch(torch.randint(256, (6, 3, 16, 16), dtype=torch.uint8), torch.randint(3, (6,)), ("",) * 6)
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "options"),
    [("cifar_resnet8", {}), ("cifar_resnet8", {"shortcut": "C"}), ("cifar_plain8", {}), ("cifar_preact_resnet8", {})],
)
def test_norms_are_those_of_a_backward_pass(name: str, options: dict[str, object]) -> None:
    model, data = classifier(name, **options), batches(3)
    found = measure_gradients(model, data)
    expected: dict[str, list[float]] = {}
    for batch in data:
        fresh = copy.deepcopy(model).train()
        F.cross_entropy(fresh(batch.images), batch.labels).backward()
        for key, weight in fresh.backbone.named_parameters():
            if weight.ndim == 4:
                expected.setdefault(key.removesuffix(".weight"), []).append(float(weight.grad.norm()))
    assert [layer.layer for layer in found] == sorted(expected, key=[layer.layer for layer in found].index)
    for layer in found:
        norm = sum(expected[layer.layer]) / 3
        weight = model.backbone.get_parameter(f"{layer.layer}.weight")
        assert layer.norm == pytest.approx(norm, rel=1e-4)
        assert layer.relative == pytest.approx(norm / float(weight.detach().norm()), rel=1e-4)
        assert layer.is_projection == ("downsample" in layer.layer)


def test_the_model_is_left_as_it_was() -> None:
    model = classifier("cifar_resnet8").eval()
    model.backbone.layer1.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        measure_gradients(model, batches(2))
    assert not model.training
    assert model.backbone.layer1.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_weight_before_bn_has_a_gradient_that_falls_as_it_grows() -> None:
    """BN makes the output independent of the weight's size, so the gradient of c * w is 1 / c that of w."""
    model, data = classifier("cifar_resnet8"), batches(1)
    before = {layer.layer: layer for layer in measure_gradients(model, data)}
    with torch.no_grad():
        model.backbone.get_parameter("layer2.0.conv2.weight").mul_(4)
    after = {layer.layer: layer for layer in measure_gradients(model, data)}
    changed = "layer2.0.conv2"
    assert after[changed].norm == pytest.approx(before[changed].norm / 4, rel=1e-3)
    assert after[changed].relative == pytest.approx(before[changed].relative / 16, rel=1e-3)
    assert after["conv1"].norm == pytest.approx(before["conv1"].norm, rel=1e-3)


def test_needs_a_batch() -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        measure_gradients(classifier("cifar_resnet8"), [])


def profile(network: str, plain: bool, first: float, last: float) -> GradientProfile:
    layers = (
        LayerGradient("conv1", 1, False, first, 1.0),
        LayerGradient("layer1.0.conv2", 2, False, last, 1.0),
        LayerGradient("layer1.0.downsample.0", 2, True, 1e9, 1.0),
    )
    return GradientProfile(network, "at the start", plain, layers)


@pytest.mark.parametrize(
    ("plain", "residual", "verdict"),
    [
        ((100.0, 1.0), (2.0, 1.0), "more even in residual than in plain networks (ends apart by a factor of 2 and 100)"),
        ((1.0, 100.0), (1.0, 2.0), "more even in residual than in plain networks (ends apart by a factor of 2 and 100)"),
        ((2.0, 1.0), (1.0, 8.0), "no more even in residual than in plain ones (ends apart by a factor of 8 and 2)"),
        ((0.0, 1.0), (1.0, 8.0), "a gradient is 0 or not finite in the plain networks"),
        ((0.0, 1.0), (1.0, 0.0), "a gradient is 0 or not finite in the plain and residual networks"),
        ((math.nan, 1.0), (1.0, 1.0), "a gradient is 0 or not finite in the plain networks"),
    ],
)
def test_the_conclusion_follows_the_numbers(plain: tuple[float, float], residual: tuple[float, float], verdict: str) -> None:
    text = conclude_gradients([profile("p", True, *plain), profile("r", False, *residual)])
    assert text.startswith("gradient norm of the first layer over that of the last: p at the start ")
    assert text.endswith(verdict)
    assert "\n" not in text


def test_one_kind_alone_is_not_compared() -> None:
    text = conclude_gradients([profile("r", False, 3.0, 2.0)])
    assert text == "gradient norm of the first layer over that of the last: r at the start 1.5"
