import math

import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator

from resdet.models.detection.anchors import AnchorGrid, cell_anchors


def test_closed_form() -> None:
    sizes, ratios = [32.0, 64.0, 128.0, 256.0, 512.0], [0.5, 1.0, 2.0]
    cell = cell_anchors(sizes, ratios)
    assert cell.shape == (15, 4)
    expected = []
    for size in sizes:
        for ratio in ratios:
            width, height = size / math.sqrt(ratio), size * math.sqrt(ratio)
            expected.append([-width / 2, -height / 2, width / 2, height / 2])
    torch.testing.assert_close(cell, torch.tensor(expected))
    assert torch.equal(cell[:, :2], -cell[:, 2:])


def test_rounded_ones_are_torchvisions_in_another_order() -> None:
    sizes, ratios = (24, 33, 64, 100), (0.4, 0.5, 1.0, 3.0)
    theirs = AnchorGenerator((sizes,), (ratios,)).cell_anchors[0].unflatten(0, (len(ratios), len(sizes)))
    assert torch.equal(cell_anchors(sizes, ratios, rounded=True), theirs.transpose(0, 1).flatten(0, 1))


def test_areas_and_ratios() -> None:
    cell = cell_anchors([100.0], [0.25, 1.0, 4.0]).double()
    width, height = (cell[:, 2:] - cell[:, :2]).unbind(1)
    torch.testing.assert_close(width * height, torch.full((3,), 1e4, dtype=torch.float64))
    torch.testing.assert_close(height / width, torch.tensor([0.25, 1.0, 4.0], dtype=torch.float64))


def test_grid_order_is_row_then_column_then_anchor() -> None:
    grid = AnchorGrid(cell_anchors([8.0, 16.0], [1.0]), stride=16)
    anchors = grid(2, 3)
    assert anchors.shape == (2 * 3 * 2, 4)
    expected = [
        [x * 16 - side / 2, y * 16 - side / 2, x * 16 + side / 2, y * 16 + side / 2]
        for y in range(2)
        for x in range(3)
        for side in (8.0, 16.0)
    ]
    assert torch.equal(anchors, torch.tensor(expected))


def test_grid_is_no_state() -> None:
    assert AnchorGrid(cell_anchors([8.0], [1.0]), stride=16).state_dict() == {}
