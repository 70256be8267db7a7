"""How the files of a data set hold boxes."""

from __future__ import annotations

from typing import NamedTuple


class Convention(NamedTuple):
    """How the files of a format hold boxes.

    Attributes:
        centred: by their centres, as YOLO's do.
        cornered: by two corners, as VOC's do.
        both_ends: by their first and last pixel, as VOC's do.
    """

    centred: bool = False
    cornered: bool = False
    both_ends: bool = False

    @classmethod
    def of(cls, form: str) -> Convention:
        """That of a format."""
        both_ends = form in ("voc", "imagenet_det")
        return cls(form == "yolo", both_ends or form in ("cvat", "csv"), both_ends)


AS_READ = Convention()  # a corner and the size
