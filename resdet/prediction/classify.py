"""Classifies files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from resdet.console import say
from resdet.errors import ConfigError
from resdet.files import write_json
from resdet.inference.classifier import ImageClassifier, images_at_once
from resdet.prediction.job import Job
from resdet.prediction.parts import Row
from resdet.prediction.written import classification_row


def classify_files(model: ImageClassifier, job: Job) -> None:
    """Name each picture's best class, and write ``predictions.json``. Classifiers work in batches, which are the parts.

    Raises:
        ConfigError: for a format that is one of detectors.
        DataError: with every file that cannot be read; the others are done.
    """
    if others := [name for name in job.formats if name != "json"]:
        raise ConfigError(f"--format {', '.join(others)}: for detectors; of a classifier predictions.json is written")
    size = images_at_once(model.transform.crop)
    batches = [[file.path for file in job.files[first : first + size]] for first in range(0, len(job.files), size)]

    def work(number: int, add: Callable[[Row], None]) -> None:
        for found in model.stream(batches[number]):
            say(f"{found.path}: {found[0].name} {found[0].score:.3f}")
            add(classification_row(found))

    def write(rows: Iterator[tuple[int, Row]]) -> None:
        write_json(job.output / "predictions.json", [row for _, row in rows])

    job.carry_out([[(path, "") for path in batch] for batch in batches], work, write)
