"""Weights & Biases; its own environment variables (WANDB_MODE, WANDB_PROJECT, …) say where runs go."""

from __future__ import annotations

import os
from collections.abc import Mapping

from PIL import Image

from resdet.engine.loggers.logger import Histogram, curves_picture
from resdet.engine.loggers.names import PROJECT, kept_name, options_of
from resdet.engine.run import Run
from resdet.evaluation.thresholds import ScoreCurve


class WandbLogger:
    """Logs to a run of wandb, a resumed run to the same one."""

    def __init__(self, run: Run) -> None:
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.folder.name,
            id=kept_name(run.folder, "wandb"),
            resume="allow",
            dir=str(run.folder),
            config=options_of(run),
            settings=wandb.Settings(console="off"),
        )
        # its own steps must rise, but those of a resumed run may come twice
        self._run.define_metric("*", step_metric="iteration")

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Log each number."""
        self._run.log({**values, "iteration": iteration})

    def pictures(self, pictures: Mapping[str, Image.Image], iteration: int) -> None:
        """Log each picture."""
        images = {name: self._wandb.Image(picture) for name, picture in pictures.items()}
        self._run.log({**images, "iteration": iteration})

    def curves(self, curves: Mapping[str, ScoreCurve], iteration: int) -> None:
        """Log a picture of all curves."""
        self.pictures({"precision_recall": curves_picture(curves)}, iteration)

    def histograms(self, histograms: Mapping[str, Histogram], iteration: int) -> None:
        """Log each histogram."""
        all_of_them = {
            name: self._wandb.Histogram(np_histogram=(counts, edges)) for name, (counts, edges) in histograms.items()
        }
        self._run.log({**all_of_them, "iteration": iteration})

    def close(self) -> None:
        """Finish the run there."""
        self._run.finish()
