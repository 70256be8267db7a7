"""A sheet of the photos of a data set, each with its boxes as they are annotated and as training sees them."""

from __future__ import annotations

from PIL import Image
from torchvision.transforms.v2 import functional as F

from resdet.data.dataset import DetectionDataset
from resdet.data.loading.randomness import preserved_generators, seed_generators
from resdet.data.transforms.detection import DetectionTrainTransform
from resdet.report.draw import draw_target
from resdet.report.sheet import fitted, pair_sheet
from resdet.structures.drawing import caption_size

_CELL = 380  # pixels: the longer side of a photo
_COLUMNS = 2


def dataset_sheet(
    dataset: DetectionDataset, transform: DetectionTrainTransform, *, count: int, seed: int = 0
) -> tuple[Image.Image, list[int]]:
    """Draw ``count`` photos in pairs: as annotated on the left, after the training transform on the right.

    Args:
        dataset: the data set.
        transform: the training transform.
        count: at most so many, evenly spread over the data set.
        seed: decides what the transform draws.

    Returns:
        The sheet, and the indices of its photos.

    Raises:
        DataError: naming a photo that cannot be read or transformed.
    """
    count = min(count, len(dataset))
    shown = [number * len(dataset) // count for number in range(count)]
    size = caption_size(_CELL, _CELL)
    pairs = []
    with preserved_generators():
        for draw, index in enumerate(shown):
            image, target = dataset.load(index)
            seed_generators(seed, draw)
            pixels, seen = transform(image, target)
            pairs.append(
                (
                    draw_target(fitted(image, _CELL), target, dataset.names, size),
                    draw_target(fitted(F.to_pil_image(pixels), _CELL), seen, dataset.names, size),
                )
            )
    lines = [pairs[start : start + _COLUMNS] for start in range(0, count, _COLUMNS)]
    titles = ("as annotated", "as training sees it")
    return pair_sheet([[panel for pair in line for panel in pair] for line in lines], titles, _CELL), shown
