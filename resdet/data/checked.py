"""Reads every data set of a run file once, to find every problem that training would meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from resdet.config.schema import (
    ClassificationDataConfig,
    DetectionDataConfig,
    DetectionSourceConfig,
    LocalizationDataConfig,
    LocalizationSourceConfig,
)
from resdet.data.check import undecodable
from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.described import Source
from resdet.data.sources.classification import build_classification_dataset
from resdet.data.sources.detection import build_dataset
from resdet.data.sources.localization import build_localization_dataset
from resdet.errors import ConfigError, DataError

Examine = Callable[[str, Source, DetectionDataset | ClassificationDataset], Sequence[str]]


def sources_of(
    data: DetectionDataConfig | ClassificationDataConfig | LocalizationDataConfig,
) -> tuple[Sequence[str], dict[str, Source]]:
    """The class names of a data section (none when its files hold them), and its sources by the names of their options."""
    val: dict[str, Source] = {"data.val": data.val} if data.val.root else {}
    if isinstance(data, DetectionDataConfig):
        return data.names, {**{f"data.train[{index}]": source for index, source in enumerate(data.train)}, **val}
    return (), {"data.train": data.train, **val}


def checked(
    sources: Mapping[str, Source],
    names: Sequence[str] = (),
    examine: Examine = lambda option, source, dataset: undecodable(dataset),  # noqa: ARG005
) -> Iterator[tuple[str, DetectionDataset | ClassificationDataset]]:
    """Read the annotations of every source and decode its images.

    Args:
        sources: the sources by the names of their options; messages begin with that name.
        names: class names in label order; those of the first source when not given.
        examine: decodes the images of a data set, given its option and source, and returns their problems.

    Yields:
        The option and the data set of each source that could be read, before its images are decoded.

    Raises:
        ConfigError: at the end, with every problem, when an option is wrong.
        DataError: at the end, with every problem of every source and image.
    """
    wrong_options: list[str] = []
    problems: list[str] = []
    for option, source in sources.items():
        try:
            dataset = _read(source, names, option)
        except ConfigError as error:
            wrong_options += error.problems
            continue
        except DataError as error:
            problems += error.problems
            continue
        names = names or dataset.names
        yield option, dataset
        problems += examine(option, source, dataset)
    if wrong_options:
        raise ConfigError([*wrong_options, *problems])
    if problems:
        raise DataError(problems)


def _read(source: Source, names: Sequence[str], option: str) -> DetectionDataset | ClassificationDataset:
    if isinstance(source, LocalizationSourceConfig):
        return build_localization_dataset(source, names or None, option=option)
    if isinstance(source, DetectionSourceConfig):
        return build_dataset([source], names or None, option=option)
    return build_classification_dataset(source, names or None, option=option)
