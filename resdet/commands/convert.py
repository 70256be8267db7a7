"""Turn another toolkit's weights into a resdet model file, or a resdet model file into another toolkit's weights.

Sources: torchvision's and timm's ResNets, MSRA's in Caffe2's naming (Detectron), Detectron2's ResNets and its Faster R-CNN C4
models. docs/weights.md says what is known of each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from resdet.console import say, show

_SOURCES = ("auto", "torchvision", "timm", "caffe2", "detectron2")
_TOOLKITS = ("torchvision", "detectron2")
_OF_SOURCES = {"scheme": "from", "names": "names", "pixels": "pixels", "stride": "stride", "take": "take", "config": "config"}
_SETS = ("ema", "teacher", "student")
_PIXELS = ("torchvision", "msra", "detectron", "detectron2", "torchvision_bgr", "unit", "symmetric", "msra_rgb")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``convert``."""
    parser.add_argument("source", metavar="SRC", help="a .pth, .pkl or .safetensors file")
    parser.add_argument("destination", metavar="DST", help="the .safetensors file to write; with --to a .pth file")
    parser.add_argument(
        "--to",
        choices=_TOOLKITS,
        help="write SRC, a resdet model file, as this toolkit has it, with a detector's settings beside",
    )
    parser.add_argument(
        "--from", dest="scheme", default="auto", choices=_SOURCES, help="whose names the file has (default: auto, by the names)"
    )
    parser.add_argument(
        "--names",
        metavar="FILE",
        help="class names in label order, one a line (default: ImageNet's for a classifier of 1000 classes, COCO's for a "
        "detector of 80, VOC's of 20)",
    )
    parser.add_argument(
        "--pixels", choices=_PIXELS, help="pixel convention of the weights (default: the source's, see docs/weights.md)"
    )
    parser.add_argument(
        "--stride", choices=("1x1", "3x3"), help="where a bottleneck has its stride (default: 3x3 with torchvision's pixels)"
    )
    parser.add_argument(
        "--take",
        default="",
        choices=_SETS,
        help="of a checkpoint with several sets of tensors this one (default: the network's own)",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="Detectron2's config.yaml of a detector: thresholds, sizes, anchors, pooling, … (default: the one beside SRC)",
    )
    parser.add_argument(
        "--boxes-only", action="store_true", help="of a Mask or Keypoint R-CNN on C4 take what finds boxes, and leave the rest"
    )


def run(args: argparse.Namespace) -> int:
    """Convert, write, and print what became of the tensors and what the file says of itself.

    Raises:
        ConfigError: names of no known source, another network, what a toolkit does not have, or a destination that exists.
        DataError: a file that cannot be read without executing a pickle.
    """
    return _back(args) if args.to else _forth(args)


def _back(args: argparse.Namespace) -> int:
    from resdet.errors import ConfigError
    from resdet.models.convert.back import convert_back

    given = [option for name, option in _OF_SOURCES.items() if getattr(args, name) not in (None, "", "auto")]
    if given or args.boxes_only:
        raise ConfigError(f"--to {args.to} writes what SRC says; --{(given or ['boxes-only'])[0]} is of other toolkits' files")
    written = convert_back(args.source, args.destination, args.to)
    show("\n".join(f"{name:<12}{fact}" for name, fact in written.facts.items()), {"facts": written.facts})
    say(f"written: {', '.join(map(str, written.paths))}")
    return 0


def _forth(args: argparse.Namespace) -> int:
    from resdet.models.convert import CONVENTIONS
    from resdet.models.convert.convert_file import convert_file

    converted = convert_file(
        args.source,
        args.destination,
        scheme=args.scheme,
        names=args.names,
        pixels=CONVENTIONS[args.pixels] if args.pixels else None,
        stride_in_1x1=None if args.stride is None else args.stride == "1x1",
        take=args.take,
        config=args.config,
        boxes_only=args.boxes_only,
    )
    facts = "\n".join(f"{name:<12}{fact}" for name, fact in converted.facts().items())
    show(f"{converted.report.table()}\n{facts}", {"tensors": converted.report.kinds(), "facts": converted.facts()})
    say(f"written: {Path(args.destination)}")
    return 0
