"""The pictures that an exported file is tried on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from resdet.data.formats.file_names import is_image_name
from resdet.data.synthetic.shapes import draw_scene
from resdet.errors import ConfigError
from resdet.files import walk_files
from resdet.images import read_image

# (height, width) of the generated ones: upright, square, wide, smaller and larger than a detector wants them
_SIZES = ((480, 640), (333, 500), (641, 427), (256, 256), (700, 1300))


def resized_in_passes(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at another (height, width), its rows resized first: as an exported file does it.

    So did every Pillow before 13, which begins with the columns where they lose more than twice as many pixels as the rows.
    """
    height, width = size
    rows = picture.resize((width, picture.height), Image.Resampling.BILINEAR)
    return rows.resize((width, height), Image.Resampling.BILINEAR)


def trial_pictures(given: Sequence[str | Path]) -> list[Image.Image]:
    """The pictures of files, and of folders with the folders in them; without any, five generated ones.

    Raises:
        ConfigError: a path that is none, or a folder without pictures.
        DataError: a file that is no picture.
    """
    if not given:
        scenes = [draw_scene(np.random.default_rng(seed), *size)[0] for seed, size in enumerate(_SIZES)]
        return [Image.fromarray(scene) for scene in scenes]
    files: list[Path] = []
    problems = []
    for path in map(Path, given):
        found = sorted(Path(each) for each in walk_files(path) if is_image_name(Path(each).name)) if path.is_dir() else [path]
        if not found or not path.exists():
            problems.append(f"--images {path}: {'holds no image' if path.is_dir() else 'no such file or folder'}")
        files += found
    if problems:
        raise ConfigError(problems)
    return [read_image(file) for file in files]
