"""What the reader of pickles makes of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from resdet.pickles.read import read_pickle


def read_pickled(folder: Path, data: bytes) -> Any:
    """What is read of a file ``weights.pkl`` that holds the bytes."""
    path = folder / "weights.pkl"
    path.write_bytes(data)
    return read_pickle(path)
