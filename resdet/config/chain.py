"""Finds run files, and follows ``base:`` from one to the next."""

from __future__ import annotations

import io
import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from resdet.errors import ConfigError, did_you_mean
from resdet.files import regular
from resdet.shipped import shipped_folder

_LARGEST = 1 << 20  # bytes of a run file


def find_config(name: str | Path) -> Path:
    """The file that ``name`` means: the path itself, or ``name[.yaml]`` in ``configs/`` here or among the shipped files.

    Raises:
        ConfigError: when there is none; it names files with similar names.
    """
    folders = (Path("configs"), shipped_folder("configs"))
    for path in (Path(name), *(folder / file for folder in folders for file in (f"{name}.yaml", str(name)))):
        if _is_file(path):
            return path
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise ConfigError(f"config {str(name)!r}: no such file{did_you_mean(Path(name).stem, known)}")


def read_chain(path: Path) -> list[tuple[Path, dict[Any, Any]]]:
    """A run file, its base, the base of that, and so on: each file with its options, the farthest base first.

    ``base: NAME`` means the file ``NAME`` or ``NAME.yaml`` beside the file with this line, else the result of ``find_config``.

    Raises:
        ConfigError: for a file that cannot be read or is not a mapping, a base that is not found, and bases in a circle.
    """
    chain: list[tuple[Path, dict[Any, Any]]] = []
    following: Path | None = path
    while following is not None:
        path = following
        values = _read(path)
        base = values.pop("base", None)
        chain.insert(0, (path, values))
        following = None if base is None else _find_base(path, base)
        if following is not None and any(_same(following, file) for file, _ in chain):
            circle = " → ".join(str(file) for file in (*(file for file, _ in reversed(chain)), following))
            raise ConfigError(f"{path}: 'base' leads in a circle: {circle}")
    return chain


def _find_base(path: Path, base: Any) -> Path:
    if not isinstance(base, str):
        raise ConfigError(f"{path}: 'base' must be a file name, got {base!r:.120}")
    for beside in _beside(path, base):
        if _is_file(beside):
            return beside
    try:
        return find_config(base)
    except ConfigError as error:
        raise ConfigError(f"{path}: 'base': {error}") from error


def _beside(path: Path, base: str) -> Iterator[Path]:
    yield path.parent / base
    completed = path.parent / f"{base}.yaml"
    if not _same(completed, path):  # a file with the name of a shipped one may have the shipped one as its base
        yield completed


def _read(path: Path) -> dict[Any, Any]:
    try:
        if regular(path).stat().st_size > _LARGEST:  # of which the parser would take minutes
            raise ConfigError(f"{path}: must be at most {_LARGEST >> 20} MiB for a run file, got {path.stat().st_size} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    try:
        values = OmegaConf.to_container(OmegaConf.load(io.StringIO(text)))
    except OSError as error:  # OmegaConf raises this for a file with a single value
        raise ConfigError(f"{path}: must be a mapping of option names to values, got a single value") from error
    # a value that does not fit its tag, a number with thousands of digits, an anchor that contains itself
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a mapping of option names to values, got {type(values).__name__}")
    return typing.cast(dict[Any, Any], values)


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  (False, not an error, for a name too long)


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
