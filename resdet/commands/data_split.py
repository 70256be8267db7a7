"""``data split``: which images to train on and which to validate on, as two lists."""

from __future__ import annotations

import argparse
from pathlib import Path

from resdet.console import say
from resdet.errors import ConfigError


def add_split_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data split``."""
    parser.add_argument("path", metavar="PATH", help="a folder, an annotation file or an archive of detection data")
    parser.add_argument("dest", metavar="DEST", help="the folder for train.txt and val.txt, for `images` of a run file's data")
    parser.add_argument("--share", type=float, default=0.2, metavar="S", help="the part for validation (default: 0.2)")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="another seed, another split (default: 0)")


def run_split(args: argparse.Namespace) -> int:
    """Write the two lists; the images stay where they are.

    Raises:
        ConfigError: on a share that is none, or lists that are there already.
        DataError: with every problem of the data, or when it cannot be split.
    """
    if not 0 < args.share < 1:
        raise ConfigError(f"--share must be above 0 and below 1, got {args.share}")
    dest = Path(args.dest).expanduser()
    if there := [str(file) for file in (dest / "train.txt", dest / "val.txt") if file.exists()]:
        raise ConfigError(f"{', '.join(there)}: there already; name another folder")
    from resdet.data.found import find_data
    from resdet.data.sources.detection import read_sources
    from resdet.data.splitting import split_source

    found = find_data(args.path)
    say(f"data:  {found.layout}")
    if len(found.train) > 1:
        raise ConfigError(
            f"{args.path} holds {len(found.train)} annotation files: name one of them, {found.train[0].annotations}"
        )
    split = split_source(found.train[0], read_sources(found.train)[0], dest, share=args.share, seed=args.seed)
    for part, images in zip((split.train, split.val), split.images, strict=True):
        say(f"{part.images}: {images} images")
    return 0
