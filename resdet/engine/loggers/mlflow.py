"""MLflow; its own environment variables (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, …) say where runs go."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from PIL import Image

from resdet.engine.loggers.logger import Histogram, curves_picture
from resdet.engine.loggers.names import PROJECT, keep_name, known_name, options_of
from resdet.engine.run import Run
from resdet.evaluation.thresholds import ScoreCurve

_ODD = re.compile(r"[^\w\-. /]")  # what MLflow does not take in names
_AT_ONCE = 100  # options


class MlflowLogger:
    """Logs to a run of MLflow, a resumed run to the same one."""

    def __init__(self, run: Run) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # of its own use, to its makers
        from mlflow import MlflowClient

        self._client = MlflowClient()
        known = known_name(run.folder, "mlflow")
        self._id = known or self._begun(run)
        if known:
            self._client.set_terminated(known, "RUNNING")
        else:
            keep_name(run.folder, "mlflow", self._id)

    def _begun(self, run: Run) -> str:
        """The id of a new run with the options of ours."""
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        where = experiment.experiment_id if experiment else self._client.create_experiment(name)
        begun = str(self._client.create_run(where, run_name=run.folder.name).info.run_id)
        options = [Param(_named(key), str(value)) for key, value in options_of(run).items()]
        for start in range(0, len(options), _AT_ONCE):
            self._client.log_batch(begun, params=options[start : start + _AT_ONCE])
        return begun

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Log each number."""
        for name, value in values.items():
            self._client.log_metric(self._id, _named(name), value, step=iteration)

    def pictures(self, pictures: Mapping[str, Image.Image], iteration: int) -> None:
        """Log each picture."""
        for name, picture in pictures.items():
            self._client.log_image(self._id, picture, key=_named(name), step=iteration)

    def curves(self, curves: Mapping[str, ScoreCurve], iteration: int) -> None:
        """Log a picture of all curves."""
        self.pictures({"precision_recall": curves_picture(curves)}, iteration)

    def histograms(self, histograms: Mapping[str, Histogram], iteration: int) -> None:
        """Log nothing: MLflow has no histograms."""

    def close(self) -> None:
        """Finish the run there."""
        self._client.set_terminated(self._id)


def _named(name: str) -> str:
    return _ODD.sub("_", name)
