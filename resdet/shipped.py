"""Where the files are that come with the package and are not imported: run files and benchmarks.

In a checkout and in a source distribution they lie at the top, where people look for them; in a wheel inside the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def shipped_folder(name: Literal["configs", "benchmarks"]) -> Path:
    """The folder ``name`` inside the package, or else at the top of the checkout; it may be missing from an installation."""
    inside, top = _package() / name, checkout()
    return inside if inside.is_dir() or top is None else top / name


def checkout() -> Path | None:
    """The top of the checkout or source distribution that the package is a part of; ``None`` of an installation."""
    top = _package().parent
    # beside an installed package lie other packages' folders, and a `configs` may be one of them
    return top if (top / "pyproject.toml").is_file() else None


def _package() -> Path:
    from importlib.resources import files  # not above: help would start later

    return Path(str(files("resdet")))
