"""Files behind URLs, read by fsspec: all of one, or a part."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from resdet.errors import DataError

T = TypeVar("T")
_SCHEMES = ("s3", "gs", "http", "https", "file", "memory")
_WAITS = (0.5, 1.0, 2.0)  # seconds before another try
_SECRETS = ((re.compile(r"(\w://)[^\s/@'\"]*@"), r"\1"), (re.compile(r"(\w://[^\s?'\"]*)\?[^\s'\")>]*"), r"\1"))


def is_url(place: str | Path) -> bool:
    """Whether a place is a URL, and not a path."""
    return "://" in str(place)


def wrong_url(url: str) -> str:
    """Why nothing can be read from a URL, without its secrets; "" where that shows only when it is asked."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        return f"must be a URL of {', '.join(_SCHEMES)}, got {without_secrets(url)}"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return (
            "must be a URL without user, password and query, which would be written into files and logs; got "
            f"{without_secrets(url)} with some: say who you are by the environment, for instance AWS_ACCESS_KEY_ID, or by "
            "fsspec's configuration files"
        )
    try:
        import fsspec

        fsspec.get_filesystem_class(parts.scheme)
    except ImportError as error:
        return f"needs more packages for {parts.scheme}: pip install 'resdet[remote]' ({error})"
    return ""


def without_secrets(text: str) -> str:
    """A text without what URLs in it have before ``@`` and after ``?``."""
    for secret, rest in _SECRETS:
        text = secret.sub(rest, text)
    return text


def read_url(url: str, start: int = 0, length: int | None = None) -> bytes:
    """The bytes of a file from ``start`` on: ``length`` of them, less where it ends before; all when None.

    Raises:
        DataError: naming the URL; where it is the network that fails, after four tries.
    """
    end = None if length is None else start + length
    content = _tried(url, lambda files, path: files.cat_file(path, start=start, end=end))
    if length is not None and len(content) > length:
        raise DataError(f"{url}: its server sends whole files where a part is asked for (HTTP range requests)")
    return bytes(content)


def size_of_url(url: str) -> int:
    """The size of a file in bytes; errors are those of ``read_url``."""
    size = _tried(url, lambda files, path: files.size(path))
    if size is None:
        raise DataError(f"{url}: its server does not tell the size of files")
    return int(size)


def _tried(url: str, question: Callable[[Any, str], T]) -> T:
    import fsspec

    waits = iter(_WAITS)
    while True:
        try:
            # asked each time: a process that was forked gets a connection of its own
            return question(*fsspec.core.url_to_fs(url))
        except FileNotFoundError as error:
            raise DataError(f"{url}: no such file") from error
        except MemoryError:
            raise
        # each file system has errors of its own, below OSError and elsewhere
        except Exception as error:
            wait = next(waits, None)
            if wait is None:
                reason = without_secrets(f"{type(error).__name__}: {error}")
                raise DataError(f"{url}: cannot be read, tried {len(_WAITS) + 1} times: {reason}") from error
            time.sleep(wait)
