"""The class names of a converted model."""

from __future__ import annotations

from pathlib import Path

from resdet.errors import ConfigError
from resdet.files import read_text
from resdet.models.convert.conversion import Conversion
from resdet.models.convert.names import default_names


def class_names(conversion: Conversion, file: str | Path | None = None) -> list[str]:
    """The names in label order that a text file holds, one a line; else those of the settings, or the public ones of so many.

    Raises:
        ConfigError: no such file, one that is not UTF-8, with a name twice or of another number of classes; without a file,
            a detector of which there are no public names.
    """
    count = conversion.num_classes
    if file is None:
        said = conversion.settings.names if conversion.settings else ()
        names = list(said) if len(said) == count else default_names(conversion.task, count) if count else []
        if names is None:
            raise ConfigError(f"a detector of {count} classes: give --names FILE, one name a line")
        return names
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"--names: no such file: {path}")
    try:
        names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ConfigError(f"--names {path}: is not text: {error.reason} at byte {error.start}") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    problems = [f"--names {path}: holds twice: {', '.join(twice[:5])}"] if twice else []
    if len(names) != count:
        problems.append(f"--names {path}: must hold the {count} classes of the weights, got {len(names)}")
    if problems:
        raise ConfigError(problems)
    return names
