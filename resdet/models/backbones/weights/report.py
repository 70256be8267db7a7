"""What became of each tensor of a weights file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from resdet.structures import PixelConvention

Shape = tuple[int, ...]

# the five depths by block and blocks a stage
_DEPTHS: dict[tuple[str, tuple[int, ...]], int] = {
    ("basic", (2, 2, 2, 2)): 18,
    ("basic", (3, 4, 6, 3)): 34,
    ("bottleneck", (3, 4, 6, 3)): 50,
    ("bottleneck", (3, 4, 23, 3)): 101,
    ("bottleneck", (3, 8, 36, 3)): 152,
}


@dataclass(frozen=True)
class LoadReport:
    """What became of each tensor, and the pixel convention that the network now wants.

    Attributes:
        path: the weights file.
        looks_like: the network that the file's keys belong to, ``"resnet50"`` for instance.
        pixels: the pixel convention of the weights.
        loaded: keys taken over.
        missing: keys of the network that the file lacks.
        unexpected: keys of the file that the network lacks.
        mismatched: keys of both whose shapes differ: key to (shape in the file, shape in the network).
        doubt: a warning, where nothing shows which pixels and which stride the weights want; "" otherwise.
    """

    path: Path
    looks_like: str
    pixels: PixelConvention
    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)
    doubt: str = ""

    def misfits(self) -> list[str]:
        """The keys that do not fit, the classifier ``fc`` aside: class counts may differ."""
        return [key for key in (*self.missing, *self.unexpected, *self.mismatched) if not key.startswith("fc.")]

    def table(self, rows: int = 4) -> str:
        """Counts of the four kinds, and the first ``rows`` keys of those that were not loaded, as text."""
        lines = []
        for kind, keys in self.kinds().items():
            lines.append(f"{kind:<12}{len(keys):>5}")
            if kind != "loaded":
                lines += [f"    {key}" for key in keys[:rows]]
            if kind != "loaded" and len(keys) > rows:
                lines.append(f"    … {len(keys) - rows} more")
        return "\n".join(lines)

    def summary(self, keys: int = 2) -> str:
        """The table in one line: ``"60 loaded, 0 missing, 2 unexpected (a.weight, a.bias), 0 mismatched"``."""
        parts = []
        for kind, names in self.kinds().items():
            shown = [*names[:keys], *["…"][: len(names) - keys]] if kind != "loaded" else []
            parts.append(f"{len(names)} {kind}" + (f" ({', '.join(shown)})" if shown else ""))
        return ", ".join(parts)

    def kinds(self) -> dict[str, list[str]]:
        """The keys of each of the four kinds."""
        return {
            "loaded": list(self.loaded),
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "mismatched": [f"{key} {file}, wanted {wanted}" for key, (file, wanted) in self.mismatched.items()],
        }


def describe_keys(state: Mapping[str, Tensor]) -> str:
    """Name the network of tensors in torchvision's naming: ``"resnet50"``, or its block and blocks a stage."""
    places = [match.groups() for key in state if (match := re.match(r"layer(\d+)\.(\d+)\.", key))]
    deep = "conv1.0.weight" in state
    if not (deep or "conv1.weight" in state) or not places:
        return "something else than a ResNet in torchvision's naming"
    stages = sorted({int(stage) for stage, _ in places})
    layers = tuple(1 + max(int(block) for stage, block in places if int(stage) == wanted) for wanted in stages)
    block = "bottleneck" if any(key.endswith(".conv3.weight") for key in state) else "basic"
    preact = "preact_" if "bn_last.weight" in state else ""
    if stages != list(range(1, len(stages) + 1)):
        return f"a ResNet of {block} blocks with stage{'s'[: len(stages) != 1]} {', '.join(map(str, stages))} alone"
    cifar = not deep and _size(state, "conv1.weight", 2) == 3
    if cifar and len(layers) == 3 and len(set(layers)) == 1 and (block == "basic" or preact):
        family, period = ("resnet", 6) if block == "basic" else ("bottleneck", 9)
        return f"cifar_{preact}{family}{period * layers[0] + 2}"
    depth = _DEPTHS.get((block, layers))
    if depth is None:
        return f"a ResNet of {block} blocks {list(layers)}"
    groups, base_width = _groups(state) if block == "bottleneck" else (1, 64)
    variant = "d" if deep and any(".downsample.2." in key for key in state) else ""
    if groups > 1:
        name = f"resnext{depth}{variant}_{groups}x{base_width}d"
    else:
        name = f"resnet{depth}{variant}" if base_width == 64 else f"wide_resnet{depth}{variant}_{base_width / 64:g}"
    return preact + name


def stem_width(state: Mapping[str, Tensor]) -> int:
    """Channels of the stem's result, and so of the first stage; 0 where there is no stem."""
    return _size(state, "conv1.6.weight" if "conv1.6.weight" in state else "conv1.weight", 0)


def _groups(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Groups and base width of bottlenecks, see ``BackboneSpec``; those of a ResNet where shapes make no sense."""
    width, branch, own = stem_width(state), _size(state, "layer1.0.conv1.weight", 0), _size(state, "layer1.0.conv2.weight", 1)
    if not (width and own) or branch % own:
        return 1, 64
    return branch // own, 64 * own // width


def _size(state: Mapping[str, Tensor], key: str, axis: int) -> int:
    return state[key].shape[axis] if key in state and state[key].ndim > axis else 0


def compare(
    file: Mapping[str, Tensor], network: Mapping[str, Tensor]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], dict[str, tuple[Shape, Shape]]]:
    """Sort the keys of a file and of a network into loaded, missing, unexpected and mismatched.

    BN's ``num_batches_tracked`` is left out: it changes no output, and old files and frozen BN have none.
    """
    ours = {key: tuple(value.shape) for key, value in network.items() if not key.endswith("num_batches_tracked")}
    theirs = {key: tuple(value.shape) for key, value in file.items() if not key.endswith("num_batches_tracked")}
    mismatched = {key: (theirs[key], shape) for key, shape in ours.items() if key in theirs and theirs[key] != shape}
    loaded = tuple(key for key in ours if key in theirs and key not in mismatched)
    return loaded, tuple(key for key in ours if key not in theirs), tuple(key for key in theirs if key not in ours), mismatched
