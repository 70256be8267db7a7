"""The graph of a whole classifier says what the classifier says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rounding import assert_near, network, walk
from tiny_classifiers import tiny_classifier
from tiny_detectors import picture

pytest.importorskip("onnx")

from graph_runs import RUNTIMES, as_batch, run_graph

from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.export.classifier import classifier_graph
from resdet.models.backbones.registry import create_backbone
from resdet.models.classifier import Classifier
from resdet.structures import PIXEL_CONVENTIONS
from resdet.structures.pictures import to_image

SQUARES = [picture(seed, 32, 32) for seed in range(3)]
NAMES = ("cat", "dog", "emu")


def assert_same(model: Classifier, squares: torch.Tensor, found: dict[str, np.ndarray], layers: int = 20) -> None:
    with torch.no_grad():
        expected = model(squares)
    assert float(expected.std()) > 0
    # of logits that grow with the layers' outputs: relative to the largest, layers of sums of 9 * 64
    assert_near(torch.tensor(found["logits"]), expected, network(layers, 9 * 64, torch.float32))
    torch.testing.assert_close(torch.tensor(found["probabilities"]).sum(1), torch.ones(len(squares)), rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.tensor(found["probabilities"]), expected.softmax(1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("pixels", ["torchvision", "msra"])
def test_squares(runtime: str, pixels: str) -> None:
    model = tiny_classifier()
    model.pixels = PIXEL_CONVENTIONS[pixels]
    found = run_graph(classifier_graph(model, np.float32, 32, None), {"images": as_batch(SQUARES)}, runtime)
    assert_same(model, torch.stack(SQUARES), found)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("side", [32, 40])
@pytest.mark.parametrize("order", ["torchvision", "msra"])
def test_a_mean_image_of_the_size_of_the_squares_or_its_colour(runtime: str, side: int, order: str) -> None:
    torch.manual_seed(0)
    mean = torch.rand(3, side, side) * 255
    backbone = create_backbone("cifar_resnet20", num_classes=3)
    model = Classifier(backbone, PIXEL_CONVENTIONS[order], NAMES, mean).eval()
    found = run_graph(classifier_graph(model, np.float32, 32, None), {"images": as_batch(SQUARES)}, runtime)
    assert_same(model, torch.stack(SQUARES), found, 22)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(("size", "crop"), [((50, 77), 32), ((91, 40), 32), ((40, 40), 33), ((35, 200), 31)])
def test_pictures_of_any_size(runtime: str, size: tuple[int, int], crop: int) -> None:
    model, image = tiny_classifier(), picture(1, *size)
    found = run_graph(classifier_graph(model, np.float32, crop, 40), {"images": as_batch([image])}, runtime)
    assert_same(model, ClassificationTestTransform(40, crop)(to_image(image))[None], found)


def test_layers_in_16_bits() -> None:
    model = tiny_classifier()
    graph = classifier_graph(model, np.float16, 32, None)
    found = run_graph(graph, {"images": as_batch(SQUARES)}, "onnxruntime")
    with torch.no_grad():
        expected = model(torch.stack(SQUARES))
    # each layer rounds its weights and what it gives, and the sum with the shortcut
    assert_near(torch.tensor(found["logits"]), expected, walk(3 * 20, torch.float16))
    assert not np.array_equal(found["logits"], expected.numpy())
