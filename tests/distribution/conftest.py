"""The distributions of this checkout, built once."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributions import build, copy_sources, unpack


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git has, to build from."""
    return copy_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def sdist(sources: Path) -> Path:
    """The source distribution."""
    return build("sdist", sources)


@pytest.fixture(scope="session")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked source distribution."""
    return unpack(sdist, tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(scope="session")
def wheel(unpacked: Path) -> Path:
    """The wheel, built from the source distribution."""
    return build("wheel", unpacked)
