"""No room in /dev/shm, which processes that read images need: told, where training waited for a batch for ever."""

from __future__ import annotations

import errno
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from resdet.cli import _want_of_memory
from resdet.data.loading.loader import train_loader
from resdet.errors import ConfigError


class Unsent:
    """A view whose batches cannot be handed to another process, as those for which there is no room."""

    def __len__(self) -> int:
        return 4

    def batch(self, keys: Sequence[Any]) -> Callable[[], int]:
        return lambda: len(keys)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a view of a test, which only a forked process has")
def test_a_batch_that_cannot_be_handed_over_is_not_waited_for(capfd: pytest.CaptureFixture[str]) -> None:
    if multiprocessing.get_start_method() != "fork":
        multiprocessing.set_start_method("fork", force=True)
    with pytest.raises(RuntimeError, match="DataLoader worker") as caught:
        next(train_loader(Unsent(), [[(0, 0)], [(1, 0)]], 1))
    assert "room in /dev/shm" in _want_of_memory(caught.value)
    assert "a batch cannot be handed over: " in capfd.readouterr().err


def test_processes_that_cannot_be_started_are_told(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(multiprocessing, "Queue", full)
    with pytest.raises(ConfigError, match=r"2 data\.workers cannot be started: No space left .*; data\.workers=0 reads in"):
        next(train_loader(Unsent(), [[(0, 0)]], 2))
    assert capfd.readouterr().err == ""
    assert next(train_loader(Unsent(), [[(0, 0)]], 0))() == 1
