"""Show versions, backbones with their cost, the shipped run files, every option, or what a weights or run file says.

The multiply-adds are those of one image of 224x224 pixels (CIFAR nets: 32x32) with the stride in the first 1x1, as in the
paper; the figure that the paper prints stands beside them.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import platform
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resdet.commands.info_kernels import kernels_text
from resdet.errors import ConfigError

if TYPE_CHECKING:
    from resdet.models.backbones.resnet import ResNet

# the paper's table 1 (multiply-adds, 1e9, at 224x224 pixels) and table 6 (parameters, 1e6)
_PRINTED = {
    "resnet18": "1.8 G",
    "resnet34": "3.6 G",
    "resnet50": "3.8 G",
    "resnet101": "7.6 G",
    "resnet152": "11.3 G",
    "plain18": "1.8 G",
    "plain34": "3.6 G",
    "cifar_resnet20": "0.27 M",
    "cifar_resnet32": "0.46 M",
    "cifar_resnet44": "0.66 M",
    "cifar_resnet56": "0.85 M",
    "cifar_resnet110": "1.7 M",
    "cifar_resnet1202": "19.4 M",
}
_NOTES = """\
printed: the paper's multiply-adds (G, table 1) or parameters (M, table 6). They are ours, rounded, but for two: resnet34 rounds
to 3.6 G with shortcut A (3.644 G; here it has B), and the 3.858 G of resnet50 are printed as 3.8, cut and not rounded."""
_PACKAGES = ("resdet", "torch", "torchvision", "numpy", "safetensors", "omegaconf", "hotcoco", "pycocotools")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``resdet info``."""
    parser.add_argument("--weights", metavar="FILE", help="say what a weights or model file holds")
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="with --weights: measure on the images of this folder which pixels and which stride the weights want",
    )
    parser.add_argument("--config", metavar="FILE", help="print a run file with every option, and its backbone's cost")
    parser.add_argument("--configs", action="store_true", help="list the shipped run files, and the folder that they lie in")
    parser.add_argument("--options", action="store_true", help="print every option of run files: type, default, meaning, range")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for; versions and backbones when nothing was.

    Raises:
        ConfigError: no such file or folder, a run file with problems, weights that ``--images`` cannot measure.
        DataError: a file that cannot be read.
    """
    if args.images and not args.weights:
        raise ConfigError("--images measures what the weights of --weights want: give both")
    parts: list[str] = []
    if args.configs:
        parts.append(_configs_text())
    if args.options:
        parts.append("\n".join(_option_lines()))
    if args.config:
        parts.append(_config_text(args.config))
    if args.weights:
        parts.append(_weights_text(args.weights))
    if args.images:
        parts.append(_conventions_text(args.weights, args.images))
    print("\n\n".join(parts or [_versions_text(), kernels_text(), _backbones_text()]))
    return 0


def _versions_text() -> str:
    import torch

    lines = [f"{'python':<24}{platform.python_version()} on {platform.platform()}"]
    lines += [f"{package:<24}{_version(package)}" for package in _PACKAGES]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu only, {torch.get_num_threads()} threads"
    if torch.backends.mps.is_available():
        device = f"mps where asked for, {device}"
    return "\n".join([*lines, f"{'device':<24}{device}"])


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # not above: it reads e-mails, and would double help's time

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _backbones_text() -> str:
    from resdet.models.registry import family_rules, list_backbones

    header = f"{'backbone':<25}{'parameters':>12}{'multiply-adds':>16}{'printed':>10}"
    rows = [f"{_cost_line(name)}{_PRINTED.get(name, ''):>10}".rstrip() for name in list_backbones()]
    others = [f"{name + 'DEPTH':<33}{rule}" for name, rule in family_rules().items()]
    return "\n".join([header, *rows, "", _NOTES, "", f"{'of any depth':<33}layers", *others])


def _cost_line(name: str, **options: Any) -> str:
    """Name, parameters and multiply-adds of a backbone, as one row."""
    import torch

    from resdet.analysis.flops import count_multiply_adds, count_parameters

    with torch.device("meta"):  # shapes without memory or arithmetic
        model = _shapes_alone(name, **{"stride_in_1x1": True, **options})
        side = 32 if model.spec.stem == "cifar" else 224
        multiply_adds = count_multiply_adds(model, torch.empty(1, model.spec.in_channels, side, side))
    return f"{name:<25}{count_parameters(model):>12,}{multiply_adds / 1e9:>14.3f} G"


def _shapes_alone(name: str, **options: Any) -> ResNet:
    """The backbone ``name`` whose BN layers pass their input on: they take nearly all the time on the meta device."""
    from torch import Tensor, nn

    from resdet.models.registry import create_backbone

    class PassingNorm(nn.BatchNorm2d):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
            return input

    return create_backbone(name, norm=PassingNorm, **options)


def _configs_text() -> str:
    from resdet.shipped import shipped_folder

    folder = shipped_folder("configs")
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ConfigError(f"{folder}: no run files: the package is not installed as a whole")
    width = max(len(path.stem) for path in paths)
    return "\n".join([f"run files in {folder}:", "", *(f"{path.stem:{width}}  {_head(path)}" for path in paths)])


def _head(path: Path) -> str:
    """What a run file says first, in its comment, cut to a line."""
    lines = itertools.takewhile(lambda line: line.startswith("# "), path.read_text(encoding="utf-8").splitlines())
    return textwrap.shorten(" ".join(line[2:] for line in lines), 104, placeholder=" …")


def _config_text(name: str) -> str:
    from resdet.config import config_to_yaml, load_config

    config = load_config(name)
    backbone = config.model.backbone
    options = {key: getattr(backbone, key) for key in ("stride_in_1x1", "shortcut", "width")}
    return f"{config_to_yaml(config)}\n{_cost_line(backbone.name, **options)} for its backbone (1000 classes; CIFAR nets 10)"


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


def _conventions_text(path: str, folder: str) -> str:
    from resdet.commands.info_conventions import conventions_text
    from resdet.models.backbones.weights.read import read_weights

    return conventions_text(read_weights(path), folder)


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
