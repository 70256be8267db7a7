"""Show versions, backbones with their cost, the shipped run files, every option, or what a weights or run file says.

The multiply-adds are those of one image of 224x224 pixels (CIFAR nets: 32x32) with the stride in the first 1x1, as in the
paper; the figure that the paper prints stands beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from resdet.console import show
from resdet.errors import ConfigError


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
    parts = list(_asked(args)) or _everything()
    show("\n\n".join(text for _, text, _ in parts), {name: values for name, _, values in parts})
    return 0


def _asked(args: argparse.Namespace) -> Iterator[tuple[str, str, Any]]:
    """The parts that are asked for: a name, the text, and the same for programs."""
    from resdet.facts import run_files

    if args.configs:
        yield "configs", run_files.shipped_text(), run_files.shipped_values()
    if args.options:
        yield "options", run_files.options_text(), run_files.options_values()
    if args.config:
        yield "config", run_files.run_file_text(args.config), run_files.run_file_values(args.config)
    if args.weights:
        from resdet.facts.weights import exported_facts, weights_facts
        from resdet.inference.exported.program import is_exported, open_program
        from resdet.models.backbones.weights.read import read_weights

        if is_exported(args.weights):
            if args.images:
                raise ConfigError(f"--images measures what tensors want; {args.weights} is an exported file, which says it")
            facts = exported_facts(open_program(args.weights))
            yield "weights", _rows(facts, 14), _plain(facts)
            return
        file = read_weights(args.weights)
        facts = weights_facts(file)
        yield "weights", _rows(facts, 14), _plain(facts)
        if args.images:
            from resdet.facts.conventions import conventions_of

            found = conventions_of(file, args.images)
            yield "conventions", found.text, found.values


def _everything() -> list[tuple[str, str, Any]]:
    """The parts that are shown when no argument asks for anything."""
    from resdet.facts.backbones import backbones_text, backbones_values
    from resdet.facts.machine import kernels_text, kernels_values, versions

    return [
        ("versions", _rows(versions(), 24), versions()),
        ("kernels", kernels_text(), kernels_values()),
        ("backbones", backbones_text(), backbones_values()),
    ]


def _plain(facts: Mapping[str, object]) -> dict[str, object]:
    """Facts as JSON can hold them: paths are texts."""
    return {name: str(fact) if isinstance(fact, Path) else fact for name, fact in facts.items()}


def _rows(facts: Mapping[str, object], width: int) -> str:
    return "\n".join(f"{name:<{width}}{fact}" for name, fact in facts.items())
