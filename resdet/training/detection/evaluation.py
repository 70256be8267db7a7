"""Evaluates detectors on the validation set of a detection config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from resdet.config import config_to_dict
from resdet.config.schema import DetectionDataConfig, DetectionTestConfig
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.voc import image_names
from resdet.data.loading.loader import test_loader
from resdet.data.loading.views import DetectionView
from resdet.data.sources.detection import build_dataset, source_proposals
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.task import Results, Shown
from resdet.evaluation.diagnosis import diagnose
from resdet.evaluation.evaluator import CocoEvaluator
from resdet.evaluation.ground_truth import GroundTruth
from resdet.evaluation.predictions import normalized_shares
from resdet.evaluation.voc_files import write_voc_results
from resdet.files import atomic_write
from resdet.inference.detector import detect_batches
from resdet.inference.exported.networks import ExportedDetector
from resdet.inference.load import improvements_of
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.report.draw import Sample, contact_sheet
from resdet.report.html.detection import class_curves
from resdet.report.results import write_detections, write_metrics
from resdet.structures import Detections

_SHOWN = 8
_LOGGED = 800  # width of a pair of pictures, pixels: they are logged at each evaluation


class DetectorEvaluation:
    """The evaluation of detectors on a config's validation set.

    Args:
        data: the data section.
        names: the detectors' class names, in label order.
        test: the options of testing; the networks' own postprocessing was already built from them.
        backend: the package that computes COCO's numbers, hotcoco or pycocotools.
        dataset: a data set to use instead of the validation files.
        ranks: the processes that evaluate together: each detects on its share of the images, the first one scores and writes.

    Raises:
        ConfigError, DataError: from the constructor, when the validation set is missing or broken, or has other classes.
    """

    def __init__(
        self,
        data: DetectionDataConfig,
        names: Sequence[str],
        test: DetectionTestConfig,
        backend: str = "hotcoco",
        dataset: DetectionDataset | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.source = data.val if dataset is None else None
        dataset = dataset if dataset is not None else build_dataset([data.val], names, option="data.val")
        metrics = ("coco",) if data.metric == "coco" else ("coco", data.metric)
        self.evaluator = CocoEvaluator(GroundTruth.from_dataset(dataset), dataset.category_ids, dataset.names, metrics, backend)
        self.test = test
        self.improvements = improvements_of(test)
        transform = DetectionTestTransform(data.test_short_side, data.max_side)
        pyramid = self.improvements.pyramid(data.test_short_side, data.max_side)
        proposals = source_proposals([data.val], [dataset], option="data.val") if self.source else None
        self.view = DetectionView(dataset, transform, pyramid=pyramid, proposals=proposals)
        self.workers = data.workers
        self.metrics: dict[str, Any] = {}
        # pictures for the report, spread over the set
        self.shown: dict[int, Detections | None] = {index * len(dataset) // _SHOWN: None for index in range(_SHOWN)}

    def run(self, model: FasterRCNN | ExportedDetector) -> dict[str, Any]:
        """Detect on every image and return the metrics, as in ``metrics.json``."""
        return self.run_ensemble([model])

    def run_ensemble(
        self, models: Sequence[FasterRCNN | ExportedDetector], shares: Sequence[float] | None = None
    ) -> dict[str, Any]:
        """Detect on every image by several networks together (see ``detect_image``) and return the metrics."""
        self.ranks.doing("evaluation")
        batches = test_loader(self.view, self.workers, ranks=self.ranks)
        found = self.ranks.collect(list(detect_batches(models, batches, self.improvements, shares)))
        self.metrics = self.ranks.once(lambda: self._score(found))
        self.metrics["meta"] |= {"test": config_to_dict(self.test), "shares": normalized_shares(shares, len(models))}
        return self.metrics

    def _score(self, found: Sequence[Detections]) -> dict[str, Any]:
        """The metrics of the detections of all images."""
        self.evaluator.reset()
        self.evaluator.process(found)
        self.shown = {index: found[index] for index in self.shown}
        return self.evaluator.evaluate()

    def write(self, model: FasterRCNN | ExportedDetector, folder: Path) -> Results:
        """Write the metrics, detections and pictures of the last run; without one, run ``model`` first.

        The first process writes.
        """
        metrics = self.metrics or self.run(model)
        if not self.ranks.first:
            return Results(metrics)
        results = self.evaluator.results()
        paths = [write_metrics(folder, metrics), write_detections(folder, results)]
        if self.source is not None and self.source.format == "voc":
            paths.append(folder / "voc")
            classes = dict(zip(self.evaluator.category_ids, self.evaluator.names, strict=True))
            write_voc_results(paths[-1], self.source.split, results, image_names(self.view.dataset), classes)
        if samples := self.samples():
            sheet = contact_sheet(list(samples.values()))
            paths.append(folder / "report" / "detections.png")
            atomic_write(paths[-1], lambda temporary: sheet.save(temporary, format="PNG"))
        return Results(metrics, paths)

    def samples(self) -> dict[int, Sample]:
        """Pictures spread over the set, with what the last run found in them, by their index; none before a run."""
        found = {index: each for index, each in self.shown.items() if each is not None}
        return {index: Sample(*self.view.dataset.load(index), each, self.evaluator.names) for index, each in found.items()}

    def to_show(self) -> Shown:
        """Pictures, curves and scores of the last run, for loggers."""
        pictures = {
            self.view.dataset.path(index).stem: contact_sheet([sample], max_width=_LOGGED)
            for index, sample in self.samples().items()
        }
        truth, found = self.evaluator.truth, self.evaluator.columns()
        curves = class_curves(truth, found, diagnose(truth, found))
        return Shown(pictures, curves, {"score": torch.from_numpy(found.scores)})
