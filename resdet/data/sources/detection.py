"""Detection: from the data section of a run file to data sets, their precomputed regions, and the training transform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from resdet.config.schema import DetectionDataConfig, DetectionSourceConfig
from resdet.data.dataset import DetectionDataset, concatenate
from resdet.data.formats.coco import read_coco
from resdet.data.formats.exports.cvat import read_cvat
from resdet.data.formats.exports.hf_objects import read_hf_objects
from resdet.data.formats.exports.label_studio import read_label_studio
from resdet.data.formats.exports.labelme import read_labelme
from resdet.data.formats.exports.table import read_table
from resdet.data.formats.exports.via import read_via
from resdet.data.formats.image_names import only_listed
from resdet.data.formats.imagenet_det import read_imagenet_det
from resdet.data.formats.voc import read_voc, xml_files
from resdet.data.formats.yolo import SPLITS, read_yolo
from resdet.data.proposals import Proposals, join_proposals, read_proposals
from resdet.data.sources.format import Format, Names, names_file, names_list, names_split
from resdet.data.sources.options import existing_file, path_of
from resdet.data.transforms.augmentation import build_augmentation
from resdet.data.transforms.detection import DetectionTrainTransform
from resdet.errors import ConfigError, DataError
from resdet.files import cache_folder


def build_dataset(
    sources: Sequence[DetectionSourceConfig], names: Names = None, *, option: str = "data.train"
) -> DetectionDataset:
    """Read detection sources and join them; arguments and errors are those of ``read_sources``."""
    return concatenate(read_sources(sources, names, option=option))


def read_sources(
    sources: Sequence[DetectionSourceConfig], names: Names = None, *, option: str = "data.train"
) -> list[DetectionDataset]:
    """Read detection sources, all of the same classes, each with its own image ids.

    Args:
        sources: the sources to read.
        names: class names in label order; those of the first source when not given.
        option: the name of the sources in messages.

    Raises:
        ConfigError: when there is no source, or a folder or file named by an option is missing.
        DataError: with every problem of every source.
    """
    if not sources:
        raise ConfigError(f"option '{option}' must name at least one data set, got none")
    labels = _labels(sources, option)
    problems = [
        problem
        for source, label in zip(sources, labels, strict=True)
        for problem in _FORMATS[source.format].missing(source, label)
    ]
    if problems:
        raise ConfigError(problems)
    datasets: list[DetectionDataset] = []
    for source in sources:
        known = names or (datasets[0].names if datasets else None)
        try:
            datasets.append(_listed(source, _FORMATS[source.format].read(source, known)))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return datasets


def source_proposals(
    sources: Sequence[DetectionSourceConfig], datasets: Sequence[DetectionDataset], *, option: str = "data.train"
) -> Proposals | None:
    """The precomputed regions that detection sources name, of all images in order; None where no source names any.

    Args:
        sources: the sources that were read.
        datasets: the result of ``read_sources``.
        option: the name of the sources in messages.

    Raises:
        ConfigError: when an option names no file, or only some of the sources name one.
        DataError: with every problem of every file.
    """
    if not any(source.proposals for source in sources):
        return None
    labels = _labels(sources, option)
    files = [existing_file(f"{label}.proposals", source.proposals) for label, source in zip(labels, sources, strict=True)]
    parts: list[Proposals] = []
    problems: list[str] = []
    for file, dataset in zip(files, datasets, strict=True):
        try:
            parts.append(read_proposals(file, dataset.image_ids))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return parts[0] if len(parts) == 1 else join_proposals(parts)


def build_detection_transform(data: DetectionDataConfig) -> DetectionTrainTransform:
    """The training transform of a data section; a ConfigError names every entry of ``data.transforms`` that does not exist."""
    return DetectionTrainTransform(
        tuple(data.short_side),
        data.max_side,
        data.hflip,
        between=data.short_side_drawn == "between",
        augmentation=build_augmentation(data.transforms),
    )


def _labels(sources: Sequence[DetectionSourceConfig], option: str) -> list[str]:
    return [f"{option}[{index}]" if len(sources) > 1 else option for index in range(len(sources))]


def _listed(source: DetectionSourceConfig, dataset: DetectionDataset) -> DetectionDataset:
    """The images of ``dataset`` that ``source.images`` lists; all images when it names no list."""
    if not source.images:
        return dataset
    # the ids of the other formats are our own
    return only_listed(dataset, Path(source.images).expanduser(), Path(source.root).expanduser(), by_id=source.format == "coco")


def _coco(source: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
    annotations = Path(source.annotations).expanduser()
    return read_coco(root, annotations, names, keep_difficult=source.keep_difficult, cache=cache_folder() / "annotations")


def _voc(source: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
    return read_voc(root, source.split, names, keep_difficult=source.keep_difficult)


def _yolo(source: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
    return read_yolo(root, source.split, names, path_of(source.annotations))


def _imagenet_det(source: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
    return read_imagenet_det(root, source.split, names)


def _labelme(_: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
    return read_labelme(root, names)


def _export(read: Callable[[Path, Path, Names], DetectionDataset]) -> Format[DetectionSourceConfig, DetectionDataset]:
    """A format whose annotations are one file that tells of all images below the root."""

    def reader(source: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
        return read(root, Path(source.annotations).expanduser(), names)

    return Format(reader, (*_LISTS, names_file("annotations")))


_LISTS = (names_file("images", needed=False), names_file("proposals", needed=False))
_FORMATS: dict[str, Format[DetectionSourceConfig, DetectionDataset]] = {
    "coco": Format(_coco, (*_LISTS, names_file("annotations"))),
    "voc": Format(_voc, (*_LISTS, names_list("ImageSets", "Main", otherwise=xml_files))),
    "yolo": Format(_yolo, (*_LISTS, names_file("annotations", needed=False), names_split(*SPLITS, needed=False))),
    "imagenet_det": Format(_imagenet_det, (*_LISTS, names_list("ImageSets", "DET"))),
    "label_studio": _export(read_label_studio),
    "cvat": _export(read_cvat),
    "via": _export(read_via),
    "csv": _export(read_table),
    "hf_objects": _export(read_hf_objects),
    "labelme": Format(_labelme, _LISTS),
}
