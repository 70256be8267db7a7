"""The graph of a whole localizer gives the boxes that the localizer gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_detectors import picture
from tiny_localizers import tiny_rpn

pytest.importorskip("onnx")

from graph_runs import RUNTIMES, as_batch, run_graph

from resdet.config.localization import LocalizerTestConfig
from resdet.export.localizer import localizer_graph
from resdet.inference.load_localizer import make_localizer
from resdet.structures.pictures import to_image

IMAGES = [picture(1, 70, 97), picture(2, 70, 97)]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("vote_iou", [0.5, 0.2, 0.0])
def test_boxes_of_the_classes_asked_for(runtime: str, vote_iou: float) -> None:
    model = tiny_rpn()
    classes = [[2, 0], [1, 1]]
    found = run_graph(
        localizer_graph(model, np.float32, vote_iou, None), {"images": as_batch(IMAGES), "classes": np.array(classes)}, runtime
    )
    original = make_localizer([model], LocalizerTestConfig(short_sides=[0], vote_iou=vote_iou), 64)
    for row, (image, asked) in enumerate(zip(IMAGES, classes, strict=True)):
        boxes, scores = original.localize(to_image(image), asked)
        torch.testing.assert_close(torch.tensor(found["boxes"][row]), boxes, rtol=0, atol=0.01)
        torch.testing.assert_close(torch.tensor(found["scores"][row]), scores, rtol=0, atol=1e-4)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_pictures_of_any_size(runtime: str) -> None:
    model, image = tiny_rpn(), picture(3, 81, 61)
    inputs = {"images": as_batch([image]), "classes": np.array([[0, 1, 2]])}
    found = run_graph(localizer_graph(model, np.float32, 0.5, 50), inputs, runtime)
    boxes, scores = make_localizer([model], LocalizerTestConfig(short_sides=[50]), 64).localize(to_image(image), [0, 1, 2])
    torch.testing.assert_close(torch.tensor(found["boxes"][0]), boxes, rtol=0, atol=0.01)
    torch.testing.assert_close(torch.tensor(found["scores"][0]), scores, rtol=0, atol=1e-4)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("vote_iou", [0.5, 0.0])
def test_without_any_usable_box_the_image_is_the_answer(runtime: str, vote_iou: float) -> None:
    model = tiny_rpn()
    with torch.no_grad():
        model.head.common_reg.bias.view(-1, 4)[:, 0] = -1e6  # all boxes far left of the image
    inputs = {"images": as_batch(IMAGES[:1]), "classes": np.array([[1]])}
    found = run_graph(localizer_graph(model, np.float32, vote_iou, None), inputs, runtime)
    assert found["boxes"].tolist() == [[[0, 0, 97, 70]]]
    assert found["scores"].tolist() == [[0]]
