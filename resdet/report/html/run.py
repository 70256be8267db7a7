"""Writes the page of a run, or of an evaluation, from the files in its folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from resdet.config import load_config
from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig
from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.formats.imagenet import spoken_names
from resdet.data.localization import LocalizedImages
from resdet.data.sources.classification import build_classification_dataset
from resdet.data.sources.detection import build_dataset
from resdet.data.sources.localization import build_localization_dataset
from resdet.errors import ConfigError, DataError, ResdetError
from resdet.evaluation.diagnosis import diagnose
from resdet.evaluation.files import read_detections
from resdet.evaluation.ground_truth import GroundTruth
from resdet.evaluation.predictions import Predictions, read_predictions
from resdet.files import write_json
from resdet.report.html import classification, detection, localization
from resdet.report.html.blocks import Number, Numbers, Page, Section, Text
from resdet.report.html.data_card import Facts, data_section, facts_of
from resdet.report.html.detection_gallery import detection_gallery
from resdet.report.html.learning import learning_section
from resdet.report.html.page import write_page
from resdet.report.html.summary import compared_numbers, metrics_of, numbers_of, previous_run, to_reach
from resdet.report.html.suspicions import suspicion_rows, suspicion_section, suspicions
from resdet.report.results import latest_results
from resdet.wording import first_few

if TYPE_CHECKING:
    from resdet.config.check import RunFile

REPORT = "report.html"
SUSPICIONS = "label_suspicions.json"


class Results(NamedTuple):
    """What an evaluation wrote, in blocks.

    Attributes:
        numbers: of the summary.
        sections: the others.
        files: files that were written beside the page.
    """

    numbers: list[Number]
    sections: list[Section]
    files: list[Path]


class Kind(NamedTuple):
    """A task, as its page shows it.

    Attributes:
        title: what a network of the task is called.
        file: the file of an evaluation that the page is made of.
        values: the numbers of the summary, of the content of ``metrics.json``.
        results: the blocks of an evaluation, of the page's folder, its own and the validation set.
    """

    title: str
    file: str
    values: Callable[[Mapping[str, Any]], Mapping[str, float | None]]
    results: Callable[[Path, Path, Any], Results]


def write_report(folder: str | Path, config: RunFile, own: Mapping[str, Any] | None = None) -> list[Path]:
    """Write ``report.html`` into a folder, of what the folder holds: an evaluation, a log, or both.

    Args:
        folder: a run folder, finished or not, or the folder of an evaluation.
        config: the config of the run or the evaluation.
        own: the data sets "train" and "val", where they are at hand; the others are read from the config's files.

    Returns:
        The files written.

    Raises:
        ConfigError, DataError: when a file in the folder cannot be read, or does not belong to the data.
    """
    folder = Path(folder)
    kind, place = KINDS[config.task], latest_results(folder)
    metrics = metrics_of(place)
    notes: list[str] = []
    sets = read_sets(config, own or {}, notes, list(metrics.get("per_class") or ()))
    results = Results([], [], [])
    if "val" not in sets:
        notes.append("There is no validation set to show results on.")
    elif not (place / kind.file).is_file():
        notes.append(f"There are no results yet, and no pictures: no evaluation has written {kind.file}.")
    else:
        results = kind.results(folder, place, sets["val"])
    if place != folder:
        notes.append("Training has not ended: the numbers and pictures are those of its last evaluation.")
    sections = [*_summary(folder, place, kind, results.numbers), *results.sections]
    if (folder / "log.jsonl").is_file():
        sections += _learning(folder / "log.jsonl", notes)
    if sets:
        sections.append(data_section({_WORDS[name]: _spoken_facts(sets[name]) for name in _WORDS if name in sets}))
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    facts = {"task": config.task, "network": config.model.backbone.name, "folder": str(folder), "written": now}
    page = Page(f"{kind.title} {folder.absolute().name}", facts, sections, notes)
    return [write_page(folder / REPORT, page), *results.files]


def config_of(folder: str | Path) -> RunFile:
    """The config of a run folder, or of the run that an evaluation's folder lies in.

    Raises:
        ConfigError: when there is none, or with every problem of it.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: must be the folder of a run, is a file" if folder.exists() else f"{folder}: no such folder"
        )
    for place in (folder, folder.parent):
        if (place / "config.yaml").is_file():
            return load_config(place / "config.yaml")
    raise ConfigError(f"{folder}: holds no run: there is no config.yaml in it or in the folder above")


def _spoken_facts(dataset: Any) -> Facts:
    facts = facts_of(dataset)
    return facts._replace(names=spoken_names(facts.names, dataset.path(0)) if facts.images else facts.names)


def _summary(folder: Path, place: Path, kind: Kind, counts: list[Number]) -> list[Section]:
    previous = previous_run(folder, place / "metrics.json", kind.values)
    numbers = [*compared_numbers(numbers_of(place, kind.values), previous), *counts]
    target = to_reach(folder)
    texts = [Text(f"What the run file is to reach: {target}")] if target else []
    return [Section("Summary", [Numbers(numbers), *texts])] if numbers else []


def _learning(log: Path, notes: list[str]) -> list[Section]:
    try:
        return [learning_section(log)]
    except DataError as error:  # of a run that has not logged a step
        notes.append(f"No learning curves: {error}")
        return []


def read_sets(config: RunFile, own: Mapping[str, Any], notes: list[str], measured: Sequence[str] = ()) -> dict[str, Any]:
    """The sets "train" and "val" that there are.

    Args:
        config: names their files.
        own: those that are at hand.
        notes: gets a line for a set that cannot be read.
        measured: the class names of the results, for a validation set without its training set.
    """
    sets = dict(own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say of the data was said when the run began
        for name, word in _WORDS.items():
            if name not in sets and _named(config, name):
                names = sets["train"].names if "train" in sets else (measured or None) if name == "val" else None
                try:
                    sets[name] = _read_set(config, name, names)
                except ResdetError as error:
                    notes.append(f"The {word} set cannot be shown: {error.problems[0]}")
    return sets


def _named(config: RunFile, name: str) -> bool:
    source = getattr(config.data, name)
    return bool(source) if isinstance(source, list) else bool(source.root)


def _read_set(config: RunFile, name: str, names: Sequence[str] | None) -> Any:
    option = f"data.{name}"
    if isinstance(config, DetectionRunConfig):
        sources = config.data.train if name == "train" else [config.data.val]
        return build_dataset(sources, names or config.data.names or None, option=option)
    if isinstance(config, ClassificationRunConfig):
        return build_classification_dataset(getattr(config.data, name), names, option=option)
    return build_localization_dataset(getattr(config.data, name), names, option=option)


def _detection(folder: Path, place: Path, dataset: DetectionDataset) -> Results:
    truth = GroundTruth.from_dataset(dataset)
    measured = list(metrics_of(place).get("per_class") or truth.names)
    if measured != list(truth.names):  # the numbers of categories would mean other classes
        raise DataError(
            f"{place / 'metrics.json'}: has the classes {first_few(measured, 8)}; the data has {first_few(truth.names, 8)}"
        )
    found = read_detections(place / "detections.json", truth)
    diagnosis = diagnose(truth, found)
    curves = detection.class_curves(truth, found, diagnosis)
    gallery = detection_gallery(dataset, truth, found, diagnosis, folder)
    order = np.argsort(dataset.ids).tolist()
    files = [str(dataset.path(index)) for index in order]
    listed = suspicions(truth, found, diagnosis)
    write_json(folder / SUSPICIONS, suspicion_rows(listed, truth, files, dataset.annotation_ids))
    sections = [
        Section("Pictures", [gallery]),
        detection.ap_section(truth, diagnosis, curves),
        detection.threshold_section(diagnosis, curves),
        detection.confusion_section(truth.names, diagnosis),
        detection.error_section(diagnosis),
        detection.calibration_section(diagnosis),
        suspicion_section(listed, truth, gallery),
    ]
    return Results(detection.counted_numbers(truth, curves, diagnosis), sections, [folder / SUSPICIONS])


def _classification(folder: Path, place: Path, dataset: ClassificationDataset) -> Results:
    predictions = read_fitting_predictions(place, dataset)
    gallery = classification.classification_gallery(predictions, dataset.path, dataset.load, folder)
    sections = [Section("Pictures", [gallery]), *classification.classification_sections(predictions)]
    return Results(classification.classification_numbers(predictions), sections, [])


def read_fitting_predictions(folder: Path, dataset: ClassificationDataset) -> Predictions:
    """The ``predictions.npz`` of a folder; a DataError when it has not a row for each image of the data set."""
    path = folder / "predictions.npz"
    predictions = read_predictions(path)
    if len(predictions.labels) != len(dataset):
        raise DataError(f"{path}: must hold a row for each of {len(dataset)} images, got {len(predictions.labels)}")
    return replace(predictions, names=spoken_names(predictions.names, dataset.path(0)))


def _localization(folder: Path, place: Path, dataset: LocalizedImages) -> Results:
    found = localization.read_localizations(place / "predictions.json", dataset.names, len(dataset))
    hits, metrics = localization.hits_of(found, dataset), metrics_of(place)
    spoken = dict(zip(dataset.names, spoken_names(dataset.names, dataset.path(0)), strict=True))
    metrics["per_class"] = {spoken.get(name, name): row for name, row in (metrics.get("per_class") or {}).items()}
    gallery = localization.localization_gallery(replace(dataset, names=tuple(spoken.values())), found, folder)
    sections = [Section("Pictures", [gallery]), *localization.localization_sections(metrics, hits)]
    return Results(localization.localization_numbers(hits), sections, [])


_WORDS = {"train": "training", "val": "validation"}
KINDS = {
    "detection": Kind("Detector", "detections.json", detection.key_numbers, _detection),
    "classification": Kind("Classifier", "predictions.npz", classification.classification_values, _classification),
    "localization": Kind("Localizer", "predictions.json", localization.localization_values, _localization),
}
