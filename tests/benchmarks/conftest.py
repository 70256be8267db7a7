"""The frame's modules as a script in the folder of the benchmarks imports them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = frozenset(path.stem for path in FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def script_module() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of that folder by its name; after the tests of a file they are forgotten."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module
    for name in NAMES & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.fixture(scope="module")
def measure(script_module: Callable[[str], ModuleType]) -> ModuleType:
    return script_module("measure")
