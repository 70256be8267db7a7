"""``data make``: a synthetic data set."""

from __future__ import annotations

import argparse

from resdet.console import say


def add_make_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data make``."""
    parser.add_argument("kind", choices=["shapes"], help="shapes: textured shapes on cluttered ground, with boxes and crops")
    parser.add_argument("dest", metavar="DEST", help="a new or empty folder")
    parser.add_argument("--train", type=int, default=1000, metavar="N", help="training images (default: 1000)")
    parser.add_argument("--val", type=int, default=200, metavar="N", help="validation images (default: 200)")
    parser.add_argument("--size", type=int, default=160, metavar="S", help="longer side in pixels (default: 160)")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="another seed, other images (default: 0)")


def run_make(args: argparse.Namespace) -> int:
    """Write the set; a ConfigError for wrong numbers, or a destination that holds something."""
    from resdet.data.synthetic.scenes import make_shapes

    written = make_shapes(args.dest, train=args.train, val=args.val, size=args.size, seed=args.seed)
    say(f"{args.dest}: {', '.join(f'{count} {what}' for what, count in written.items())}")
    return 0
