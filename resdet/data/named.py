"""The data of a run file, or of a path: what to read, and how large a network will see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resdet.config.check import RunFile
from resdet.config.schema import DetectionRunConfig, DetectionSourceConfig
from resdet.data.checked import sources_of
from resdet.data.dataset import DetectionDataset
from resdet.data.described import Source
from resdet.data.found import find_classes, find_data, find_task
from resdet.data.inspection.anchors import Scale
from resdet.data.sources.detection import build_dataset, build_detection_transform
from resdet.data.transforms.detection import DetectionTrainTransform
from resdet.errors import ConfigError


@dataclass(frozen=True)
class NamedData:
    """Data to look at.

    Attributes:
        names: class names in label order; none when the files hold them.
        sources: the sources by the names of their options.
        scale: how large a network sees the images.
        transform: the training transform of detection sets.
    """

    names: Sequence[str]
    sources: Mapping[str, Source]
    scale: Scale
    transform: DetectionTrainTransform

    def detection_sets(self) -> Iterator[tuple[str, DetectionDataset]]:
        """Read the annotations of each source.

        Yields:
            The option and the data set.

        Raises:
            ConfigError: when a source has no boxes, or a folder or file named by an option is missing.
            DataError: with every problem of a source.
        """
        names = self.names
        for option, source in self.sources.items():
            if not isinstance(source, DetectionSourceConfig):
                raise ConfigError(f"option '{option}.format' must be one of a detection set, got {source.format}")
            dataset = build_dataset([source], names or None, option=option)
            names = names or dataset.names
            yield option, dataset


def alone(sources: Mapping[str, Source]) -> NamedData:
    """Sources without a run file, seen as large as its defaults say."""
    scale = Scale()
    return NamedData((), sources, scale, DetectionTrainTransform((scale.short_side,), scale.max_side, hflip=0.5))


def of_run_file(config: RunFile) -> NamedData:
    """The data of a run file."""
    names, sources = sources_of(config.data)
    if not isinstance(config, DetectionRunConfig):
        return alone(sources)
    return NamedData(names, sources, Scale.of(config.data, config.model), build_detection_transform(config.data))


def of_path(path: str | Path) -> NamedData:
    """What is found at a path; errors are those of ``find_task``."""
    if find_task(path) == "classification":
        classes = find_classes(path)
        return alone({"data.train": classes.train, **({"data.val": classes.val} if classes.val else {})})
    found = find_data(path)
    sources: dict[str, Source] = {f"data.train[{index}]": source for index, source in enumerate(found.train)}
    return alone({**sources, **({"data.val": found.val} if found.val else {})})
