"""A small page, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium
from pages import small_page

from resdet.report.html import write_page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of ``small_page``, whose first picture has an original beside it."""
    folder = tmp_path_factory.mktemp("page")
    return write_page(folder / "report.html", small_page(folder))


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """See ``browsers.chromium``."""
    yield from chromium()
