"""The networks that ``resdet analyze`` measures, as its arguments say."""

from __future__ import annotations

import argparse

from resdet.analysis.subjects import saved_networks, untrained_networks
from resdet.config.schema import ClassificationRunConfig
from resdet.inference.device import select_device
from resdet.models.classifier import Classifier

_IMAGES = 1000


def images_of(args: argparse.Namespace) -> int:
    """How many test images: ``--images``, or 1000."""
    return _IMAGES if args.images is None else int(args.images)


def networks_of(config: ClassificationRunConfig, args: argparse.Namespace) -> list[tuple[str, Classifier]]:
    """The named networks of ``--weights``, or the untrained ones of ``--networks``, on the device."""
    device = select_device(args.device)
    if args.weights:
        return saved_networks(config, args.weights, args.networks, device)
    return untrained_networks(config, args.networks, device)
