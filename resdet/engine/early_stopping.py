"""Ends a run whose evaluations no longer get better."""

from __future__ import annotations

import logging
import math
from typing import Any

from resdet.engine.run import Hook, Progress

_log = logging.getLogger(__name__)


class EarlyStopping(Hook):
    """Ends training when ``patience`` evaluations in a row did not beat the best score before them.

    The run is then evaluated and saved as at its end. A resumed run stays ended, unless it has more patience.

    Args:
        patience: the number of evaluations without a gain, at least 1; a score of NaN is none.
        notes: holds the best score and the count; the checkpoint keeps it.
    """

    def __init__(self, patience: int, notes: dict[str, Any]) -> None:
        self.patience = patience
        self.state: dict[str, Any] = notes.setdefault("early_stopping", {"best": None, "waited": 0})

    def note(self, score: float) -> None:
        """Count an evaluation."""
        best = self.state["best"]
        if math.isfinite(score) and (best is None or score > best):
            self.state.update(best=float(score), waited=0)
        else:
            self.state["waited"] += 1

    def before_train(self, run: Progress) -> None:
        """End a run that had ended before."""
        self._end_if_due(run)

    def after_evaluation(self, run: Progress) -> None:
        """Count the evaluation, and end the run when it was one too many."""
        self.note(run.score)
        self._end_if_due(run)

    def _end_if_due(self, run: Progress) -> None:
        if self.state["waited"] >= self.patience and run.iteration < run.iterations:
            _log.info(
                "early stopping after iteration %d: %d evaluations without a score above %s",
                run.iteration,
                self.state["waited"],
                "any number" if self.state["best"] is None else f"{self.state['best']:.4f}",
            )
            run.iterations = run.iteration
