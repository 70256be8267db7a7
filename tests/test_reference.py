"""BN, every kind of residual block and whole networks against the functional reference: outputs, gradients, statistics."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from residual_blocks import residual_block
from rounding import ALGEBRA, assert_near
from torch import Tensor, nn

from resdet.models.backbones.blocks import ResidualBlock
from resdet.models.backbones.preact_blocks import PreactBlock
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.resnet import ResNet
from resdet.ops.frozen_bn import freeze_batch_norm
from resdet.reference import Layers, block_strides, post_activation_block, pre_activation_block, residual_network


def _randomize(module: nn.Module) -> None:
    """Numbers that tell one tensor from another: BN starts at scales of 1 and shifts of 0."""
    for key, value in module.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point() and value.ndim == 1:
            value.normal_()


def _reference_of(module: nn.Module, prefix: str = "") -> tuple[Layers, dict[str, Tensor]]:
    """The functional twin of a module with the same numbers, and its parameters as leaves of a graph of their own."""
    state = {f"{prefix}{key}": value.clone() for key, value in module.state_dict().items()}
    parameters = {f"{prefix}{key}": state[f"{prefix}{key}"].requires_grad_() for key, _ in module.named_parameters()}
    return Layers(state, module.training), parameters


def _assert_same(
    module: nn.Module, prefix: str, x: Tensor, reference_x: Tensor, output: Tensor, reference: Tensor, twin: Layers
) -> None:
    """Outputs, gradients of the input and of all parameters, and running statistics, in float64."""
    assert_near(output, reference, ALGEBRA)
    weights = torch.randn_like(reference)
    (output * weights).sum().backward()
    (reference * weights).sum().backward()
    assert_near(x.grad, reference_x.grad, ALGEBRA)
    for key, parameter in module.named_parameters():
        assert_near(parameter.grad, twin.state[f"{prefix}{key}"].grad, ALGEBRA, key)
    for key, value in module.named_buffers():
        if not key.endswith("num_batches_tracked"):
            assert_near(value, twin.state[f"{prefix}{key}"], ALGEBRA, key)


@settings(max_examples=40)
@given(
    images=st.integers(1, 4),
    channels=st.integers(1, 5),
    height=st.integers(1, 4),
    width=st.integers(2, 5),
    offset=st.sampled_from([0.0, -3.0, 1e3]),
    training=st.booleans(),
)
def test_batch_norm(images: int, channels: int, height: int, width: int, offset: float, training: bool) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels).double().train(training)
    _randomize(norm)
    twin, _ = _reference_of(norm, "bn.")
    values = torch.randn(images, channels, height, width, dtype=torch.float64) + offset
    x, reference_x = values.clone().requires_grad_(), values.clone().requires_grad_()
    # at an offset of 1e3 both lose the same digits in x - mean
    assert_near(norm(x), twin.batch_norm(reference_x, "bn"), ALGEBRA)
    if offset != 1e3:
        x.grad = reference_x.grad = None
        _assert_same(norm, "bn.", x, reference_x, norm(x), twin.batch_norm(reference_x, "bn"), twin)


def test_batch_norm_by_hand() -> None:
    """Four numbers: mean 4, variance 5 (unbiased 20 / 3), from running statistics 10 and 2."""
    state = {"bn.weight": [3.0], "bn.bias": [1.0], "bn.running_mean": [10.0], "bn.running_var": [2.0]}
    layers = Layers({key: torch.tensor(value, dtype=torch.float64) for key, value in state.items()}, training=True)
    x = torch.tensor([1.0, 3.0, 5.0, 7.0], dtype=torch.float64).view(2, 1, 1, 2)
    expected = [1 + 3 * deviation / (5 + 1e-5) ** 0.5 for deviation in (-3, -1, 1, 3)]
    assert layers.batch_norm(x, "bn").flatten().tolist() == pytest.approx(expected, rel=1e-14)
    assert layers.state["bn.running_mean"].item() == pytest.approx(0.9 * 10 + 0.1 * 4, rel=1e-14)
    assert layers.state["bn.running_var"].item() == pytest.approx(0.9 * 2 + 0.1 * 20 / 3, rel=1e-14)
    layers.training = False
    layers.state |= {"bn.running_mean": torch.tensor([2.0]).double(), "bn.running_var": torch.tensor([4.0]).double()}
    assert layers.batch_norm(x, "bn")[0, 0, 0, 0].item() == pytest.approx(1 - 3 / (4 + 1e-5) ** 0.5, rel=1e-14)


# kind of block, order of its parts, shortcut, (input channels, width, stride), the first block after the stem
_BLOCKS = [
    (block, preactivation, option, shape, follows_stem)
    for block, preactivation, option, follows_stem in itertools.product(
        ("basic", "bottleneck"), (False, True), ("A", "B", "C", "none"), (False, True)
    )
    for shape in ((2, 2, 1), (8, 2, 1), (3, 4, 1), (3, 4, 2), (4, 4, 2))
    if preactivation or not follows_stem
    # zero channels can be added, not taken away
    if option != "A" or shape[0] <= shape[1] * (4 if block == "bottleneck" else 1)
]


@pytest.mark.parametrize(("block", "preactivation", "option", "shape", "follows_stem"), _BLOCKS)
@pytest.mark.parametrize("training", [True, False])
def test_blocks(
    block: str, preactivation: bool, option: str, shape: tuple[int, int, int], follows_stem: bool, training: bool
) -> None:
    torch.manual_seed(0)
    for stride_in_1x1 in (False, True)[: 2 if block == "bottleneck" else 1]:
        place = {"stride_in_1x1": stride_in_1x1} if block == "bottleneck" else {}
        module = residual_block(block, shape, option=option, preactivation=preactivation, follows_stem=follows_stem, **place)
        _assert_is_the_reference(module.train(training), shape[0], option, block_strides(block, shape[2], stride_in_1x1))


@pytest.mark.parametrize("preactivation", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_grouped_bottlenecks_and_averaged_shortcuts(preactivation: bool, stride: int, training: bool) -> None:
    torch.manual_seed(0)
    for option in ("B", "C"):
        block = residual_block(
            "bottleneck", (6, 8, stride), option=option, preactivation=preactivation, averaged=True, groups=4
        )
        assert block.conv2.weight.shape == (8, 2, 3, 3)
        _assert_is_the_reference(block.train(training), 6, option, block_strides("bottleneck", stride, False))


def _assert_is_the_reference(module: ResidualBlock, channels: int, option: str, strides: list[int]) -> None:
    module.double()
    _randomize(module)
    twin, _ = _reference_of(module, "block.")
    values = torch.randn(3, channels, 5, 4, dtype=torch.float64)
    x, reference_x = values.clone().requires_grad_(), values.clone().requires_grad_()
    if isinstance(module, PreactBlock):
        follows_stem = module.bn1 is None
        expected = pre_activation_block(reference_x, twin, "block", option, strides, follows_stem=follows_stem)
    else:
        expected = post_activation_block(reference_x, twin, "block", option, strides)
    _assert_same(module, "block.", x, reference_x, module(x), expected, twin)
    assert torch.equal(x, values)  # nothing is overwritten in place


def test_reference_gradients_against_finite_differences() -> None:
    torch.manual_seed(0)
    for preactivation, reference in ((False, post_activation_block), (True, pre_activation_block)):
        module = residual_block("basic", (2, 3, 2), preactivation=preactivation).double()
        _randomize(module)
        twin, parameters = _reference_of(module, "block.")

        def output(x: Tensor, *_: Tensor, reference=reference, twin=twin) -> Tensor:
            return reference(x, twin, "block", "B", [2, 1])

        x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(output, (x, *parameters.values()))


def _networks() -> list[tuple[str, dict]]:
    options = [{"shortcut": option} for option in ("A", "B", "C", "none")]
    small = {"width": 4, "num_classes": 3}
    cases = [
        (name, {**option, **small})
        for name in ("resnet18", "preact_resnet18", "cifar_resnet8", "cifar_preact_resnet14")
        for option in options
    ]
    cases += [
        (name, {**option, **small, "stride_in_1x1": stride_in_1x1})
        for name in ("cifar_preact_bottleneck20",)
        for option in options
        for stride_in_1x1 in (False, True)
    ]
    cases += [
        (name, {**small, "stride_in_1x1": True}) for name in ("resnet50", "preact_resnet50", "preact_resnet34", "plain18")
    ]
    cases += [("resnext50_32x4d", {**small, "width": 16}), ("wide_resnet50_2", small), ("resnet50d", small)]
    return [*cases, ("cifar_plain20", small), ("cifar_preact_resnet164", small)]


@pytest.mark.parametrize(("name", "options"), _networks())
@pytest.mark.parametrize("training", [True, False])
def test_whole_networks(name: str, options: dict, training: bool) -> None:
    torch.manual_seed(1)
    network = create_backbone(name, **options).double().train(training)
    size = (10, 9) if network.spec.stem == "cifar" else (40, 37)
    _assert_is_the_reference_network(network, (3, 3, *size), ALGEBRA)


_OWN_WIDTH = ["resnet18", "resnet34", "resnet50", "resnet101", "plain34", "preact_resnet18", "preact_resnet50"]


@pytest.mark.slow
@pytest.mark.parametrize("name", _OWN_WIDTH)
def test_networks_of_their_own_width_in_training(name: str) -> None:
    torch.manual_seed(1)
    network = create_backbone(name, stride_in_1x1=True).double().train()
    _assert_is_the_reference_network(network, (2, 3, 96, 96), 1e-12)


def _assert_is_the_reference_network(network: ResNet, shape: tuple[int, ...], tolerance: float) -> None:
    _randomize(network)
    twin, _ = _reference_of(network)
    values = torch.randn(shape, dtype=torch.float64)
    x, reference_x = values.clone().requires_grad_(), values.clone().requires_grad_()
    output, expected = network(x), _reference_network(network, reference_x, twin)
    assert_near(output, expected, tolerance)
    # each with a share of its own: BN takes the gradient of an even sum away, and what is left is rounding alone
    shares = torch.randn_like(expected)
    (output * shares).sum().backward()
    (expected * shares).sum().backward()
    # of a shift that the next BN takes away again the gradient is rounding alone: all are held to the largest of the network
    largest = max(float(parameter.grad.abs().max()) for parameter in network.parameters())
    for key, parameter in network.named_parameters():
        assert_near(parameter.grad, twin.state[key].grad, tolerance, key, largest=largest)
    for key, value in network.named_buffers():
        if not key.endswith("num_batches_tracked"):
            assert_near(value, twin.state[key], tolerance, key)


def _reference_network(network: ResNet, images: Tensor, twin: Layers) -> Tensor:
    spec = network.spec
    return residual_network(
        images,
        twin,
        block=spec.block,
        blocks=spec.layers,
        option=spec.shortcut,
        stem=spec.stem,
        stride_in_1x1=spec.stride_in_1x1,
        preactivation=spec.name.startswith(("preact", "cifar_preact")),
    )


def test_frozen_networks_are_the_reference_outside_training() -> None:
    torch.manual_seed(2)
    network = create_backbone("preact_resnet18", width=4, num_classes=3).double()
    _randomize(network)
    twin, _ = _reference_of(network.eval())
    images = torch.randn(2, 3, 40, 37, dtype=torch.float64)
    frozen = freeze_batch_norm(network).train()
    assert_near(frozen(images), _reference_network(network, images, twin), ALGEBRA)
