"""Keeps what the last evaluation found while training goes on, for ``resdet report``."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

from resdet.engine.run import Hook, Run
from resdet.report.results import LAST_EVALUATION


class LastEvaluation(Hook):
    """Writes the results of each evaluation but the final one, whose results are the run's own, into ``last_evaluation``."""

    def after_evaluation(self, run: Run) -> None:
        """Write; where that fails, training goes on."""
        if run.iteration < run.iterations:
            try:
                run.task.write_evaluation(run.model, run.folder / LAST_EVALUATION)
            except OSError as error:
                warnings.warn(f"{error.filename or run.folder}: no results for a report: {error.strerror}", stacklevel=2)


def forget_last_evaluation(folder: Path) -> None:
    """Remove the results of evaluations before the final one."""
    shutil.rmtree(folder / LAST_EVALUATION, ignore_errors=True)
