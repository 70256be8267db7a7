"""From the data section of a run file to data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from resdet.config.schema import ClassificationSourceConfig, DetectionSourceConfig
from resdet.data.cifar import read_cifar
from resdet.data.coco import read_coco
from resdet.data.dataset import ClassificationDataset, DetectionDataset, concatenate
from resdet.data.folder import read_folder
from resdet.data.voc import read_voc
from resdet.errors import ConfigError, DataError, did_you_mean

Names = Sequence[str] | None


def build_dataset(
    sources: Sequence[DetectionSourceConfig], names: Names = None, *, option: str = "data.train"
) -> DetectionDataset:
    """Read detection sources and join them.

    Args:
        sources: what to read.
        names: class names in label order; those of the first source when not given.
        option: what the sources are called in messages.

    Raises:
        ConfigError: when there is no source, or a folder or file named by an option is missing.
        DataError: with every problem of every source.
    """
    if not sources:
        raise ConfigError(f"option '{option}' must name at least one data set, got none")
    labels = [f"{option}[{index}]" if len(sources) > 1 else option for index in range(len(sources))]
    problems = [problem for source, label in zip(sources, labels, strict=True) for problem in _missing(source, label)]
    if problems:
        raise ConfigError(problems)
    datasets: list[DetectionDataset] = []
    for source in sources:
        known = names or (datasets[0].names if datasets else None)
        try:
            datasets.append(_READERS[source.format](source, known))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return concatenate(datasets)


def build_classification_dataset(
    source: ClassificationSourceConfig, names: Names = None, *, option: str = "data.train"
) -> ClassificationDataset:
    """Read a classification source; ``names`` are the class names in label order, the source's own when not given.

    Raises:
        ConfigError: when the source's root is not given or missing.
        DataError: with every problem of the source.
    """
    root = Path(source.root).expanduser()
    if not source.root or not root.is_dir():
        raise ConfigError(_no_folder(f"{option}.root", source.root))
    if source.format == "folder":
        return read_folder(root, names)
    return read_cifar(root, source.split, source.format, names)


def _coco(source: DetectionSourceConfig, names: Names) -> DetectionDataset:
    return read_coco(Path(source.root).expanduser(), Path(source.annotations).expanduser(), names)


def _voc(source: DetectionSourceConfig, names: Names) -> DetectionDataset:
    return read_voc(Path(source.root).expanduser(), source.split, names, keep_difficult=source.keep_difficult)


_READERS: dict[str, Callable[[DetectionSourceConfig, Names], DetectionDataset]] = {"coco": _coco, "voc": _voc}


def _missing(source: DetectionSourceConfig, label: str) -> list[str]:
    """What a source's options name that does not exist."""
    root = Path(source.root).expanduser()
    if not source.root or not root.is_dir():
        return [_no_folder(f"{label}.root", source.root)]
    if source.format == "coco":
        if not source.annotations or not Path(source.annotations).expanduser().is_file():
            return [f"option '{label}.annotations' must name a file, got {source.annotations!r}"]
        return []
    lists = root / "ImageSets" / "Main"
    if not source.split or not (lists / f"{source.split}.txt").is_file():
        known = sorted(path.stem for path in lists.glob("*.txt"))
        return [f"option '{label}.split' must name a list of {lists}, got {source.split!r}{did_you_mean(source.split, known)}"]
    return []


def _no_folder(option: str, value: str) -> str:
    return f"option '{option}' must name a folder, got {value!r}"
