"""Upload a model file to the Hugging Face Hub, with a README written from its card."""

from __future__ import annotations

import argparse

from resdet.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``push``."""
    parser.add_argument("source", metavar="SRC", help="a model file that training wrote, model.safetensors")
    parser.add_argument("repository", metavar="OWNER/NAME", help="the repository, which is made where there is none")
    parser.add_argument("--private", action="store_true", help="a new repository is for its owner alone")


def run(args: argparse.Namespace) -> int:
    """Upload, and say how the model is loaded from there.

    Raises:
        ConfigError: no such file, another form of the repository, or a package that is not installed.
        DataError: a damaged file.
        ResdetError: the Hub cannot be reached, or refuses.
    """
    from resdet.inference.hub import SCHEME, push

    address = push(args.source, args.repository, private=args.private)
    say(f'{address}: uploaded; resdet.load("{SCHEME}{args.repository}")')
    return 0
