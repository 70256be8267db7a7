"""Download published weights: torchvision's backbones, Detectron2's detectors.

They go to the toolkit's cache folder, where run files find them. What torch or timm has already is not fetched again.
"""

from __future__ import annotations

import argparse

from resdet.console import say, show

# those of resdet.models.backbones.weights.published, which would import torch
NAMES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "fasterrcnn_r50_c4",
    "fasterrcnn_r101_c4",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``weights``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="download")
    text = "Download and verify published weights; continues after an interruption. Detectors become resdet model files."
    download = actions.add_parser("download", help="fetch published weights", description=text)
    download.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))


def run(args: argparse.Namespace) -> int:
    """Find or fetch the weights, and print where they are.

    Raises:
        ResdetError: when a server refuses or a transfer breaks off; the same command goes on from there.
        DataError: when the file differs from the published one, or is no weights file.
    """
    from resdet.commands.data_download import TransferProgress
    from resdet.data.download.fetch import Remote, fetch
    from resdet.models.backbones.weights.find import find_weights, own_cache
    from resdet.models.backbones.weights.published import PUBLISHED_WEIGHTS
    from resdet.models.convert.convert_file import convert_file

    published, folder = PUBLISHED_WEIGHTS[args.name], own_cache()
    option = "model.weights" if published.detector else "model.backbone.weights"
    path = find_weights(args.name)
    if path is None:
        remote = Remote(published.url, digits=published.sha256)
        path = fetch(remote, folder / ".download" if published.detector else folder, TransferProgress().show)
        if published.detector:
            source, path = path, folder / f"{args.name}.safetensors"
            try:
                report = convert_file(source, path).report
                show(report.table(), {"tensors": report.kinds()})
            finally:  # a broken file must not be taken for a fetched one by the next call
                source.unlink()
    show("", {"option": option, "path": str(path)})
    say(f"{args.name} is here: {option}={path}")
    return 0
