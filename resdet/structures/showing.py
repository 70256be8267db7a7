"""Shows results in a console and in a notebook."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from resdet.errors import DataError
from resdet.images import read_image

ROWS = 20  # rows shown
_SIDE = 800  # longest side of a picture in a notebook, pixels


def frame_of(path: str, image_id: int | str) -> int | str | None:
    """The number of a result's frame in the video at ``path``; None for a picture, which has its path as its id."""
    return None if image_id == path else image_id


def named(path: str, image_id: int | str) -> str:
    """The name of a result's picture: ``"street.jpg"``, ``"clip.mp4, frame 12"`` or ``"image 7"``."""
    if not path:
        return f"image {image_id}"
    name, frame = Path(path).name, frame_of(path, image_id)
    return name if frame is None else f"{name}, frame {frame}"


def as_text(title: str, rows: Sequence[Sequence[str]], count: int) -> str:
    """A title and below it the first rows of ``count``, each cell as wide as its column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([title, *(f"  {line}" for line in [*lines, *rest(count)])])


def as_html(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], count: int, png: bytes | None) -> str:
    """A title, a picture if there is one, and a table of the first rows of ``count``; all text is escaped."""
    picture = f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}">' if png else ""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    below = "".join(f"<p>{escape(line)}</p>" for line in rest(count))
    return f"<p>{escape(title)}</p>{picture}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def rest(count: int) -> list[str]:
    """What is said of those rows of ``count`` that are not shown."""
    return [f"… and {count - ROWS} more"] if count > ROWS else []


def known_picture(image: Image.Image | None, path: str) -> Image.Image | None:
    """The picture of a result, its image or else its file, small enough for a notebook; None when there is neither."""
    if image is None and path:
        with contextlib.suppress(DataError):  # the file has been deleted, or is a video
            image = read_image(path)
    if image is None:
        return None
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE))
    return small


def png_bytes(picture: Image.Image) -> bytes:
    """A picture as the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
