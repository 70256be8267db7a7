"""Statistics of a data set's pixels: the per-pixel mean, and the principal components of its colours.

Sums are exact sums of integers, so that the order of the images changes no digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from resdet.data.dataset import ClassificationDataset
from resdet.data.formats.cifar import CifarDataset
from resdet.data.loading.parallel import in_chunks
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.data.transforms.lighting import ColorComponents
from resdet.errors import DataError
from resdet.files import atomic_write, regular, write_json

Transform = Callable[[Image.Image], Tensor]
# a count, the sums of values, the sums of their squares or products, and what could not be read
_Sums = tuple[int, NDArray[np.int64], NDArray[np.int64], list[str]]
# pixels of which products are summed at once: their sum stays exact in float64, and small in memory
_BLOCK = 2**18


@dataclass(frozen=True)
class ColorStatistics:
    """The colours of all pixels of the images, as decoded; RGB in [0, 1].

    Attributes:
        mean, std: the mean and the standard deviation of each channel, (3,).
        components: the components of the colours' covariance, greatest eigenvalue first; a vector's largest number is positive.
        images: how many images were read.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    components: ColorComponents
    images: int


@dataclass(frozen=True, eq=False)
class PixelStatistics:
    """The pixels of images of one size; RGB in [0, 255].

    Attributes:
        mean_image: float32 (3, H, W).
        mean, std: the mean and the standard deviation of each channel over all images and places, (3,).
        images: how many images were read.
    """

    mean_image: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    images: int


def color_statistics(dataset: ClassificationDataset, images: int = 0) -> ColorStatistics:
    """Mean and principal components of the colours of ``images`` images, evenly spread over the data set; 0: of all.

    Raises:
        DataError: with every image that cannot be read.
    """

    def sums(indices: Sequence[int]) -> _Sums:
        count, first, second = 0, np.zeros(3, np.int64), np.zeros((3, 3), np.int64)
        problems: list[str] = []
        for colors in _colors(dataset, indices, problems):
            for start in range(0, len(colors), _BLOCK):
                block = colors[start : start + _BLOCK].astype(np.float64)
                count += len(block)
                first += block.sum(0).astype(np.int64)
                second += (block.T @ block).astype(np.int64)
        return count, first, second, problems

    chosen = _spread(len(dataset), images)
    count, first, second = _added(in_chunks(sums, chosen))
    # Python's integers, because products of the sums of a large data set exceed 64 bits
    total, products = first.tolist(), second.tolist()
    covariance = np.array(
        [[(count * products[i][j] - total[i] * total[j]) / (count * 255) ** 2 for j in range(3)] for i in range(3)]
    )
    values, vectors = np.linalg.eigh(covariance)
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), range(3)])
    return ColorStatistics(
        mean=tuple(value / (count * 255) for value in total),
        std=tuple(np.sqrt(np.diag(covariance)).tolist()),
        components=ColorComponents(
            tuple(np.maximum(values[::-1], 0).tolist()), tuple(tuple(row) for row in vectors[:, ::-1].tolist())
        ),
        images=len(chosen),
    )


def pixel_statistics(dataset: ClassificationDataset, transform: Transform, images: int = 0) -> PixelStatistics:
    """Mean image, and mean and std of the channels, of ``images`` images, evenly spread over the data set; 0: of all.

    Args:
        dataset: the images.
        transform: turns each into a uint8 tensor (3, H, W), of one size for all.
        images: how many.

    Raises:
        DataError: with every image that cannot be read.
    """

    def sums(indices: Sequence[int]) -> _Sums:
        count, first, second = 0, np.zeros((), np.int64), np.zeros(3, np.int64)
        problems: list[str] = []
        for views in _views(dataset, transform, indices, problems):
            channels = views.transpose(1, 0, 2, 3).reshape(3, -1).astype(np.float64)
            count += len(views)
            first = first + views.sum(0, dtype=np.int64)
            second += np.square(channels).sum(1).astype(np.int64)
        return count, first, second, problems

    chosen = _spread(len(dataset), images)
    count, first, second = _added(in_chunks(sums, chosen))
    pixels = count * first[0].size
    totals = first.sum((1, 2)).tolist()
    variances = [(pixels * square - total**2) / pixels**2 for square, total in zip(second.tolist(), totals, strict=True)]
    return PixelStatistics(
        mean_image=torch.from_numpy((first / count).astype(np.float32, order="C")),
        mean=tuple(total / pixels for total in totals),
        std=tuple(np.sqrt(variances).tolist()),
        images=len(chosen),
    )


def mean_image(dataset: ClassificationDataset, transform: Transform, images: int = 0) -> Tensor:
    """The per-pixel mean, float32 (3, H, W) in [0, 255]; see ``pixel_statistics``. Source: paper, sections 3.4 and 4.2."""
    return pixel_statistics(dataset, transform, images).mean_image


def write_components(path: str | Path, statistics: ColorStatistics) -> None:
    """Write the principal components as JSON, with mean, std and the number of images; ``read_components`` reads them."""
    write_json(path, components_content(statistics))


def components_content(statistics: ColorStatistics) -> dict[str, Any]:
    """What ``write_components`` writes."""
    components = statistics.components
    return {
        "eigenvalues": components.eigenvalues,
        "eigenvectors": components.eigenvectors,
        "mean": statistics.mean,
        "std": statistics.std,
        "images": statistics.images,
    }


def write_mean_image(path: str | Path, statistics: PixelStatistics, data: str) -> None:
    """Write the mean image as safetensors: the tensor ``mean``, the number of images and their source ``data``."""
    metadata = {"images": str(statistics.images), "data": data}
    atomic_write(path, lambda temporary: save_file({"mean": statistics.mean_image}, temporary, metadata))


def read_mean_image(path: str | Path, crop: int) -> Tensor:
    """Read what ``write_mean_image`` wrote: float32 (3, crop, crop) in [0, 255].

    Raises:
        DataError: the file cannot be read, holds no tensor ``mean``, or one of another shape or dtype or out of range.
    """
    try:
        with safe_open(regular(path), framework="pt") as file:
            names = list(file.keys())
            # a copy: the tensor itself would keep the file open
            mean = file.get_tensor("mean").clone() if "mean" in names else None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise DataError(f"{path}: is not a safetensors file, or a truncated one: {error}") from error
    if mean is None:
        raise DataError(f"{path}: must hold a tensor 'mean', got {', '.join(names) or 'none'}")
    if mean.shape != (3, crop, crop) or mean.dtype != torch.float32:
        raise DataError(f"{path}: 'mean' must be float32 {(3, crop, crop)}, got {mean.dtype} {tuple(mean.shape)}")
    if not bool(((mean >= 0) & (mean <= 255)).all()):  # NaN is in no range
        raise DataError(f"{path}: 'mean' must be in 0 … 255, got {float(mean.min()):g} … {float(mean.max()):g}")
    return mean


def _spread(count: int, images: int) -> list[int]:
    """``images`` of ``count`` indices, evenly spread; all of them for 0, or where there are not so many."""
    wanted = min(images, count) or count
    return [index * count // wanted for index in range(wanted)]


def _added(parts: Iterator[_Sums]) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Counts, first and second moments of all parts, or a DataError with all their problems."""
    count, first, second = 0, np.zeros((), np.int64), np.zeros((), np.int64)
    told: list[str] = []
    for part_count, part_first, part_second, problems in parts:
        count, first, second = count + part_count, first + part_first, second + part_second
        told += problems
    if told:
        raise DataError(told)
    return count, first, second


def _colors(dataset: ClassificationDataset, indices: Sequence[int], problems: list[str]) -> Iterator[NDArray[np.uint8]]:
    """The pixels of these images, uint8 (N, 3), in one or several parts."""
    if isinstance(dataset, CifarDataset):
        yield dataset.pixels[indices].transpose(0, 2, 3, 1).reshape(-1, 3)
        return
    for image in _images(dataset, indices, problems):
        yield np.asarray(image).reshape(-1, 3)


def _views(
    dataset: ClassificationDataset, transform: Transform, indices: Sequence[int], problems: list[str]
) -> Iterator[NDArray[np.uint8]]:
    """These images after ``transform``, uint8 (N, 3, H, W), in one or several parts."""
    if isinstance(dataset, CifarDataset) and transform == ClassificationTestTransform(short_side=0, crop=32):
        yield dataset.pixels[indices]  # as they are
        return
    for image in _images(dataset, indices, problems):
        yield transform(image).numpy()[None]


def _images(dataset: ClassificationDataset, indices: Sequence[int], problems: list[str]) -> Iterator[Image.Image]:
    for index in indices:
        try:
            image = dataset.load(index)
        except DataError as error:
            problems += error.problems
        else:
            yield image
