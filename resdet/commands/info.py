"""Show versions, backbones with their cost, every option of run files, or what a weights or run file says.

The multiply-adds are those of one image of 224x224 pixels (CIFAR nets: 32x32) with the stride in the first 1x1, as in the
paper.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import typing
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PACKAGES = ("resdet", "torch", "torchvision", "numpy", "safetensors", "omegaconf", "hotcoco", "pycocotools")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``resdet info``."""
    parser.add_argument("--weights", metavar="FILE", help="say what a weights or model file holds")
    parser.add_argument("--config", metavar="FILE", help="print a run file with every option, and its backbone's cost")
    parser.add_argument("--options", action="store_true", help="print every option of run files: type, default, meaning, range")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for; versions and backbones when nothing was.

    Raises:
        ConfigError: no such file, or a run file with problems.
        DataError: a weights file that cannot be read.
    """
    parts: list[str] = []
    if args.options:
        parts.append("\n".join(_option_lines()))
    if args.config:
        parts.append(_config_text(args.config))
    if args.weights:
        parts.append(_weights_text(args.weights))
    print("\n\n".join(parts or [_versions_text(), _backbones_text()]))
    return 0


def _versions_text() -> str:
    import torch

    lines = [f"{'python':<24}{platform.python_version()} on {platform.platform()}"]
    lines += [f"{package:<24}{_version(package)}" for package in _PACKAGES]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu only, {torch.get_num_threads()} threads"
    return "\n".join([*lines, f"{'device':<24}{device}"])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _backbones_text() -> str:
    from resdet.models.registry import list_backbones

    header = f"{'backbone':<20}{'parameters':>12}{'multiply-adds':>16}"
    return "\n".join([header, *(_cost_line(name) for name in list_backbones())])


def _cost_line(name: str, **options: Any) -> str:
    """Name, parameters and multiply-adds of a backbone, as one row."""
    import torch

    from resdet.analysis.flops import count_multiply_adds, count_parameters
    from resdet.models.registry import create_backbone

    with torch.device("meta"):  # shapes without memory or arithmetic
        model = create_backbone(name, **{"stride_in_1x1": True, **options})
        side = 32 if model.spec.stem == "cifar" else 224
        multiply_adds = count_multiply_adds(model, torch.empty(1, model.spec.in_channels, side, side))
    return f"{name:<20}{count_parameters(model):>12,}{multiply_adds / 1e9:>13.3f} G"


def _config_text(name: str) -> str:
    from resdet.config import config_to_yaml, load_config

    config = load_config(name)
    backbone = config.model.backbone
    options = {key: getattr(backbone, key) for key in ("stride_in_1x1", "shortcut", "width")}
    return f"{config_to_yaml(config)}\n{_cost_line(backbone.name, **options)} for its backbone with 1000 classes"


def _weights_text(path: str) -> str:
    from resdet.models.backbones.weights.evidence import input_scale
    from resdet.models.backbones.weights.read import read_weights
    from resdet.models.backbones.weights.report import describe_keys

    file = read_weights(path)
    rows: dict[str, object] = {
        "file": file.path,
        "tensors": f"{len(file.state)}, {sum(value.numel() for value in file.state.values()):,} numbers",
    }
    if file.card is None:
        scale = input_scale(file.state)
        rows["looks like"] = describe_keys(file.state)
        rows["classes"] = len(file.state["fc.bias"]) if "fc.bias" in file.state else "no classifier"
        rows["input"] = "unknown, no BN statistics" if scale is None else f"standard deviation about {scale:.3g}, by conv1's BN"
    else:
        rows.update(file.card)
    return "\n".join(f"{key:<14}{value}" for key, value in rows.items())


def _option_lines() -> Iterator[str]:
    from resdet.config.schema import RUN_CONFIGS

    for task, config in RUN_CONFIGS.items():
        yield f"{'' if task == next(iter(RUN_CONFIGS)) else chr(10)}run file of task {task}:"
        yield from _class_lines(config, "  ")


def _class_lines(config: type[Any], prefix: str) -> Iterator[str]:
    types = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        name, kind = f"{prefix}{field.name}", types[field.name]
        element = next(iter(typing.get_args(kind)), None)
        if dataclasses.is_dataclass(kind):
            yield from _class_lines(typing.cast("type[Any]", kind), f"{name}.")
        elif dataclasses.is_dataclass(element):
            yield from _class_lines(typing.cast("type[Any]", element), f"{name}[0].")
        else:
            yield f"{name} = {_default(field)!r}: {field.metadata['text']}{_range(field)}"


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _range(field: dataclasses.Field[Any]) -> str:
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    if choices:
        return f" [{', '.join(choices)}]"
    if low is None and high is None:
        return ""
    return f" [{f'{low:g}' if low is not None else ''} … {f'{high:g}' if high is not None else ''}]"
