#!/usr/bin/env python3
"""Draw the pictures of the first page: `python tools/site/pictures.py docs/images`.

``shapes.jpg`` is the upper half of the demo's detections, as they are recorded; ``detector.svg`` the parts of the detector.
Those of docs/report.md are drawn by tools/report_pictures.py.
"""

import argparse
from collections.abc import Iterator
from html import escape
from pathlib import Path

from PIL import Image

DEMO = Path(__file__).resolve().parents[2] / "docs" / "results" / "demo" / "detections.jpg"
_TWO_ROWS = (0, 0, 1600, 816)  # of the four rows of the demo's picture
_SIZE = (1200, 612)
# on light and on dark pages: full colours with white letters, and grey that both show
_TRUNK, _RPN, _HEAD, _DATA, _LINES = "#3949ab", "#00796b", "#8e24aa", "#546e7a", "#808890"
_BOXES = [  # x, y, width, colour, what, and what goes out of it
    (10, 100, 110, _DATA, "picture", "RGB bytes"),
    (170, 100, 170, _TRUNK, "conv1 … conv4", "shared, stride 16"),
    (400, 20, 150, _RPN, "RPN", "300 proposals"),
    (400, 180, 150, _HEAD, "RoIAlign", "14 × 14 a region"),
    (600, 180, 140, _HEAD, "conv5", "on every region"),
    (790, 100, 160, _HEAD, "class scores", "softmax of K + 1"),
    (790, 180, 160, _HEAD, "box deltas", "4 for each class"),
    (1000, 140, 130, _DATA, "detections", "after NMS"),
]
_ARROWS = [
    "M120 130 H166",
    "M340 130 H370 V50 H396",
    "M340 130 H370 V210 H396",
    "M475 80 V176",
    "M550 210 H596",
    "M740 210 H765 V130 H786",
    "M740 210 H786",
    "M950 130 H975 V160 H996",
    "M950 210 H975 V180 H996",
]


def main() -> None:
    """Write both pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    folder = parser.parse_args().folder
    with Image.open(DEMO) as demo:
        demo.crop(_TWO_ROWS).resize(_SIZE, Image.Resampling.LANCZOS).save(folder / "shapes.jpg", quality=85)
    (folder / "detector.svg").write_text("\n".join([*detector(), ""]), encoding="utf-8", newline="\n")


def detector() -> Iterator[str]:
    """The lines of an SVG: the parts of Faster R-CNN on ResNet-C4, and what flows between them."""
    yield '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1140 260" font-family="sans-serif" text-anchor="middle">'
    yield '<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    yield f'<path d="M0 0 L8 4 L0 8 z" fill="{_LINES}"/></marker></defs>'
    for path in _ARROWS:
        yield f'<path d="{path}" fill="none" stroke="{_LINES}" stroke-width="2" marker-end="url(#tip)"/>'
    for x, y, width, colour, name, note in _BOXES:
        middle = x + width / 2
        yield f'<rect x="{x}" y="{y}" width="{width}" height="60" rx="8" fill="{colour}"/>'
        yield f'<text x="{middle:g}" y="{y + 27}" fill="#fff" font-size="17" font-weight="bold">{escape(name)}</text>'
        yield f'<text x="{middle:g}" y="{y + 47}" fill="#fff" font-size="13">{escape(note)}</text>'
    yield "</svg>"


if __name__ == "__main__":
    main()
