"""The interface of what writes detections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from resdet.structures import Detections


class Output(ABC):
    """Writes the detections of pictures in one format.

    Args:
        folder: the folder of all results; files are written into it, or into a folder of their own in it.
        names: the K class names, in label order.

    Attributes:
        lists: whether ``add`` needs all pictures in their order; else it writes of each picture what belongs to that alone.
    """

    lists: ClassVar[bool] = False

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.names = tuple(names)

    @abstractmethod
    def add(self, found: Detections, name: str) -> None:
        """Take the detections of a picture; ``name`` is its own among all of them, with ``/`` for folders and no suffix."""

    @abstractmethod
    def close(self) -> None:
        """Write what belongs to all pictures, atomically; also called when some pictures could not be read."""
