"""Resizing in a graph gives PIL's pixels, all of them, and the sizes are those of evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")

from graph_runs import RUNTIMES, run_graph, run_model

from resdet.data.transforms.sizes import resized_size, size_by_short_side
from resdet.export.graph import Graph
from resdet.export.photos import resized_in_passes
from resdet.export.pixels import add_planes, add_resized
from resdet.export.sizes import add_detection_size, add_picture_size, add_short_side_size


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("size", "target"),
    [
        ((48, 64), (60, 80)),  # weights of tenths: sums on a half, which PIL's 22 bits decide
        ((33, 50), (60, 91)),
        ((200, 300), (40, 60)),
        ((97, 131), (64, 86)),
        ((30, 40), (30, 40)),
        ((30, 40), (30, 25)),
        ((1, 7), (3, 20)),
        ((90, 3), (31, 1)),
        ((450, 30), (31, 29)),
    ],
)
def test_every_pixel_is_pil_s(size: tuple[int, int], target: tuple[int, int], runtime: str) -> None:
    pixels = np.random.default_rng(sum(size)).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    pixels[0, :, ::3] = 255  # to the ends of the range
    pixels[1, ::2] = 0
    graph = Graph()
    images, wanted = graph.input("images", np.uint8, ["n", "h", "w", 3]), graph.input("size", np.int64, [2])
    graph.output(add_resized(graph, add_planes(graph, images), wanted), "resized", np.float32, ["n", 3, "y", "x"])
    found = run_graph(graph, {"images": pixels, "size": np.array(target)}, runtime)["resized"]
    for each, picture in zip(found, pixels, strict=True):
        expected = resized_in_passes(Image.fromarray(picture), target)
        assert np.array_equal(each.transpose(1, 2, 0), np.asarray(expected))


@pytest.mark.parametrize("size", [(48, 64), (97, 131), (131, 97), (200, 101)])
def test_in_passes_is_what_pil_does_at_once_with_pictures_of_usual_shapes(size: tuple[int, int]) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    target = resized_size(size, 60, 100)
    assert resized_in_passes(picture, target).tobytes() == picture.resize(target[::-1], Image.Resampling.BILINEAR).tobytes()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_sizes_are_those_of_evaluation(runtime: str) -> None:
    graph = Graph()
    size = add_picture_size(graph, graph.input("images", np.uint8, ["n", "h", "w", 3]))
    graph.output(add_detection_size(graph, size, 600, 1000), "detection", np.int64, [2])
    graph.output(add_short_side_size(graph, size, 256), "short_side", np.int64, [2])
    model = graph.model({})
    rng = np.random.default_rng(0)
    sizes = [(600, 800), (375, 500), (333, 500), (1, 1), (1, 900), (480, 640), (768, 1024), *rng.integers(1, 1500, (30, 2))]
    for height, width in sizes:
        found = run_model(model, {"images": np.zeros((1, height, width, 3), np.uint8)}, runtime)
        assert tuple(found["detection"]) == resized_size((height, width), 600, 1000)
        assert tuple(found["short_side"]) == size_by_short_side((height, width), 256)
