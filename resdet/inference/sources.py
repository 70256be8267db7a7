"""What ``predict`` takes, the same for every task: a picture, a folder, a video, or many of these; and what it gives back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeGuard, TypeVar, cast

import numpy as np
from PIL import Image
from torch import Tensor

from resdet.data.formats.file_names import is_image_name
from resdet.errors import ConfigError, DataError
from resdet.files import walk_files
from resdet.inference.video import has_frames, is_video_name, video_frames
from resdet.inference.windowed_file import WindowedFile, check_whole, open_windows
from resdet.structures.pictures import ImageInput, check_color, to_image

ResultT = TypeVar("ResultT")
ImageSource: TypeAlias = ImageInput | Iterable[ImageInput]


class OpenedImage(NamedTuple):
    """A picture and where it is from.

    Attributes:
        image: RGB; of ``large`` a smaller copy of it.
        image_id: for a file its path as it was given, for a video the number of the frame, else 0.
        path: the file; "" where there is none.
        kept: the image again where no file could give it a second time; else None, so that results take little memory.
        large: the picture itself where it is not decoded whole.
    """

    image: Image.Image
    image_id: int | str
    path: str
    kept: Image.Image | None
    large: WindowedFile | None = None


def stream_results(
    images: ImageSource,
    ask: Callable[[Sequence[OpenedImage]], Iterable[ResultT]],
    *,
    color: str,
    batch: int = 1,
    windows: bool = False,
) -> Iterator[ResultT]:
    """The results of all pictures in order, each computed when it is asked for.

    A file that cannot be read is left out; after the last result a DataError names all of them.

    Args:
        images: a path, a PIL image, an array or a tensor, as ``to_image`` takes them; a folder, whose pictures and videos are
            meant; a video, or the number of a camera as text, "0"; or an iterable of all these.
        ask: the results of some pictures at once.
        color: order of an array's or tensor's channels, ``"rgb"`` or ``"bgr"``.
        batch: most pictures that are asked about at once; of a generator, which may be a camera, it is always one.
        windows: large files are not decoded whole, see ``open_windows``.

    Raises:
        ConfigError: at once, a folder without pictures, or another ``color``.
        DataError: at the end, for files that cannot be read.
        TypeError: something that is no picture.
    """
    check_color(color)
    if _is_folder(images):
        sources: Iterable[ImageInput] = folder_files(images)
    elif _is_iterable(images):
        sources, batch = images, batch if isinstance(images, (list, tuple)) else 1
    else:
        sources = [cast(ImageInput, images)]
    return _results(sources, ask, color, batch, windows)


def shaped(images: ImageSource, results: Iterator[ResultT]) -> ResultT | list[ResultT] | Iterator[ResultT]:
    """The results of ``images`` as ``predict`` gives them: one for one picture, a list for a list, else the iterator itself."""
    if isinstance(images, (list, tuple)):
        return list(results)
    several = _is_iterable(images) or _is_folder(images) or (isinstance(images, (str, Path)) and has_frames(images))
    return results if several else next(results)


def folder_files(folder: str | Path) -> list[Path]:
    """The pictures and videos of a folder and of all folders in it, sorted by path; a ConfigError when there is none.

    Hidden files and folders are left out.
    """
    found = map(Path, walk_files(folder))
    visible = (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    files = sorted(path for path in visible if is_image_name(path.name) or is_video_name(path))
    if not files:
        raise ConfigError(f"{folder}: holds no image or video")
    return files


def _is_iterable(images: object) -> TypeGuard[Iterable[ImageInput]]:
    return isinstance(images, Iterable) and not isinstance(images, (str, bytes, Image.Image, np.ndarray, Tensor))


def _is_folder(images: object) -> TypeGuard[str | Path]:
    return isinstance(images, (str, Path)) and os.path.isdir(images)  # noqa: PTH112  (False, not an error, for a name too long)


def _results(
    sources: Iterable[ImageInput],
    ask: Callable[[Sequence[OpenedImage]], Iterable[ResultT]],
    color: str,
    batch: int,
    windows: bool,
) -> Iterator[ResultT]:
    problems: list[str] = []
    opened = _opened(sources, color, problems, windows)
    while some := list(islice(opened, batch)):
        yield from ask(some)
    if problems:
        raise DataError(problems)


def _opened(sources: Iterable[ImageInput], color: str, problems: list[str], windows: bool) -> Iterator[OpenedImage]:
    """The pictures that can be read; ``problems`` gets what is said of the others."""
    for source in sources:
        files: Sequence[ImageInput] = folder_files(source) if _is_folder(source) else [source]
        for each in files:
            try:
                yield from _pictures(each, color, windows)
            except DataError as error:
                problems += error.problems


def _pictures(source: ImageInput, color: str, windows: bool) -> Iterator[OpenedImage]:
    if not isinstance(source, (str, Path)):
        image = to_image(source, color)
        yield OpenedImage(image, 0, "", image)
    elif has_frames(source):
        for number, image in video_frames(source):
            yield OpenedImage(image, number, str(source), image)
    else:
        large = open_windows(source) if windows else None
        if windows and large is None:
            check_whole(source)
        yield OpenedImage(large.overview() if large else to_image(source), str(source), str(source), None, large)
