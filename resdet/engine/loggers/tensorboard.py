"""TensorBoard's event files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from resdet.engine.loggers.logger import Histogram
from resdet.engine.run import Run
from resdet.evaluation.thresholds import ScoreCurve

_THRESHOLDS = np.linspace(0, 1, 101)


class TensorBoardLogger:
    """Writes event files into the run's folder; what earlier files have of later steps is hidden."""

    def __init__(self, run: Run) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(run.folder), purge_step=run.iteration + 1)

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Add each number."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def pictures(self, pictures: Mapping[str, Image.Image], iteration: int) -> None:
        """Add each picture."""
        for name, picture in pictures.items():
            self._writer.add_image(name, np.asarray(picture), iteration, dataformats="HWC")

    def curves(self, curves: Mapping[str, ScoreCurve], iteration: int) -> None:
        """Add each curve at 101 scores; there are no true negatives among boxes."""
        for name, curve in curves.items():
            points = [curve.at(score) for score in _THRESHOLDS]
            right, wrong, missed = (
                np.array([getattr(point, key) for point in points], np.int64) for key in ("right", "wrong", "missed")
            )
            precision, recall = right / np.maximum(1, right + wrong), right / max(1, curve.objects)
            self._writer.add_pr_curve_raw(
                f"precision_recall/{name}",
                right,
                wrong,
                np.zeros_like(right),
                missed,
                precision,
                recall,
                iteration,
                len(points),
            )

    def histograms(self, histograms: Mapping[str, Histogram], iteration: int) -> None:
        """Add each histogram; the sums are those of values in the middle of their intervals."""
        for name, (counts, edges) in histograms.items():
            middles = (edges[:-1] + edges[1:]) / 2
            self._writer.add_histogram_raw(
                name,
                min=edges[0],
                max=edges[-1],
                num=counts.sum(),
                sum=counts @ middles,
                sum_squares=counts @ middles**2,
                bucket_limits=edges[1:].tolist(),
                bucket_counts=counts.tolist(),
                global_step=iteration,
            )

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
