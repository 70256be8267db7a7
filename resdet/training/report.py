"""Writes the page of a run at its end."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from resdet.engine.run_folder import RunFolder
from resdet.engine.task import Task
from resdet.errors import ResdetError
from resdet.report.html.run import write_report
from resdet.training.classification.task import ClassificationTask
from resdet.training.detection.task import DetectionTask
from resdet.training.localization.task import LocalizationTask

if TYPE_CHECKING:
    from resdet.config.check import RunFile


def write_run_report(files: RunFolder, config: RunFile, task: Task[Any, Any]) -> None:
    """Write ``report.html``; results that cannot be shown only give a warning, because the run itself is done."""
    try:
        write_report(files.folder, config, _sets(task))
    except ResdetError as error:
        warnings.warn(f"no report: {error}", stacklevel=2)


def _sets(task: Task[Any, Any]) -> dict[str, Any]:
    """The data sets that a task has read."""
    found: dict[str, Any] = {}
    if isinstance(task, DetectionTask):
        found = {"train": task.images.dataset, "val": task.evaluation and task.evaluation.view.dataset}
    elif isinstance(task, ClassificationTask):
        found = {"train": task.view.dataset, "val": task.evaluation and task.evaluation.dataset}
    elif isinstance(task, LocalizationTask):
        found = {"train": task.images.dataset, "val": task.evaluation and task.evaluation.dataset}
    return {name: each for name, each in found.items() if each is not None}
