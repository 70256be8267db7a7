"""Arguments that the commands share."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from pathlib import Path

from resdet.errors import ConfigError


def add_config_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """``--config``, ``--output`` and ``key.path=value``."""
    parser.add_argument(
        "--config", required=required, metavar="FILE", help="a run file, or the name of a shipped one (resdet info --configs)"
    )
    parser.add_argument("--output", metavar="DIR", help="where results go (default: the config's output; eval: eval/ in it)")
    parser.add_argument(
        "overrides", nargs="*", metavar="key.path=value", help="options to change, for instance optimizer.lr=0.001"
    )


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """``--device``."""
    parser.add_argument(
        "--device",
        default="auto",
        help="auto (cuda where there is a GPU for it, else cpu), cpu, cuda, cuda:N or mps (default: auto)",
    )


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """``--device``, and the options for how detectors compute."""
    add_device_argument(parser)
    parser.add_argument(
        "--precision",
        default="fp32",
        choices=("fp32", "bf16", "fp16"),
        help="number format of a detector's convolutions, on a device that has it (default: fp32)",
    )
    parser.add_argument(
        "--compile", action="store_true", help="for a GPU: let torch.compile fuse a detector's layers; takes minutes"
    )
    parser.add_argument(
        "--runtime",
        default="auto",
        choices=("auto", "torch", "onnxruntime", "openvino"),
        help="what runs the file: torch a model file, onnxruntime or openvino an exported .onnx (default: auto, by the file)",
    )


def add_train_arguments(parser: argparse.ArgumentParser, *, config: bool = True) -> None:
    """The arguments of every training command; ``config``: whether it needs a run file."""
    add_config_arguments(parser, required=config)
    parser.add_argument("--resume", action="store_true", help="continue the run in the output folder")
    parser.add_argument(
        "--restart", action="store_true", help="move a run in the output folder aside, to DIR.1 and so on, and begin anew"
    )
    parser.add_argument(
        "--accept-data-change",
        action="store_true",
        help="with --resume: go on even though the training images or their annotations have changed",
    )
    parser.add_argument(
        "--change",
        nargs="+",
        default=[],
        metavar="key.path=value",
        help="with --resume: options that are different from here on, for instance schedule.iterations=20000",
    )
    add_device_argument(parser)


def changed_options(args: argparse.Namespace) -> list[str]:
    """The names of the options of ``--change``; its values are added to the overrides, as the last ones.

    Raises:
        ConfigError: when the run is not to be resumed.
    """
    if args.resume and args.restart:
        raise ConfigError("--restart begins anew and --resume goes on: give one of them")
    if args.accept_data_change and not args.resume:
        raise ConfigError("--accept-data-change is for a run that goes on: give --resume with it")
    if args.change and not args.resume:
        raise ConfigError(f"--change changes a run that goes on: give --resume with it, got --change {' '.join(args.change)}")
    args.overrides = [*args.overrides, *args.change]
    return [text.partition("=")[0] for text in args.change]


def separate_overrides(args: argparse.Namespace, *lists: str) -> None:
    """Take each ``key.path=value`` out of the list before it, where argparse puts it: ``--weights a b lr=0.1``.

    Raises:
        ConfigError: when nothing else is left in a list.
    """
    for name in lists:
        items = getattr(args, name) or []
        overrides = [item for item in items if is_override(item)]
        if overrides and len(overrides) == len(items):
            raise ConfigError(f"--{name} needs at least one value before the options, got {overrides[0]!r}")
        args.overrides = [*args.overrides, *overrides]
        setattr(args, name, [item for item in items if item not in overrides])


def refuse_unheard(args: argparse.Namespace, heard: Collection[str], where: str) -> None:
    """Raise a ConfigError with each option that was given and says nothing here.

    Args:
        args: the arguments of a command.
        heard: the destinations of those that say something; those of every command need not be in it.
        where: what is done with the others, as the message ends: "for a results file".
    """
    from resdet.commands.parsers import command_parser

    parser = command_parser(args.command_line[0])
    everywhere = {"json", "quiet", "command_line"}
    given = [name for name in vars(args).keys() - everywhere if getattr(args, name) not in (parser.get_default(name), [])]
    unheard = [f"--{name.replace('_', '-')}" for name in sorted(given) if name not in heard and name != "overrides"]
    if "overrides" not in heard:
        unheard += args.overrides
    if unheard:
        raise ConfigError(f"{', '.join(unheard)}: {'has' if len(unheard) == 1 else 'have'} no effect {where}: leave out")


def is_override(text: str) -> bool:
    """Whether an argument is a ``key.path=value``, and not the name of a file."""
    return bool(re.match(r"[\w.\[\]]+=", text)) and not Path(text).exists()
