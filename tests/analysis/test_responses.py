"""Responses against networks computed by hand."""

from __future__ import annotations

import pytest
import rounding
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resdet.analysis.responses import LayerResponse, ResponseProfile, conclude_responses, measure_responses
from resdet.models.backbones.bn_statistics import recompute_bn_statistics
from resdet.models.backbones.registry import create_backbone
from resdet.models.classifier import Classifier
from resdet.structures import PIXEL_CONVENTIONS


def classifier(name: str, **options: object) -> Classifier:
    """Random weights, random BN: nothing is 0 or 1 by chance."""
    torch.manual_seed(0)
    model = Classifier(create_backbone(name, num_classes=2, width=4, **options), PIXEL_CONVENTIONS["torchvision"], ["a", "b"])
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.weight.data, part.bias.data, part.running_mean, part.running_var):
                values.copy_(torch.rand_like(values) + 0.5)
    return model.eval()


def images(count: int = 10) -> Tensor:
    torch.manual_seed(1)
    return torch.randint(256, (count, 3, 16, 16), dtype=torch.uint8)


def norm(model: nn.Module, key: str, x: Tensor) -> Tensor:
    bn = model.get_submodule(key)
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps)


def conv(model: nn.Module, key: str, x: Tensor) -> Tensor:
    part = model.get_submodule(key)
    return F.conv2d(x, part.weight, stride=part.stride, padding=part.padding)


@torch.no_grad()
def post_activation(model: Classifier, pixels: Tensor) -> dict[str, Tensor]:
    net, found = model.backbone, {}
    found["conv1"] = norm(net, "bn1", conv(net, "conv1", model.normalize(pixels)))
    x = found["conv1"].relu()
    for block in ("layer1.0", "layer2.0", "layer3.0"):
        found[f"{block}.conv1"] = norm(net, f"{block}.bn1", conv(net, f"{block}.conv1", x))
        found[f"{block}.conv2"] = norm(net, f"{block}.bn2", conv(net, f"{block}.conv2", found[f"{block}.conv1"].relu()))
        shortcut = net.get_submodule(block).downsample
        x = (found[f"{block}.conv2"] + (0 if shortcut is None else shortcut(x))).relu()
    return found


@torch.no_grad()
def pre_activation(model: Classifier, pixels: Tensor) -> dict[str, Tensor]:
    net, found = model.backbone, {}
    found["conv1"] = norm(net, "bn1", conv(net, "conv1", model.normalize(pixels)))
    x = found["conv1"].relu()
    for block in ("layer1.0", "layer2.0", "layer3.0"):
        activated = x if block == "layer1.0" else norm(net, f"{block}.bn1", x).relu()
        found[f"{block}.conv1"] = conv(net, f"{block}.conv1", activated)
        found[f"{block}.conv2"] = conv(net, f"{block}.conv2", norm(net, f"{block}.bn2", found[f"{block}.conv1"]).relu())
        shortcut = net.get_submodule(block).downsample
        x = found[f"{block}.conv2"] + shortcut(x if isinstance(shortcut, nn.Identity) else activated)
    return found


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [("cifar_resnet8", post_activation), ("cifar_plain8", post_activation), ("cifar_preact_resnet8", pre_activation)],
)
def test_deviations_are_those_of_a_network_by_hand(name: str, by_hand) -> None:
    model, pixels = classifier(name), images()
    found = measure_responses(model, [pixels[:1], pixels[1:8], pixels[8:]])
    expected = by_hand(model, pixels)
    assert [layer.layer for layer in found] == list(expected)
    assert [layer.depth for layer in found] == list(range(1, 8))
    for layer in found:
        deviation = float(expected[layer.layer].double().std(correction=0))  # a tenth of the largest number, at least
        assert layer.deviation == pytest.approx(deviation, rel=rounding.network(7, 9 * 16, torch.float32, amplified=10))


def test_exact_statistics_make_the_deviation_gamma() -> None:
    model, pixels = classifier("cifar_resnet8"), images(32)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.weight.data.fill_(3.0)
            part.bias.data.fill_(0.7)
    recompute_bn_statistics(model, [pixels])
    assert [layer.deviation for layer in measure_responses(model, [pixels])] == pytest.approx([3.0] * 7, rel=5e-3)


def test_kernels_of_a_bottleneck() -> None:
    model, pixels = classifier("cifar_preact_bottleneck11"), images(2)
    three = measure_responses(model, [pixels])
    assert [layer.layer for layer in three] == ["conv1", "layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2"]
    assert len(measure_responses(model, [pixels], all_convolutions=True)) == 10
    imagenet = classifier("resnet18")
    assert "conv1" not in {layer.layer for layer in measure_responses(imagenet, [pixels])}
    assert measure_responses(imagenet, [pixels], all_convolutions=True)[0].layer == "conv1"


def test_the_model_is_left_as_it_was() -> None:
    model, pixels = classifier("cifar_resnet8").train(), images(4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    measure_responses(model, [pixels])
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(part._forward_hooks for part in model.modules())
    with pytest.raises(ValueError, match="at least one image"):
        measure_responses(model, [])
    assert not any(part._forward_hooks for part in model.modules())


def profile(name: str, plain: bool, depth: int, *deviations: float) -> ResponseProfile:
    return ResponseProfile(name, plain, depth, tuple(LayerResponse(str(n), n, value) for n, value in enumerate(deviations, 1)))


def test_the_conclusion_follows_the_numbers() -> None:
    plain = [profile("p8", True, 8, 1.0, 2.0), profile("p20", True, 20, 2.0, 3.0)]
    residual = [profile("r20", False, 20, 0.1, 0.3), profile("r8", False, 8, 0.4, 0.4)]
    assert conclude_responses([*plain, *residual]) == (
        "mean standard deviation of the layers' responses: p8 1.5, p20 2.5, r20 0.2, r8 0.4; "
        "residual networks respond less than plain ones (0.3 and 2); "
        "deeper plain ones respond no less (8 layers 1.5, 20 layers 2.5); "
        "deeper residual ones respond less (8 layers 0.4, 20 layers 0.2)"
    )
    swapped = conclude_responses([profile("p", True, 8, 0.5), profile("r", False, 8, 0.5)])
    assert swapped.endswith("residual networks respond no less than plain ones (0.5 and 0.5)")
    mixed = [
        profile("p8", True, 8, 0.5),
        profile("p20", True, 20, 0.3),
        profile("r8", False, 8, 0.4),
        profile("r20", False, 20, 0.31),
    ]
    assert (
        "; residual networks respond less than plain ones of some depths, and no less than those of others "
        "(0.4 and 0.5, 0.31 and 0.3); "
    ) in conclude_responses(mixed)
    several = [profile(str(value), plain, 8, value) for plain in (True, False) for value in (0.8 + plain * 0.01, 0.9, 1.0)]
    assert conclude_responses(several).endswith("differ by no more than the noise of their trainings (0.9 and 0.903)")
    apart = [profile(str(value), plain, 8, value + plain) for plain in (True, False) for value in (0.8, 0.9, 1.0)]
    assert conclude_responses(apart).endswith("residual networks respond less than plain ones (0.9 and 1.9)")
    assert conclude_responses([profile("r", False, 8, 0.5)]) == "mean standard deviation of the layers' responses: r 0.5"
