"""Turn a trained model into a file that other programs run: ONNX, OpenVINO, or torch.export.

The whole model is in it: a detector's file takes RGB bytes and gives boxes, scores and labels. Before the file gets its name
it is run beside the model: with fp32 a box that differs by more than 0.01 pixels, or a score by more than 0.0001, is an error;
of fp16 and int8 the losses are printed. docs/export.md says what goes in and what comes out.
"""

from __future__ import annotations

import argparse

from resdet.commands.arguments import separate_overrides
from resdet.commands.predict_arguments import detector_options
from resdet.console import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``export``."""
    parser.add_argument("source", metavar="SRC", help="a model file that training wrote, model.safetensors")
    parser.add_argument(
        "destination", metavar="DST", help="the file to write: .onnx, .xml for OpenVINO, or .pt2 for torch.export"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="model.test.option=value",
        help="test options that the file is to have, for instance model.test.score_thresh=0.5",
    )
    parser.add_argument(
        "--precision",
        default="fp32",
        choices=("fp32", "fp16", "int8"),
        help="fp16 halves the file, int8 quarters it and needs --images (default: fp32)",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        default=[],
        metavar="PATH",
        help="photos, or folders of photos, to try the file on (default: five generated pictures)",
    )
    parser.add_argument(
        "--resize",
        action="store_true",
        help="the file takes pictures of any size and resizes them by itself (default: it takes pictures that are resized)",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="for .pt2: native code for processors like this one, by AOTInductor; needs a C++ compiler, takes minutes",
    )


def run(args: argparse.Namespace) -> int:
    """Export, try, write, and print how the file did.

    Raises:
        ConfigError: no such file, a package or a compiler that is missing, what cannot be exported.
        DataError: a file that cannot be read.
        ResdetError: fp32 that differs from the model.
    """
    from resdet.export.export import export_file

    separate_overrides(args, "images")
    exported = export_file(
        args.source,
        args.destination,
        precision=args.precision,
        resize=args.resize,
        compiled=args.compile,
        images=args.images,
        test=detector_options(args.overrides, "export"),
    )
    rows = {
        "written": f"{exported.path}, {exported.size / 1e6:.1f} MB, {args.precision}",
        "tried on": f"{exported.pictures} picture{'s'[: exported.pictures != 1]}",
        **exported.losses,
    }
    show("\n".join(f"{name:<14}{fact}" for name, fact in rows.items()), rows)
    return 0
