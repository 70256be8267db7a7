"""``data check``: everything that is wrong with a data set, and everything to know of before training."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from resdet.commands.data_arguments import add_source_arguments
from resdet.commands.data_sources import named_data
from resdet.console import say, show
from resdet.errors import ResdetError

if TYPE_CHECKING:
    from resdet.data.dataset import ClassificationDataset, DetectionDataset
    from resdet.data.described import Source


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data check``."""
    add_source_arguments(parser, detection=True)


def run_check(args: argparse.Namespace) -> int:
    """Read every annotation, decode every image, and print the classes and the findings.

    Raises:
        ConfigError: on wrong arguments or options.
        DataError: with every problem of every source and image, after the findings are printed.
    """
    from resdet.config.schema import DetectionSourceConfig
    from resdet.data.check import summary, undecodable
    from resdet.data.checked import checked
    from resdet.data.dataset import DetectionDataset
    from resdet.data.formats.annotations import BoxWarning
    from resdet.data.inspection.classes import class_counts
    from resdet.data.inspection.inspection import Inspection

    data = named_data(args)
    inspection = Inspection(data.scale)

    def examine(option: str, source: Source, dataset: DetectionDataset | ClassificationDataset) -> Sequence[str]:
        if isinstance(source, DetectionSourceConfig) and isinstance(dataset, DetectionDataset):
            return inspection.examine(option, source, dataset)
        return undecodable(dataset)

    failure, sets = None, {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BoxWarning)  # the findings say the same, and where
            for option, dataset in checked(data.sources, data.names, examine):
                counts = class_counts(dataset) if isinstance(dataset, DetectionDataset) else {}
                classes = ", ".join(f"{name} {count}" for name, count in counts.items())
                text = summary(dataset)
                sets[option] = {"summary": text, "images": len(dataset), "classes": counts or list(dataset.names)}
                show(f"{option}: {text}{': ' if counts else ''}{classes}", {"sets": sets})
    except ResdetError as error:
        failure = error
    findings = list(inspection.findings())
    for told in findings:
        say(f"warning: {told}", error=True, always=True)
    show("", {"findings": [{"option": told.option, **asdict(told.finding)} for told in findings]})
    if failure:
        raise failure
    return 0
