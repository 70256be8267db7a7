from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from resdet.report.sheet import fitted


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((640, 480), 300, (300, 225)),
        ((480, 640), 300, (225, 300)),
        ((30, 30), 300, (300, 300)),
        ((1000, 1), 300, (300, 1)),
        ((3, 2), 1, (1, 1)),
    ],
)
def test_the_longer_side_is_the_cells(size: tuple[int, int], side: int, expected: tuple[int, int]) -> None:
    assert fitted(Image.new("RGB", size), side).size == expected


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_any_picture_becomes_rgb(mode: str) -> None:
    picture = Image.new("RGB", (8, 4), (255, 255, 255)).convert(mode)
    found = fitted(picture, 16)
    assert found.mode == "RGB"
    assert np.asarray(found).min() == 255
