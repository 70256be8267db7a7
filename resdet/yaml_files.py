"""YAML files of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from resdet.errors import DataError
from resdet.files import regular

LARGEST_YAML = 4 << 20  # bytes


class _PlainLoader(yaml.SafeLoader):
    """Loads YAML without merge keys (``<<``), because a few nested ones can make an enormous mapping."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.constructor.ConstructorError(None, None, "merge keys (<<) are not read", node.start_mark)


def read_yaml(path: Path, of: str) -> dict[str, Any]:
    """The mapping that a YAML file holds, ``of`` says of what; with aliases a small file can hold an enormous list.

    Raises:
        DataError: the file cannot be read, is larger than ``LARGEST_YAML``, is not YAML, or holds something else.
    """
    try:
        if regular(path).stat().st_size > LARGEST_YAML:  # of which the parser would take minutes
            raise DataError(f"{path}: must be at most {LARGEST_YAML >> 20} MiB, got {path.stat().st_size} bytes")
        content = yaml.load(path.read_bytes(), _PlainLoader)  # noqa: S506  # a SafeLoader
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be a mapping {of}, got {type(content).__name__}")
    return content
