"""Where two implementations of a network part: the first layer whose outputs differ, and why.

Both compute the same images; what each convolution, normalization and linear layer takes and gives is compared with that of its
counterpart. A layer that takes the same and gives something else is where to look: its numbers differ, or its settings, or what
the same numbers and settings mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from resdet.inference.mode import evaluating

_SETTINGS = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode", "eps")
_TENSORS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class LayerDifference:
    """A layer in both networks.

    Attributes:
        names: what each network calls it.
        kind: "convolution", "normalization" or "linear".
        taken: by how much what they take differs, at most, as a share of the first one's largest number; infinity where the
            shapes differ.
        given: the same of what they give.
        reasons: how the layers themselves differ: settings and tensors, in words; empty where they are the same.
    """

    names: tuple[str, str]
    kind: str
    taken: float
    given: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Call:
    name: str
    layer: nn.Module
    kind: str
    taken: Tensor
    given: Tensor


def layer_differences(
    first: nn.Module,
    second: nn.Module,
    images: Tensor,
    run: Callable[[nn.Module, Tensor], object] = lambda network, x: network(x),
) -> list[LayerDifference]:
    """Compare the layers of two networks in the order in which the first one calls them.

    Layers are paired by name where both have the same names, and otherwise by their order among those of their kind.

    Args:
        first: a network; both are run in evaluation mode, and stay as they are.
        second: another implementation of it, with layers of its own form; those without a counterpart are left out.
        images: what both take, on their device.
        run: how to call a network with the images.
    """
    ours, theirs = _calls(first, images, run), _calls(second, images, run)
    return [_difference(one, other) for one, other in _paired(ours, theirs)]


def first_difference(differences: Sequence[LayerDifference], tolerance: float = 1e-4) -> LayerDifference | None:
    """The first layer that gives something else by more than ``tolerance`` of its largest number; None: there is none."""
    return next((each for each in differences if not each.given <= tolerance), None)


def conclude_differences(differences: Sequence[LayerDifference], tolerance: float = 1e-4) -> str:
    """One line: whether the networks are the same, or which layer parts them, and why."""
    found = first_difference(differences, tolerance)
    if found is None:
        most = max((each.given for each in differences), default=0.0)
        return f"the {len(differences)} layers give the same, to {most:.1e} of their largest number"
    place = differences.index(found) + 1
    name = found.names[0] if found.names[0] == found.names[1] else f"{found.names[0]} (there {found.names[1]})"
    text = f"layer {place} of {len(differences)}, {name}, is the first that differs: by {found.given:.2g} of its largest number"
    if found.reasons:
        return f"{text}; {', '.join(found.reasons)}"
    if found.taken <= tolerance:
        return f"{text}; it takes the same, and its tensors and settings are the same: look at how it is called"
    between = "what comes before it" if place == 1 else f"what stands between it and {differences[place - 2].names[0]}"
    return f"{text}; it is the same but takes something else: look at {between} (ReLU, pooling, shortcut, preprocessing)"


def _calls(network: nn.Module, images: Tensor, run: Callable[[nn.Module, Tensor], object]) -> list[_Call]:
    calls: list[_Call] = []

    def note(name: str, kind: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            # copies: the ReLU that follows may work in place
            calls.append(_Call(name, layer, kind, inputs[0].detach().clone(), output.detach().clone()))

        return hook

    with ExitStack() as stack:
        for name, layer in network.named_modules():
            if kind := _kind(layer):
                stack.callback(layer.register_forward_hook(note(name, kind)).remove)
        with evaluating(network):
            run(network, images)
    return calls


def _kind(layer: nn.Module) -> str:
    """What sort of layer it is, by its tensors and its name: others' networks have classes of their own; "": none of these."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor):
        return ""
    if weight.ndim == 4:
        return "convolution"
    if weight.ndim == 2:
        return "linear"
    return "normalization" if "norm" in type(layer).__name__.lower() else ""


def _paired(ours: Sequence[_Call], theirs: Sequence[_Call]) -> list[tuple[_Call, _Call]]:
    by_name = {call.name: call for call in theirs}
    if {call.name for call in ours} == by_name.keys():
        return [(call, by_name[call.name]) for call in ours]
    left: Mapping[str, list[_Call]] = {
        kind: [call for call in theirs if call.kind == kind] for kind in ("convolution", "normalization", "linear")
    }
    return [(call, left[call.kind].pop(0)) for call in ours if left[call.kind]]


def _difference(one: _Call, other: _Call) -> LayerDifference:
    reasons = [*_settings(one.layer, other.layer), *_tensors(one.layer, other.layer)]
    return LayerDifference(
        (one.name, other.name), one.kind, _share(one.taken, other.taken), _share(one.given, other.given), tuple(reasons)
    )


def _settings(one: nn.Module, other: nn.Module) -> list[str]:
    pairs = [(name, getattr(one, name, None), getattr(other, name, None)) for name in _SETTINGS]
    return [f"{name} {mine} and {theirs}" for name, mine, theirs in pairs if None not in (mine, theirs) and mine != theirs]


def _tensors(one: nn.Module, other: nn.Module) -> list[str]:
    reasons = []
    for name in _TENSORS:
        mine, theirs = getattr(one, name, None), getattr(other, name, None)
        if isinstance(mine, Tensor) and isinstance(theirs, Tensor):
            if mine.shape != theirs.shape:
                reasons.append(f"{name} of {tuple(mine.shape)} and {tuple(theirs.shape)} numbers")
            elif not (share := _share(mine, theirs)) <= 1e-6:
                reasons.append(f"{name} differs by {share:.2g}")
        else:  # a bias of zeros is none
            alone = [tensor for tensor in (mine, theirs) if isinstance(tensor, Tensor) and bool(tensor.any())]
            reasons += [f"{name} in one of them alone"] * len(alone)
    return reasons


def _share(one: Tensor, other: Tensor) -> float:
    """The largest difference as a share of the first one's largest number."""
    if one.shape != other.shape:
        return float("inf")
    mine, theirs = one.detach().double().cpu(), other.detach().double().cpu()
    largest, most = float((mine - theirs).abs().max()), float(mine.abs().max())
    return largest / most if most else largest
