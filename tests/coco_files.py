"""A COCO data set on disk, whose annotations tests change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CocoFiles:
    """A COCO data set on disk."""

    images: Path
    annotations: Path

    def read(self) -> dict:
        """The annotation file's content."""
        return json.loads(self.annotations.read_text())

    def write(self, content: object) -> None:
        """Replace the annotation file's content."""
        self.annotations.write_text(json.dumps(content))
