"""The arguments that describe a data set to the ``data`` commands."""

from __future__ import annotations

import argparse

DETECTION_FORMATS = ("coco", "voc", "yolo", "imagenet_det", "label_studio", "cvat", "via", "csv", "hf_objects", "labelme")
_ANNOTATIONS = (
    "coco: the instances json; yolo: the yaml with the class names, when not ROOT/data.yaml; "
    "label_studio, via: the json export; cvat: the xml of CVAT for images, video; csv: the table; hf_objects: metadata.jsonl; "
)
_SPLIT = (
    "voc: a list under ImageSets, or none: every xml; yolo: train, val or test, or none: every labelled image; "
    "imagenet_det: a list under ImageSets; "
)
_CLASSIFICATION_FORMATS = ("folder", "imagenet", "list", "shards", "cifar10", "cifar100")


def add_source_arguments(parser: argparse.ArgumentParser, *, detection: bool) -> None:
    """``--config`` with ``key.path=value``, or ``--format`` with ``--root``, ``--annotations`` and ``--split``."""
    formats = [*(DETECTION_FORMATS if detection else ()), *_CLASSIFICATION_FORMATS]
    which = "the data" if detection else "the training data"
    parser.add_argument("--config", metavar="FILE", help=f"{which} of a run file")
    parser.add_argument("--format", choices=formats, help="without a run file: the layout of the files")
    parser.add_argument("--root", default="", metavar="DIR", help="the data set's folder")
    parser.add_argument(
        "--annotations",
        default="",
        metavar="FILE",
        help=f"{_ANNOTATIONS if detection else ''}"
        "list: the CSV or JSON file; imagenet: the solution CSV of a flat val, when it lies elsewhere",
    )
    parser.add_argument(
        "--split",
        default="",
        metavar="NAME",
        help=f"{_SPLIT if detection else ''}imagenet: train or val; cifar: train, test, train45k or val5k (default: train)",
    )
    if detection:
        text = "text file of image names or ids of a detection set, one a line: only these images"
        parser.add_argument("--images", default="", metavar="FILE", help=text)
    parser.add_argument("overrides", nargs="*", metavar="key.path=value", help="options of the run file to change")


def add_described_detection_arguments(parser: argparse.ArgumentParser) -> None:
    """``--format``, ``--root``, ``--annotations`` and ``--split`` of a detection set, without a run file."""
    parser.add_argument("--format", required=True, choices=DETECTION_FORMATS, help="the layout of the files")
    parser.add_argument("--root", required=True, metavar="DIR", help="the data set's folder; coco: that of the images")
    parser.add_argument("--annotations", default="", metavar="FILE", help=_ANNOTATIONS.removesuffix("; "))
    parser.add_argument("--split", default="", metavar="NAME", help=_SPLIT.removesuffix("; "))
