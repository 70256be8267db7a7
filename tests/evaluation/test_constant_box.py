from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resdet.config.localization_data import LocalizationSourceConfig
from resdet.data.localization import LocalizedImages
from resdet.data.sources.localization import build_localization_dataset
from resdet.evaluation.constant_box import ConstantBox, constant_box_error, mean_boxes


def images(names: tuple[str, ...], rows: list[tuple[int, tuple[int, int], list[list[float]]]]) -> LocalizedImages:
    """One image for each (label, (height, width), boxes)."""
    boxes = [box for _, _, some in rows for box in some]
    return LocalizedImages(
        names,
        "made up",
        np.array([b"nowhere"] * len(rows)),
        np.array([label for label, _, _ in rows], dtype=np.int64),
        np.array([size for _, size, _ in rows], dtype=np.int64),
        np.concatenate([[0], np.cumsum([len(some) for _, _, some in rows])]).astype(np.int64),
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
    )


NAMES = ("ant", "bee", "cat")
TRAIN = images(
    NAMES,
    [
        (0, (100, 200), [[0, 0, 200, 100], [100, 50, 200, 100]]),
        (1, (50, 10), [[1, 5, 5, 45]]),
        (0, (8, 8), [[2, 2, 6, 4]]),
        (0, (8, 8), []),
    ],
)


def test_the_mean_box_by_hand() -> None:
    ant = [(0 + 0.5 + 0.25) / 3, (0 + 0.5 + 0.25) / 3, (1 + 1 + 0.75) / 3, (1 + 1 + 0.5) / 3]
    bee = [0.1, 0.1, 0.5, 0.9]
    everything = [(3 * a + b) / 4 for a, b in zip(ant, bee, strict=True)]
    torch.testing.assert_close(mean_boxes(TRAIN), torch.tensor([ant, bee, everything], dtype=torch.float64))
    assert mean_boxes(images(NAMES, [])).tolist() == [[0, 0, 1, 1]] * 3


def test_the_error_by_hand() -> None:
    val = images(
        NAMES,
        [
            (1, (100, 100), [[10, 10, 50, 90]]),  # the box itself
            (1, (100, 100), [[10, 10, 90, 90]]),  # twice as wide: an IoU of one half
            (1, (100, 100), [[10, 10, 95, 90]]),
            (1, (100, 100), [[60, 10, 70, 90], [10, 10, 50, 90]]),  # one of two
            (1, (100, 100), []),
        ],
    )
    assert constant_box_error(TRAIN, val) == 0.25
    assert constant_box_error(TRAIN, images(NAMES, [(0, (8, 8), [])])) is None
    with pytest.raises(ValueError, match="the same classes"):
        constant_box_error(TRAIN, images(("a", "b", "c"), []))


def test_it_localizes_in_pixels_of_the_image() -> None:
    boxes, scores = ConstantBox(TRAIN).localize(Image.new("RGB", (10, 50)), [1, 1])
    torch.testing.assert_close(boxes, torch.tensor([[1.0, 5, 5, 45]] * 2))
    assert scores.tolist() == [1, 1]


@pytest.mark.real
def test_tiny_imagenet(shared_data: Path) -> None:
    root = str(shared_data / "tiny_imagenet_10")
    train, val = (
        build_localization_dataset(LocalizationSourceConfig("tiny_imagenet", root, split)) for split in ("train", "val")
    )
    error = constant_box_error(train, val)
    # with numpy alone, from the tables
    wrong = 0
    for label, wnid in enumerate(train.names):
        table = np.loadtxt(Path(root) / "train" / wnid / f"{wnid}_boxes.txt", usecols=(1, 2, 3, 4))
        mean = table.mean(0) + np.array([0, 0, 1, 1])
        for x1, y1, x2, y2 in boxes_of(val, label):
            width, height = min(x2, mean[2]) - max(x1, mean[0]), min(y2, mean[3]) - max(y1, mean[1])
            common = max(width, 0) * max(height, 0)
            wrong += common / ((x2 - x1) * (y2 - y1) + (mean[2] - mean[0]) * (mean[3] - mean[1]) - common) < 0.5
    assert error == pytest.approx(wrong / 500, abs=1e-12)
    assert error == pytest.approx(0.318)


def boxes_of(dataset: LocalizedImages, label: int) -> list[list[float]]:
    return [box for index in np.flatnonzero(dataset.labels == label) for box in dataset.boxes(int(index)).tolist()]
