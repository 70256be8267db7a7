"""Writes the page of a run at its end."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from resdet.engine.run_folder import RunFolder
from resdet.engine.task import Task
from resdet.errors import ResdetError
from resdet.report.html.run import write_report

if TYPE_CHECKING:
    from resdet.config.check import RunFile


def write_run_report(files: RunFolder, config: RunFile, task: Task[Any, Any]) -> None:
    """Write ``report.html``; results that cannot be shown only give a warning, because the run itself is done."""
    try:
        write_report(files.folder, config, task.sets())
    except ResdetError as error:
        warnings.warn(f"no report: {error}", stacklevel=2)
