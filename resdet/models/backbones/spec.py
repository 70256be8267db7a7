"""What makes one residual network differ from another."""

from __future__ import annotations

from dataclasses import dataclass

from resdet.errors import ConfigError, did_you_mean

BLOCKS = ("basic", "bottleneck")
STEMS = ("imagenet", "deep", "cifar")
SHORTCUTS = ("A", "B", "C", "none")


@dataclass(frozen=True)
class BackboneSpec:
    """The shape of a residual network (paper, table 1 and section 4.2).

    Attributes:
        name: the name of the network, for messages.
        block: ``"basic"`` (3x3, 3x3) or ``"bottleneck"`` (1x1, 3x3, 1x1, four times as wide at its end).
        layers: blocks of each stage; every stage but the first halves the resolution and doubles the width.
        num_classes: outputs of ``fc``.
        stem: ``"imagenet"`` (7x7 stride 2, max-pool stride 2), ``"deep"`` (three 3x3 in place of the 7x7) or ``"cifar"`` (3x3
            stride 1).
        width: channels of the first stage.
        shortcut: the paper's option ``"A"``, ``"B"`` or ``"C"``; ``"none"`` for a plain network.
        stride_in_1x1: a bottleneck's stride sits in its first 1x1 (the paper) instead of its 3x3 (torchvision).
        zero_init_last: the last BN scale of every branch starts at 0.
        in_channels: channels of the input.
        preactivation: BN and ReLU come before each convolution of a branch, and once more after the last block (He et al.
            2016), instead of after each convolution and addition.
        groups: the number of groups of a bottleneck's 3x3 (ResNeXt, Xie et al. 2017).
        base_width: channels of each group in the first stage, where ``width`` is 64 (else in proportion); a wide ResNet
            (Zagoruyko and Komodakis 2016) has one group of more than 64.
        averaged_shortcut: projections average over the positions that they would skip (ResNet-D, He et al. 2019).
        shortcut_norm: BN follows a projection; False: nothing does, as the paper's equation 2 is written.

    Raises:
        ConfigError: from the constructor, with every option out of range.
    """

    name: str
    block: str
    layers: tuple[int, ...]
    num_classes: int = 1000
    stem: str = "imagenet"
    width: int = 64
    shortcut: str = "B"
    stride_in_1x1: bool = False
    zero_init_last: bool = False
    in_channels: int = 3
    preactivation: bool = False
    groups: int = 1
    base_width: int = 64
    averaged_shortcut: bool = False
    shortcut_norm: bool = True

    def __post_init__(self) -> None:
        problems = [
            f"{self.name}: {key!r} must be one of {', '.join(known)}{did_you_mean(str(value), known)}, got {value!r}"
            for key, known in (("block", BLOCKS), ("stem", STEMS), ("shortcut", SHORTCUTS))
            if (value := getattr(self, key)) not in known
        ]
        problems += [
            f"{self.name}: {key!r} must be at least 1, got {value}"
            for key in ("num_classes", "width", "in_channels", "groups", "base_width")
            if (value := getattr(self, key)) < 1
        ]
        if not self.layers or min(self.layers) < 1:
            problems.append(f"{self.name}: 'layers' must be blocks a stage, each at least 1, got {self.layers}")
        if self.zero_init_last and self.shortcut == "none":
            problems.append(f"{self.name}: 'zero_init_last' needs shortcuts; a plain network would give 0 everywhere")
        if self.zero_init_last and self.preactivation:
            problems.append(f"{self.name}: 'zero_init_last' needs a BN that ends each branch; a pre-activation branch has none")
        if self.block == "basic" and (self.groups, self.base_width) != (1, 64):
            problems.append(f"{self.name}: 'groups' and 'base_width' are a bottleneck's, a basic block has neither")
        if self.width * self.base_width % 64:
            problems.append(
                f"{self.name}: 'width' times 'base_width' must be a multiple of 64, for whole channels in each of the groups, "
                f"got {self.width} times {self.base_width}"
            )
        if self.stem == "deep" and self.width % 2:
            problems.append(f"{self.name}: 'width' must be even for the deep stem, got {self.width}")
        if self.averaged_shortcut and self.shortcut not in ("B", "C"):
            problems.append(f"{self.name}: 'shortcut' must be B or C for projections that average, got {self.shortcut!r}")
        if problems:
            raise ConfigError(problems)

    @property
    def expansion(self) -> int:
        """Output channels of a block, as a multiple of its stage's width."""
        return 4 if self.block == "bottleneck" else 1

    @property
    def stride(self) -> int:
        """Pixels of the image between neighbouring positions of the last map: 32 for four stages, 4 for CIFAR's three."""
        return (1 if self.stem == "cifar" else 4) * 2 ** (len(self.layers) - 1)

    @property
    def stage_channels(self) -> tuple[int, ...]:
        """Output channels of each stage."""
        return tuple(self.width * 2**stage * self.expansion for stage in range(len(self.layers)))

    @property
    def branch_channels(self) -> tuple[int, ...]:
        """Channels between the two 1x1 of each stage's bottlenecks."""
        return tuple(self.groups * (self.width * 2**stage * self.base_width // 64) for stage in range(len(self.layers)))
