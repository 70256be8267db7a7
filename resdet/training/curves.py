"""Draws the learning curves of a run."""

from __future__ import annotations

import warnings

from resdet.engine.run_folder import RunFolder
from resdet.errors import ResdetError
from resdet.report.curves import plot_log


def draw_curves(files: RunFolder) -> None:
    """Draw ``report/curves.png``; a log that cannot be drawn only gives a warning, because the run itself is done."""
    try:
        plot_log(files.log, files.folder / "report" / "curves.png")
    except ResdetError as error:
        warnings.warn(f"no learning curves: {error}", stacklevel=2)
