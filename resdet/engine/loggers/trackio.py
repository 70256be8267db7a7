"""trackio; its own environment variables (TRACKIO_DIR, TRACKIO_SPACE_ID, …) say where runs go."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from resdet.engine.loggers.logger import Histogram, curves_picture
from resdet.engine.loggers.names import PROJECT, kept_name, options_of
from resdet.engine.run import Run
from resdet.evaluation.thresholds import ScoreCurve


class TrackioLogger:
    """Logs to a run of trackio, a resumed run to the same one."""

    def __init__(self, run: Run) -> None:
        import trackio

        self._trackio = trackio
        name = f"{run.folder.name}-{kept_name(run.folder, 'trackio')}"
        self._run = trackio.init(project=PROJECT, name=name, config=options_of(run), resume="allow", embed=False)

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Log each number."""
        self._run.log(dict(values), step=iteration)

    def pictures(self, pictures: Mapping[str, Image.Image], iteration: int) -> None:
        """Log each picture."""
        self._run.log({name: self._trackio.Image(picture) for name, picture in pictures.items()}, step=iteration)

    def curves(self, curves: Mapping[str, ScoreCurve], iteration: int) -> None:
        """Log a picture of all curves."""
        self.pictures({"precision_recall": curves_picture(curves)}, iteration)

    def histograms(self, histograms: Mapping[str, Histogram], iteration: int) -> None:
        """Log each histogram."""
        made = {name: self._trackio.Histogram(np_histogram=tuple(each)) for name, each in histograms.items()}
        self._run.log(made, step=iteration)

    def close(self) -> None:
        """Finish the run there."""
        self._trackio.finish()  # the run alone would be finished, and told of on standard output, once more when Python ends
