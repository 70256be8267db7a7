"""``data check``: everything that is wrong with a data set, and everything to know of before training."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import asdict

from resdet.commands.data_arguments import add_source_arguments
from resdet.commands.data_sources import named_data
from resdet.console import say, show
from resdet.errors import ResdetError


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``data check``."""
    add_source_arguments(parser, detection=True)


def run_check(args: argparse.Namespace) -> int:
    """Read every annotation, decode every image, and print the classes and the findings.

    Raises:
        ConfigError: on wrong arguments or options.
        DataError: with every problem of every source and image, after the findings are printed.
    """
    from resdet.data.check import summary
    from resdet.data.checked import checked
    from resdet.data.dataset import DetectionDataset
    from resdet.data.formats.annotations import BoxWarning
    from resdet.data.formats.folder import FileDataset
    from resdet.data.inspection.classes import class_counts
    from resdet.data.inspection.inspection import Inspection
    from resdet.data.inspection.unmentioned import unmentioned

    data = named_data(args)
    inspection = Inspection(data.scale)
    failure = None
    sets: dict[str, dict[str, object]] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BoxWarning)  # the findings say the same, and where
            for option, dataset in checked(data.sources, data.names, inspection.examine):
                counts = class_counts(dataset) if isinstance(dataset, (DetectionDataset, FileDataset)) else {}
                classes = ", ".join(f"{name} {count}" for name, count in counts.items())
                text, source = summary(dataset), data.sources[option]
                lines = [f"{option}: {text}{': ' if counts else ''}{classes}"]
                sets[option] = {"summary": text, "images": len(dataset), "classes": counts or list(dataset.names)}
                count, first = unmentioned(source, dataset, data.sources.values())
                if count:
                    lines.append(f"{option}: {count} images of {source.root} are in no annotation, {first} for one: left out")
                    sets[option]["unmentioned"] = count
                show("\n".join(lines), {"sets": sets})
    except ResdetError as error:
        failure = error
    findings = list(inspection.findings())
    for told in findings:
        say(f"warning: {told}", error=True, always=True)
    show("", {"findings": [{"option": told.option, **asdict(told.finding)} for told in findings]})
    if failure:
        raise failure
    return 0
