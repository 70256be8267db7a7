"""The residual block: a branch of convolutions and a shortcut, added (paper, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class ResidualBlock(nn.Module):
    """A branch and a shortcut, added; the branch's parts come in one of two orders.

    Post-activation (the paper): ``y = relu(branch(x) + shortcut(x))``, the branch being conv, BN, ReLU, …, conv, BN.
    Pre-activation (He et al. 2016): ``y = branch(x) + shortcut(x)``, the branch being BN, ReLU, conv, …, BN, ReLU, conv. An
    identity shortcut takes ``x`` itself; one that changes the map takes what the branch's first ReLU gives.

    Its convolutions and norms are the attributes ``conv1``, ``bn1``, ``conv2``, …; its shortcut is ``downsample``.

    Args:
        convolutions: those of the branch, in order, without bias.
        norm: makes the BN of so many channels.
        shortcut: same output shape as the branch; None for a block of a plain network.
        preactivation: the order of the branch.
        activated_input: a pre-activation block's input comes from a ReLU already, as the first one's does from the stem's: the
            block starts with its convolution, and ``bn1`` is None.

    Attributes:
        recompute: in training, keep only the block's input, and run it once more on the way back: less memory, more time.
    """

    def __init__(
        self,
        convolutions: Sequence[nn.Conv2d],
        norm: Callable[[int], nn.Module],
        shortcut: nn.Module | None,
        *,
        preactivation: bool = False,
        activated_input: bool = False,
    ) -> None:
        super().__init__()
        self.depth = len(convolutions)
        self.preactivation = preactivation
        for number, conv in enumerate(convolutions, start=1):
            if preactivation:
                self.add_module(f"bn{number}", None if activated_input and number == 1 else norm(conv.in_channels))
                self.add_module(f"conv{number}", conv)
            else:
                self.add_module(f"conv{number}", conv)
                self.add_module(f"bn{number}", norm(conv.out_channels))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut
        self.recompute = False

    @property
    def last_norm(self) -> nn.Module:
        """The last BN of the branch: its end, or the one before the last convolution of a pre-activation block."""
        return self.get_submodule(f"bn{self.depth}")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        branch = self._preactivated if self.preactivation else self._postactivated
        return recomputed(self, branch, x) if self.recompute and self.training else branch(x)

    def _postactivated(self, x: Tensor) -> Tensor:
        out = x
        for number in range(1, self.depth + 1):
            out = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(out))
            if number < self.depth:
                out = self.relu(out)
        if self.downsample is not None:
            out += self.downsample(x)
        return self.relu(out)

    def _preactivated(self, x: Tensor) -> Tensor:
        activated = out = x
        for number in range(1, self.depth + 1):
            norm = getattr(self, f"bn{number}")
            if norm is not None:
                out = self.relu(norm(out))
            if number == 1:
                activated = out
            out = getattr(self, f"conv{number}")(out)
        if self.downsample is not None:
            out = out + self.downsample(x if isinstance(self.downsample, nn.Identity) else activated)
        return out


def recomputed(block: nn.Module, run: Callable[..., Tensor], *inputs: object) -> Tensor:
    """``run(*inputs)``, a pass through ``block`` of which only the inputs are kept for the way back.

    BN in training sees the batch twice, and counts it once.
    """
    result: Tensor = checkpoint(
        run, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=lambda: (nullcontext(), _uncounted(block))
    )
    return result


@contextmanager
def _uncounted(block: nn.Module) -> Iterator[None]:
    """A context in which the BN of ``block`` takes nothing of a batch into its running statistics."""
    norms = [part for part in block.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    counters = [counter for norm in norms if (counter := norm.num_batches_tracked) is not None]
    counts = [counter.clone() for counter in counters]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for counter, count in zip(counters, counts, strict=True):
            counter.copy_(count)


def basic_branch(in_channels: int, width: int, stride: int) -> list[nn.Conv2d]:
    """The convolutions of a basic block: 3x3 with the stride, 3x3; ``width`` channels out."""
    return [_conv3x3(in_channels, width, stride), _conv3x3(width, width, 1)]


def bottleneck_branch(in_channels: int, width: int, stride: int, stride_in_1x1: bool) -> list[nn.Conv2d]:
    """The convolutions of a bottleneck: 1x1, 3x3, 1x1; ``4 * width`` channels out; the stride in the first or the second."""
    first, second = (stride, 1) if stride_in_1x1 else (1, stride)
    return [
        nn.Conv2d(in_channels, width, 1, first, bias=False),
        _conv3x3(width, width, second),
        nn.Conv2d(width, 4 * width, 1, bias=False),
    ]


def _conv3x3(in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
