"""A converted Detectron2 model gives what Detectron2's arithmetic gives, through the command and ``resdet.load``."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from close_detections import assert_close_detections, edges_of
from detectron2_reference import box_outputs, detect, network_input, output_shape, proposals, rpn_outputs, trunk
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from zoo_state import zoo_state

from resdet.cli import main
from resdet.data.transforms.sizes import resized_size
from resdet.inference.detector import Detector
from resdet.inference.load import load

MEAN, STD = [103.53, 116.28, 123.675], [1.0, 1.0, 1.0]


def _smooth_picture(height: int, width: int, seed: int) -> Image.Image:
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, 6, 8, generator=generator)
    large = torch.nn.functional.interpolate(small, size=(height, width), mode="bicubic").clamp(0, 1)
    noisy = (large + 0.05 * torch.randn(large.shape, generator=generator)).clamp(0, 1)
    return Image.fromarray((noisy[0] * 255).byte().permute(1, 2, 0).numpy())


@torch.no_grad()
def _spread_outputs(state: dict[str, Tensor], pictures: list[Image.Image]) -> None:
    """Scale the untrained output layers so that scores and boxes vary, and do not saturate (ties have no order)."""
    inputs = [network_input(picture, MEAN, STD) for picture in pictures]
    features = [trunk(state, x, stride_in_1x1=True) for x in inputs]
    rpn, box = "proposal_generator.rpn_head", "roi_heads.box_predictor"
    logits, deltas = (torch.cat(parts) for parts in zip(*(rpn_outputs(state, x) for x in features), strict=True))
    state[f"{rpn}.objectness_logits.weight"] *= 1.5 / logits.std()
    state[f"{rpn}.anchor_deltas.weight"] *= 0.3 / deltas.std()
    regions = [proposals(state, x, *size.shape[-2:])[:200] for x, size in zip(features, inputs, strict=True)]
    found = [box_outputs(state, x, boxes, stride_in_1x1=True) for x, boxes in zip(features, regions, strict=True)]
    logits, deltas = (torch.cat(parts) for parts in zip(*found, strict=True))
    gain = 1.5 / (logits - logits.mean(0)).std()
    state[f"{box}.cls_score.weight"] *= gain
    state[f"{box}.cls_score.bias"] = -gain * logits.mean(0)
    state[f"{box}.bbox_pred.weight"] *= 0.5 / deltas.std()


def _convert(state: dict[str, Tensor], folder: Path) -> Detector:
    source, destination = folder / "model_final.pkl", folder / "model.safetensors"
    model = {key: value.numpy() for key, value in state.items()}
    source.write_bytes(pickle.dumps({"model": model, "__author__": "Detectron2 Model Zoo"}))
    assert main(["convert", str(source), str(destination)]) == 0
    detector = load(destination, device="cpu")
    assert isinstance(detector, Detector)
    return detector


def _assert_same(detector: Detector, picture: Image.Image | Path, expected: tuple[Tensor, Tensor, Tensor], least: int) -> None:
    assert len(expected[1]) >= least  # the comparison is about something
    edges = edges_of(detector.models[0].roi_heads.postprocess)
    assert_close_detections(detector.predict(picture), expected, edges=edges)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], Detector]:
    """A small C4 model that sees things in smooth pictures, and its conversion."""
    state = zoo_state(width=4)
    _spread_outputs(state, [_smooth_picture(90, 120, seed) for seed in (1, 2)])
    return state, _convert(state, tmp_path_factory.mktemp("zoo"))


@pytest.mark.parametrize("size", [(37, 101), (601, 450)], ids=str)
def test_pictures_of_odd_sizes(pair: tuple[dict[str, Tensor], Detector], size: tuple[int, int]) -> None:
    state, detector = pair
    picture = _smooth_picture(*size, seed=5)
    _assert_same(detector, picture, detect(state, picture, mean=MEAN, std=STD), least=20)


def test_boxes_that_end_up_empty_are_dropped(pair: tuple[dict[str, Tensor], Detector], tmp_path: Path) -> None:
    state, _ = pair
    moved = {key: value.clone() for key, value in state.items()}
    # one class's boxes lie far to the right of their regions, so most are clipped to nothing
    picture = _smooth_picture(90, 120, seed=5)
    label = int(detect(state, picture, mean=MEAN, std=STD)[2].mode().values)
    moved["roi_heads.box_predictor.bbox_pred.bias"][4 * label] += 40.0
    expected = detect(moved, picture, mean=MEAN, std=STD)
    assert len(expected[1]) < 100
    _assert_same(_convert(moved, tmp_path), picture, expected, least=10)


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "coco_mini" / "val2017").glob("*.jpg"))


@pytest.fixture(scope="module")
def photo_pair(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], Detector]:
    state = zoo_state(width=4, seed=1)
    _spread_outputs(state, [Image.open(path).convert("RGB") for path in photos[:3]])
    return state, _convert(state, tmp_path_factory.mktemp("photos"))


@pytest.mark.real
@pytest.mark.parametrize("index", [3, 17])
def test_real_photos(photos: list[Path], photo_pair: tuple[dict[str, Tensor], Detector], index: int) -> None:
    state, detector = photo_pair
    expected = detect(state, Image.open(photos[index]), mean=MEAN, std=STD)
    _assert_same(detector, photos[index], expected, least=20)


PAIRS = [(800, 1333), (600, 1000), (640, 1333), (320, 533), (1000, 1667), (400, 667)]


@pytest.mark.parametrize(("short_edge", "max_size"), PAIRS)
def test_resized_sizes_are_those_of_resize_shortest_edge(short_edge: int, max_size: int) -> None:
    sizes = [(height, width) for height in range(1, 1300, 11) for width in range(1, 1300, 7)]
    sizes += [(9, 16), (9, 80), (3, 62), (6, 124), (11, 22), (15, 30), (22, 11), (7, 2666), (10, 124), (3, 46), (19, 3040)]
    for height, width in sizes:
        expected = output_shape(height, width, short_edge, max_size)
        # a picture so long that a side would vanish keeps one pixel
        assert resized_size((height, width), short_edge, max_size) == (max(1, expected[0]), max(1, expected[1]))


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 2000), st.integers(1, 4000))
def test_resized_sizes_of_any_limits(height: int, width: int, short_edge: int, longer: int) -> None:
    expected = output_shape(height, width, short_edge, short_edge + longer)
    assert resized_size((height, width), short_edge, short_edge + longer) == (max(1, expected[0]), max(1, expected[1]))
