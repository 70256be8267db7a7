"""Hooks that save: the state and the model at checkpoints, and the best model of the evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resdet.engine.checkpoint import Checkpointer, first_not_finite
from resdet.engine.logging import LogWriter
from resdet.engine.run import Hook, Progress, Run
from resdet.engine.seed import preserved_randomness
from resdet.inference.mode import evaluating


class EvalHook(Hook):
    """Evaluates every ``every`` iterations and at the end, and keeps the best model.

    An evaluation does not change the training: mode and random generators are restored afterwards. The state is saved before
    it, so that no step is lost when an evaluation fails or is killed. Its score is in the log at once, where a resumed run
    finds it, and in the state from the next checkpoint on. When training is asked to stop, the resumed run does the evaluation.

    Args:
        model: the network; it is in evaluation mode during the evaluation.
        evaluate: computes the metrics, a dict that JSON can hold.
        score: computes the score of such a dict; higher is better, and NaN is never the best.
        every: iterations between evaluations; 0: only at the end.
        best: the file of the best model.
        save_model: writes the model to a path, atomically.
        checkpoint: saves the state, and remembers the best score and the last evaluation.
        writers: receive the line ``{"iteration", "eval", "score"}``.
        hooks: told of every evaluation, after the writers.
    """

    def __init__(
        self,
        model: nn.Module,
        evaluate: Callable[[], dict[str, Any]],
        score: Callable[[dict[str, Any]], float],
        *,
        every: int,
        best: Path,
        save_model: Callable[[Path], None],
        checkpoint: Checkpointer,
        writers: Sequence[LogWriter],
        hooks: Sequence[Hook] = (),
    ) -> None:
        self.model = model
        self.evaluate = evaluate
        self.score = score
        self.every = every
        self.best = best
        self.save_model = save_model
        self.checkpoint = checkpoint
        self.writers = writers
        self.hooks = hooks

    def before_train(self, run: Run) -> None:
        """Do the evaluation that the previous run did not finish, when there is one."""
        if run.iteration > 0 and run.due(self.every) and last_evaluation(self.checkpoint) < run.iteration:
            self._evaluate(run)

    def after_step(self, run: Run) -> None:
        """Evaluate when it is time."""
        if run.due(self.every) and not run.stopping:
            self.checkpoint.save(run.iteration)
            self._evaluate(run)

    def _evaluate(self, run: Run) -> None:
        with evaluating(self.model), preserved_randomness():
            metrics = self.evaluate()
        score = float(self.score(metrics))  # converts NumPy's floats to plain ones, because it goes into the checkpoint
        if note_evaluation(self.checkpoint, run.iteration, score):
            self.save_model(self.best)
        for writer in self.writers:
            writer.write({"iteration": run.iteration, "eval": metrics, "score": score})
        run.metrics, run.score = metrics, score
        for hook in self.hooks:
            hook.after_evaluation(run)


class CheckpointHook(Hook):
    """Saves the state and the model every ``every`` iterations, at the end, and when training is asked to stop.

    It must come after the hooks whose notes it saves. When a loss is not finite and nothing was saved yet, it saves the state
    before that step for inspection. It leaves an existing file as it is.

    Args:
        checkpoint: saves the state.
        save_model: writes the model to a path, atomically.
        model_path: the file of the model.
        every: iterations between checkpoints.
    """

    def __init__(self, checkpoint: Checkpointer, save_model: Callable[[Path], None], model_path: Path, *, every: int) -> None:
        self.checkpoint = checkpoint
        self.save_model = save_model
        self.model_path = model_path
        self.every = every
        self._saved = -1
        self._buffers: list[tuple[Tensor, Tensor]] = []

    def before_train(self, progress: Progress) -> None:
        """Bring the model's file up to date, because the previous run may have been killed before it was written."""
        if progress.iteration > 0:
            self._save(progress.iteration)
        self._keep_buffers()

    def after_step(self, progress: Progress) -> None:
        """Save when it is time."""
        if progress.due(self.every):
            self._save(progress.iteration)
        self._keep_buffers()

    def on_interrupt(self, progress: Progress) -> None:
        """Save now."""
        if self._saved != progress.iteration:
            self._save(progress.iteration)

    def on_failure(self, progress: Progress) -> str:
        """Save the state before the step when no state was saved yet."""
        path = self.checkpoint.path
        if path.exists():
            return f"{path} stays as it was"
        with torch.no_grad():
            for buffer, before in self._buffers:
                buffer.copy_(before)
        if first_not_finite(self.checkpoint.model):
            return "nothing is saved, for the weights are not finite already"
        self._save(progress.iteration)
        return f"{path} holds the state before it"

    def _keep_buffers(self) -> None:
        # BN's statistics include a batch before its loss is known; copies take time, so we make them only until there is a file
        saved = self.checkpoint.path.exists()
        norms = (
            []
            if saved
            else [part for part in self.checkpoint.model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
        )
        self._buffers = [(buffer, buffer.detach().clone()) for norm in norms for buffer in norm.buffers()]

    def _save(self, iteration: int) -> None:
        self.checkpoint.save(iteration)
        self.save_model(self.model_path)
        self._saved = iteration


def note_evaluation(checkpoint: Checkpointer, iteration: int, score: float) -> bool:
    """Note that ``iteration`` was evaluated, and its score if it is the best so far; return whether it is the best."""
    checkpoint.extra["evaluated"] = iteration
    best = checkpoint.extra.get("best_score")
    if not math.isfinite(score) or (best is not None and score <= best):
        return False
    checkpoint.extra["best_score"] = score
    return True


def last_evaluation(checkpoint: Checkpointer) -> int:
    """The iteration of the last evaluation that the state knows of; 0: none."""
    return int(checkpoint.extra.get("evaluated", 0))
