"""What the sources of all tasks have in common: a format has a reader, and rules for the options that name its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from resdet.config.schema import ClassificationSourceConfig, DetectionSourceConfig, LocalizationSourceConfig
from resdet.data.formats.remote import is_url, without_secrets, wrong_url
from resdet.data.sources.options import is_file, is_folder, no_file, no_folder, no_list
from resdet.errors import ConfigError

SourceT = TypeVar("SourceT", DetectionSourceConfig, ClassificationSourceConfig, LocalizationSourceConfig)
DatasetT = TypeVar("DatasetT")
Names: TypeAlias = Sequence[str] | None  # in label order; None: those that the files say
Rule: TypeAlias = Callable[[Any, Path, str], list[str]]  # a source, its root, and its name in messages, to what is wrong


@dataclass(frozen=True)
class Format(Generic[SourceT, DatasetT]):
    """A layout of files.

    Attributes:
        reader: makes the data set of a source, its root folder and the class names.
        rules: say which options of a source name something that is not there.
        remote: whether the root may be a URL; the reader and the rules then find it in the source.
    """

    reader: Callable[[SourceT, Path, Names], DatasetT]
    rules: tuple[Rule, ...] = ()
    remote: bool = False

    def missing(self, source: SourceT, label: str) -> list[str]:
        """What the options of a source name that is not there; ``label`` is what the source is called."""
        if is_url(source.root):
            wrong = wrong_url(source.root) if self.remote else f"must name a folder, got {without_secrets(source.root)}"
            if wrong:
                return [f"option '{label}.root' {wrong}"]
        elif not is_folder(source.root):
            return [no_folder(f"{label}.root", source.root)]
        return [problem for rule in self.rules for problem in rule(source, _root(source), label)]

    def read(self, source: SourceT, names: Names) -> DatasetT:
        """The data set of a source that lacks nothing; a DataError has every problem of its files."""
        return self.reader(source, _root(source), names)

    def build(self, source: SourceT, names: Names, label: str) -> DatasetT:
        """The data set of a source.

        Raises:
            ConfigError: with every option that names something that is not there.
            DataError: with every problem of the files.
        """
        if problems := self.missing(source, label):
            raise ConfigError(problems)
        return self.read(source, names)


def names_file(option: str, *, needed: bool = True, otherwise: str = "") -> Rule:
    """The option names a file, if only where it is given (``needed`` false); a file of the root stands in for an empty one."""

    def rule(source: Any, root: Path, label: str) -> list[str]:
        value = getattr(source, option) or (str(root / otherwise) if otherwise else "")
        return [no_file(f"{label}.{option}", value)] if (value or needed) and not is_file(value) else []

    return rule


def names_folder(option: str, what: str) -> Rule:
    """The option, where it is given, names a folder; ``what`` says which, for messages."""

    def rule(source: Any, root: Path, label: str) -> list[str]:  # noqa: ARG001  (all rules are called alike)
        value = getattr(source, option)
        return [no_folder(f"{label}.{option}", value, what)] if value and not is_folder(value) else []

    return rule


def names_list(*folder: str, otherwise: Callable[[Path, str], object] | None = None) -> Rule:
    """The split names a text file of this folder of the root; ``otherwise``: or what this finds in the root, or nothing."""

    def rule(source: Any, root: Path, label: str) -> list[str]:
        lists = root.joinpath(*folder)
        problems = no_list(f"option '{label}.split'", source.split, lists)
        if not problems or (otherwise and (not source.split or otherwise(root, source.split))):
            return []
        lacking = "; there is no such folder: without a split, every annotation is read" if otherwise else ""
        return [f"{problem}{'' if lists.is_dir() else lacking}" for problem in problems]

    return rule


def names_split(*splits: str, needed: bool = True) -> Rule:
    """The split is one of these, if only where it is given (``needed`` false)."""

    def rule(source: Any, root: Path, label: str) -> list[str]:  # noqa: ARG001
        if source.split in splits or (not needed and not source.split):
            return []
        return [f"option '{label}.split' of format {source.format} must be one of {', '.join(splits)}, got {source.split!r}"]

    return rule


def _root(source: Any) -> Path:
    return Path(source.root).expanduser()
