"""Batch normalization, residual blocks and whole residual networks, written a second time as plain functions.

Nothing here is a module: a network is its state dict ("layer1.0.conv1.weight", …), and each function below is a formula of the
papers on tensors and torch.nn.functional's convolution. The tests hold the modules of resdet to it: values, gradients and
running statistics. To learn how a residual network works, read it from top to bottom::

    network = torchvision.models.resnet18(weights="DEFAULT").eval()
    layers = Layers(dict(network.state_dict()), training=False)
    logits = residual_network(images, layers, block="basic", blocks=(2, 2, 2, 2), option="B", stem="imagenet")

"paper" is He et al. 2015 (Deep Residual Learning), "v2" is He et al. 2016 (Identity Mappings).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5  # keeps BN from dividing by zero
MOMENTUM = 0.1  # weight of the newest batch in BN's running statistics


@dataclass
class Layers:
    """The tensors of a network by their names, and whether it is training.

    ``training`` decides what BN normalizes by; the running statistics in ``state`` are replaced as a training step does.
    """

    state: dict[str, Tensor]
    training: bool

    def convolution(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        """Convolve (N, C, H, W) with the square filter ``name``; zeros around the map keep its size at stride 1.

        A filter of fewer than C channels is one of several groups, side by side (Xie et al. 2017): each sees its own channels.
        """
        weight = self.state[f"{name}.weight"]
        groups = x.shape[1] // weight.shape[1]
        sides = zip(x.chunk(groups, 1), weight.chunk(groups), strict=True)
        return torch.cat([F.conv2d(part, own, stride=stride, padding=weight.shape[-1] // 2) for part, own in sides], dim=1)

    def batch_norm(self, x: Tensor, name: str) -> Tensor:
        """Normalize each channel of (N, C, H, W) to mean 0 and variance 1, then scale and shift it (Ioffe and Szegedy 2015).

        Training: by the mean and variance of this batch, which also enter the running ones. Otherwise: by the running ones.
        A network without running statistics is one without BN: its channels are scaled and shifted as they are.
        """
        if f"{name}.running_mean" not in self.state:
            return _per_channel(self.state[f"{name}.weight"]) * x + _per_channel(self.state[f"{name}.bias"])
        if self.training:
            positions = x.shape[0] * x.shape[2] * x.shape[3]
            mean = x.sum((0, 2, 3)) / positions  # Algorithm 1, line 1: mu = 1/m sum x
            squares = ((x - _per_channel(mean)) ** 2).sum((0, 2, 3))
            variance = squares / positions  # line 2: sigma^2 = 1/m sum (x - mu)^2
            # the batch is a sample: its unbiased variance estimates that of all images
            self._average_in(f"{name}.running_mean", mean)
            self._average_in(f"{name}.running_var", squares / (positions - 1))
        else:
            mean, variance = self.state[f"{name}.running_mean"], self.state[f"{name}.running_var"]
        # line 3: (x - mu) / sqrt(sigma^2 + epsilon), and line 4: gamma times that, plus beta
        normalized = (x - _per_channel(mean)) / torch.sqrt(_per_channel(variance) + EPSILON)
        return _per_channel(self.state[f"{name}.weight"]) * normalized + _per_channel(self.state[f"{name}.bias"])

    def _average_in(self, name: str, newest: Tensor) -> None:
        self.state[name] = (1 - MOMENTUM) * self.state[name] + MOMENTUM * newest.detach()


def relu(x: Tensor) -> Tensor:
    """Negative numbers become 0."""
    return torch.where(x > 0, x, torch.zeros_like(x))


def post_activation_block(x: Tensor, layers: Layers, name: str, option: str, strides: list[int]) -> Tensor:
    """``y = relu(F(x) + shortcut(x))`` (paper, equations 1 and 2).

    F is conv, BN, ReLU, …, conv, BN: two 3x3 convolutions in a basic block; 1x1, 3x3 and 1x1 in a bottleneck.

    Args:
        x: (N, C, H, W).
        layers: the network.
        name: of the block, ``"layer1.0"`` for instance.
        option: the shortcut, A, B, C or none.
        strides: of the branch's convolutions.
    """
    branch = x  # F(x) = W2 relu(W1 x), each W followed by BN
    for number, stride in enumerate(strides, start=1):
        branch = layers.convolution(branch, f"{name}.conv{number}", stride)
        branch = layers.batch_norm(branch, f"{name}.bn{number}")
        if number < len(strides):
            branch = relu(branch)
    if option == "none":
        return relu(branch)  # a plain network
    if _is_identity(option, x, branch, strides):
        return relu(branch + x)  # equation 1
    if option == "A":
        return relu(branch + _padded(x, branch, strides))  # equation 1, with zeros for the channels that x lacks
    if _averages(layers, name):
        projected = layers.convolution(_averaged(x, math.prod(strides)), f"{name}.downsample.1")
        return relu(branch + layers.batch_norm(projected, f"{name}.downsample.2"))
    projected = layers.convolution(x, f"{name}.downsample.0", math.prod(strides))  # equation 2: Ws x
    if f"{name}.downsample.1.weight" not in layers.state:  # to the letter, without BN
        return relu(branch + projected)
    return relu(branch + layers.batch_norm(projected, f"{name}.downsample.1"))


def pre_activation_block(
    x: Tensor, layers: Layers, name: str, option: str, strides: list[int], *, follows_stem: bool = False
) -> Tensor:
    """``y = F(x) + x`` (v2, section 4), where F is BN, ReLU, conv, …, BN, ReLU, conv; no ReLU after the addition.

    Where the shape changes, BN and ReLU come before the two paths part, and the shortcut takes their result. The first block of
    a network takes the stem's ReLU as its own (``follows_stem``). The other arguments are those of ``post_activation_block``.
    """
    activated = x if follows_stem else relu(layers.batch_norm(x, f"{name}.bn1"))  # v2, equation 5: F takes f(x)
    branch = layers.convolution(activated, f"{name}.conv1", strides[0])
    for number, stride in enumerate(strides[1:], start=2):
        branch = relu(layers.batch_norm(branch, f"{name}.bn{number}"))
        branch = layers.convolution(branch, f"{name}.conv{number}", stride)
    if option == "none":
        return branch
    if _is_identity(option, x, branch, strides):
        return branch + x  # v2, equation 3: x_{l+1} = x_l + F(x_l), with nothing after it
    if option == "A":
        return branch + _padded(activated, branch, strides)
    if _averages(layers, name):
        return branch + layers.convolution(_averaged(activated, math.prod(strides)), f"{name}.downsample.1")
    return branch + layers.convolution(activated, f"{name}.downsample.0", math.prod(strides))


def residual_network(
    images: Tensor,
    layers: Layers,
    *,
    block: str,
    blocks: tuple[int, ...],
    option: str,
    stem: str,
    stride_in_1x1: bool = False,
    preactivation: bool = False,
) -> Tensor:
    """Stem, stages of blocks, average over all positions, linear classifier (paper, table 1 and section 4.2).

    Args:
        images: (N, C, H, W).
        layers: the network.
        block: basic or bottleneck.
        blocks: of each stage; every stage but the first starts at stride 2.
        option: the shortcut, A, B, C or none.
        stem: ``"imagenet"``: 7x7 at stride 2 and max-pooling; ``"deep"``: three 3x3 in place of the 7x7; ``"cifar"``: 3x3.
        stride_in_1x1: a bottleneck's stride is in its first convolution instead of its second.
        preactivation: the blocks are v2's, and a BN and a ReLU follow the last one.
    """
    if stem == "deep":
        x = relu(layers.batch_norm(layers.convolution(images, "conv1.0", 2), "conv1.1"))
        x = relu(layers.batch_norm(layers.convolution(x, "conv1.3"), "conv1.4"))
        x = relu(layers.batch_norm(layers.convolution(x, "conv1.6"), "bn1"))
    else:
        x = relu(layers.batch_norm(layers.convolution(images, "conv1", 2 if stem == "imagenet" else 1), "bn1"))
    if stem != "cifar":
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    for stage, count in enumerate(blocks, start=1):
        for index in range(count):
            name, stride = f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1
            strides = block_strides(block, stride, stride_in_1x1)
            if preactivation:
                x = pre_activation_block(x, layers, name, option, strides, follows_stem=(stage, index) == (1, 0))
            else:
                x = post_activation_block(x, layers, name, option, strides)
    if preactivation:
        x = relu(layers.batch_norm(x, "bn_last"))
    return x.mean((2, 3)) @ layers.state["fc.weight"].T + layers.state["fc.bias"]


def block_strides(block: str, stride: int, stride_in_1x1: bool) -> list[int]:
    """The stride of each convolution of a block that has ``stride`` as a whole."""
    if block == "basic":
        return [stride, 1]
    return [stride, 1, 1] if stride_in_1x1 else [1, stride, 1]


def _is_identity(option: str, x: Tensor, branch: Tensor, strides: list[int]) -> bool:
    """Options A and B leave the input alone where its shape is right; option C projects everywhere."""
    return option in {"A", "B"} and math.prod(strides) == 1 and x.shape[1] == branch.shape[1]


def _padded(x: Tensor, branch: Tensor, strides: list[int]) -> Tensor:
    """Option A: every second position of ``x`` where the map shrinks, between zero channels."""
    stride = math.prod(strides)
    first = (branch.shape[1] - x.shape[1]) // 2
    padded = torch.zeros_like(branch)
    padded[:, first : first + x.shape[1]] = x[:, :, ::stride, ::stride]
    return padded


def _averages(layers: Layers, name: str) -> bool:
    """Whether a projection is ResNet-D's (He et al. 2019): its convolution is the second of the shortcut's modules."""
    second = layers.state.get(f"{name}.downsample.1.weight")
    return second is not None and second.ndim == 4


def _averaged(x: Tensor, stride: int) -> Tensor:
    """The mean of each ``stride`` x ``stride`` positions; at the end of an odd map, of those that there are."""
    rows = [x[:, :, top : top + stride].split(stride, dim=3) for top in range(0, x.shape[2], stride)]
    return torch.stack([torch.stack([square.mean((2, 3)) for square in row], dim=2) for row in rows], dim=2)


def _per_channel(values: Tensor) -> Tensor:
    return values[None, :, None, None]
