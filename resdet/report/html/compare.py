"""Writes the page that compares two runs on the same validation set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resdet.config import config_to_dict
from resdet.console import plain
from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.formats.imagenet import spoken_names
from resdet.data.localization import LocalizedImages
from resdet.errors import ConfigError
from resdet.evaluation.compare import RESAMPLES, Difference, compare_detections, compare_means
from resdet.evaluation.diagnosis import diagnose
from resdet.evaluation.files import read_detections
from resdet.evaluation.ground_truth import Floats, GroundTruth, Integers, distinct_names
from resdet.evaluation.localization import IOU
from resdet.report.html.blocks import Cell, Change, Gallery, Look, Number, Numbers, Page, Section, Table, Text
from resdet.report.html.classification import classification_gallery
from resdet.report.html.detection_gallery import detection_gallery, errors_of_images
from resdet.report.html.localization import hits_of, localization_gallery, read_localizations
from resdet.report.html.page import write_page
from resdet.report.html.run import KINDS, config_of, read_fitting_predictions, read_sets
from resdet.report.html.summary import metrics_of
from resdet.report.results import latest_results

COMPARISON = "compare.html"
_ERRORS = ("fewer errors", "more errors")
_LISTED = 20  # pictures that got better, and as many that got worse


class Words(NamedTuple):
    """What a page says of images that got better: when they are, by what they did, and by what the others got worse."""

    when: str
    gained: str
    lost: str


class Compared(NamedTuple):
    """Two runs side by side.

    Attributes:
        differences: the numbers of all images.
        words: what is said of images that got better.
        number: what is compared by class.
        classes: the name of each class, its number before and after.
        gains: (N,), by how much each image got better.
        gallery: the pictures with what both found.
    """

    differences: list[Difference]
    words: Words
    number: str
    classes: list[tuple[str, float, float]]
    gains: Floats
    gallery: Gallery


def write_comparison(before: Path, after: Path) -> tuple[Compared, Path]:
    """Compare two run folders, or the folders of two evaluations, and write ``compare.html`` into the second.

    Returns:
        The comparison, and the path of the page.

    Raises:
        ConfigError: when a folder holds no results, or the runs are of different tasks or validation sets.
        DataError: when a file cannot be read, or does not belong to the data.
    """
    old, new = config_of(before), config_of(after)
    if old.task != new.task:
        raise ConfigError(f"runs of different tasks: {before} is {old.task}, {after} is {new.task}")
    sides = zip(config_to_dict(old.data.val).items(), config_to_dict(new.data.val).values(), strict=False)
    if others := [f"data.val.{name} is {one!r} in {before}, {two!r} in {after}" for (name, one), two in sides if one != two]:
        raise ConfigError(f"runs of different validation sets: {'; '.join(others)}")
    file = KINDS[new.task].file
    if lost := [folder for folder in (before, after) if not (latest_results(folder) / file).is_file()]:
        raise ConfigError([f"{folder}: holds no results: there is no {file}" for folder in lost])
    notes: list[str] = []
    sets = read_sets(new, {}, notes, list(metrics_of(latest_results(after)).get("per_class") or ()))
    if "val" not in sets:
        raise ConfigError(notes or [f"{after}: the run has no validation set"])
    names = _short_names(before, after)
    compared = _COMPARED[new.task](before, after, sets["val"], names)
    notes = [f"Training has not ended: {folder}" for folder in (before, after) if latest_results(folder) != folder]
    facts = {"task": new.task, **_facts(before, after)}
    page = Page(f"{names[1]} compared with {names[0]}", facts, _sections(compared, names), notes)
    return compared, write_page(after / COMPARISON, page)


def comparison_values(compared: Compared) -> dict[str, Any]:
    """The numbers of all images and of every class, for programs."""
    return {
        "numbers": [each._asdict() | {"change": each.change} for each in compared.differences],
        "class_number": compared.number,
        "classes": [{"name": name, "before": old, "after": new} for name, old, new in compared.classes],
        "images_better": int((compared.gains > 0).sum()),
        "images_worse": int((compared.gains < 0).sum()),
    }


def comparison_text(compared: Compared) -> str:
    """The numbers and the classes that changed most, for a terminal."""
    lines = [
        f"{each.name:22} {each.before:.3f} -> {each.after:.3f}  {each.change:+.3f}  (95 %: {each.low:+.3f} … {each.high:+.3f})"
        for each in compared.differences
    ]
    changed = sorted(compared.classes, key=lambda row: -abs(row[2] - row[1]) if row[1] == row[1] else 0)[:10]
    changed = [(plain(name), old, new) for name, old, new in changed]
    width = max((len(name) for name, *_ in changed), default=0)
    lines += ["", f"{compared.number} of the classes that changed most"]
    lines += [f"{name:{width}}  {old:.3f} -> {new:.3f}  {new - old:+.3f}" for name, old, new in changed]
    better, worse = int((compared.gains > 0).sum()), int((compared.gains < 0).sum())
    return "\n".join([*lines, "", f"images: {better} better, {worse} worse, {len(compared.gains) - better - worse} alike"])


def _sections(compared: Compared, names: Sequence[str]) -> list[Section]:
    numbers = [
        Number(each.name, f"{each.after:.3f}", f"{each.before:.3f} before ({each.change:+.3f})")
        for each in compared.differences
    ]
    rows: list[Sequence[Cell]] = [
        [each.name, each.before, each.after, Change(each.change), f"{each.low:+.3f} … {each.high:+.3f}", _verdict(each)]
        for each in compared.differences
    ]
    text = (
        f"The interval holds the change with a confidence of 95 %: images were drawn anew {RESAMPLES} times, and both runs "
        "measured on the same draw. When it holds 0, the change may be chance."
    )
    header = ["number", names[0], names[1], "change", "interval of the change", "verdict"]
    measured = sorted(compared.classes, key=lambda row: row[1] != row[1])  # those without images last
    classes: list[list[Cell]] = [[name, old, new, Change(new - old)] for name, old, new in measured]
    better, worse = _ends(compared)
    return [
        Section("Summary", [Numbers(numbers), Text(text), Table("All images", header, rows)]),
        Section("Classes", [Table(f"{compared.number} by class", ["class", names[0], names[1], "change"], classes)]),
        Section(
            "Better and worse",
            [
                Text(f"An image is better when {compared.words.when}."),
                Table("The most improved", ["picture", compared.words.gained], better),
                Table("The most worsened", ["picture", compared.words.lost], worse),
            ],
        ),
        Section("Pictures", [compared.gallery]),
    ]


def _ends(compared: Compared) -> tuple[list[list[Cell]], list[list[Cell]]]:
    gains, pictures = compared.gains, compared.gallery.pictures
    order = sorted(range(len(pictures)), key=lambda place: -gains[pictures[place].place])
    rows: list[tuple[float, Look]] = [
        (float(gains[pictures[place].place]), Look(pictures[place].name, place)) for place in order
    ]
    better: list[list[Cell]] = [[look, _count(gain)] for gain, look in rows if gain > 0][:_LISTED]
    worse: list[list[Cell]] = [[look, _count(-gain)] for gain, look in reversed(rows) if gain < 0][:_LISTED]
    return better, worse


def _count(gain: float) -> Cell:
    return int(gain) if gain == int(gain) else gain


def _verdict(difference: Difference) -> str:
    if difference.low <= 0 <= difference.high:
        return "may be chance"
    return "worse" if (difference.change > 0) == ("error" in difference.name) else "better"


def _facts(before: Path, after: Path) -> dict[str, str]:
    return {"before": str(before), "after": str(after)}


def _short_names(before: Path, after: Path) -> tuple[str, str]:
    """The names of the folders, with those above when they are the same."""
    parts = [path.absolute().parts for path in (before, after)]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if names[0] != names[1]:
            break
    return names[0], names[1]


def _detectors(before: Path, after: Path, dataset: DetectionDataset, names: Sequence[str]) -> Compared:
    truth = GroundTruth.from_dataset(dataset)
    old, new = (read_detections(latest_results(folder) / "detections.json", truth) for folder in (before, after))
    diagnoses = diagnose(truth, old), diagnose(truth, new)
    gains = errors_of_images(truth, old, diagnoses[0]) - errors_of_images(truth, new, diagnoses[1])
    aps = [each.ap[..., 0].mean(axis=0).tolist() for each in diagnoses]
    gallery = detection_gallery(dataset, truth, new, diagnoses[1], after, (old, diagnoses[0]), names)
    classes = list(zip(truth.names, *aps, strict=True))
    words = Words("it has fewer errors than before, each run from the score on that suits it best", *_ERRORS)
    return Compared(compare_detections(truth, old, new), words, "AP", classes, gains.astype(np.float64), gallery)


def _classifiers(before: Path, after: Path, dataset: ClassificationDataset, names: Sequence[str]) -> Compared:
    old, new = (read_fitting_predictions(latest_results(folder), dataset) for folder in (before, after))
    if old.names != new.names:
        raise ConfigError(
            f"runs of different classes: {before} has {len(old.names)}, {after} has {len(new.names)}, in this order"
        )
    wrong = [(each.probabilities.argmax(1) != each.labels).astype(np.float64) for each in (old, new)]
    gallery = classification_gallery(new, dataset.path, dataset.load, after, old, names)
    classes = _by_class(new.names, new.labels, wrong)
    words = Words("its class is right now and was wrong before", *_ERRORS)
    return Compared([compare_means("top-1 error", *wrong)], words, "top-1 error", classes, wrong[0] - wrong[1], gallery)


def _by_class(names: Sequence[str], labels: Integers, sides: Sequence[Floats]) -> list[tuple[str, float, float]]:
    """The mean over the images of each class before and after; NaN without images."""
    rows = []
    for label, name in enumerate(distinct_names(names, range(len(names)))):
        own = labels == label
        old, new = (float(side[own].mean()) if own.any() else float("nan") for side in sides)
        rows.append((name, old, new))
    return rows


def _localizers(before: Path, after: Path, dataset: LocalizedImages, names: Sequence[str]) -> Compared:
    files = [latest_results(folder) / "predictions.json" for folder in (before, after)]
    old, new = (read_localizations(file, dataset.names, len(dataset)) for file in files)
    hits = hits_of(old, dataset), hits_of(new, dataset)
    dataset = replace(dataset, names=spoken_names(dataset.names, dataset.path(0)))
    both = ~np.isnan(hits[0].overlap) & ~np.isnan(hits[1].overlap)
    overlaps = [each.overlap[both] for each in hits]
    wrong = [(each < IOU).astype(np.float64) for each in overlaps]
    differences = [compare_means("error, class given", *wrong), compare_means("mean IoU", *overlaps)]
    gains = np.zeros(len(dataset))
    gains[both] = overlaps[1] - overlaps[0]
    gallery = localization_gallery(dataset, new, after, old, names)
    words = Words("the box of its own class has a greater IoU than before", "IoU gained", "IoU lost")
    return Compared(differences, words, "mean IoU", _by_class(dataset.names, dataset.labels[both], overlaps), gains, gallery)


_COMPARED: dict[str, Callable[[Path, Path, Any, Sequence[str]], Compared]] = {
    "detection": _detectors,
    "classification": _classifiers,
    "localization": _localizers,
}
