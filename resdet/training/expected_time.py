"""Says how long a run will take as soon as its first steps are timed."""

from __future__ import annotations

import logging
import statistics

from resdet.engine.run import Hook, Run
from resdet.training.durations import spelled

_log = logging.getLogger(__name__)
_WARM, _TIMED = 3, 10  # steps that are not timed, because caches are cold, and steps that are


class ExpectedTime(Hook):
    """Logs the time that the remaining steps will take, once, from the median of the first ones of this process."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def after_step(self, run: Run) -> None:
        """Time the step."""
        if len(self.seconds) == _WARM + _TIMED:
            return
        self.seconds.append(run.step_time)
        left = run.iterations - run.iteration
        if len(self.seconds) == _WARM + _TIMED and left > 0:
            step = statistics.median(self.seconds[_WARM:])
            _log.info("time: about %s for the %s steps that are left, %.2g s each", spelled(left * step), f"{left:,}", step)
