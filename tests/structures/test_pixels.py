from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.errors import ConfigError
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

conventions = st.builds(
    PixelConvention,
    order=st.sampled_from(["RGB", "BGR"]),
    mean=st.tuples(*[st.floats(-10, 300)] * 3),
    std=st.tuples(*[st.floats(0.01, 300)] * 3),
    range=st.sampled_from([1.0, 255.0]),
)


@given(conventions)
def test_to_json_and_back(convention: PixelConvention) -> None:
    assert PixelConvention.from_dict(json.loads(json.dumps(convention.to_dict()))) == convention


@given(conventions, st.lists(st.integers(0, 255), min_size=12, max_size=12))
def test_normalize_against_numpy(convention: PixelConvention, values: list[int]) -> None:
    image = np.array(values, dtype=np.uint8).reshape(2, 2, 3)  # height, width, RGB
    pixels = image[..., ::-1] if convention.order == "BGR" else image
    expected = (pixels.astype(np.float64) / 255 * convention.range - convention.mean) / convention.std
    got = convention.normalize(torch.from_numpy(image.transpose(2, 0, 1).copy()))
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), expected.transpose(2, 0, 1), rtol=1e-5, atol=1e-3)


def test_the_known_conventions_on_one_pixel() -> None:
    pixel = torch.tensor([255, 0, 51], dtype=torch.uint8).view(3, 1, 1)
    rgb = PIXEL_CONVENTIONS["torchvision"].normalize(pixel).flatten().tolist()
    assert rgb == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225], rel=1e-5)
    bgr = PIXEL_CONVENTIONS["msra"].normalize(pixel).flatten().tolist()
    assert bgr == pytest.approx([51 - 103.939, -116.779, 255 - 123.68], rel=1e-5)


def test_a_list_and_a_tuple_may_stand_together() -> None:
    convention = PixelConvention("RGB", [1, 2, 3], (1, 1, 1), 255)  # type: ignore[arg-type]
    assert list(convention.mean) == [1, 2, 3]


def test_normalize_takes_a_batch() -> None:
    images = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    convention = PIXEL_CONVENTIONS["msra"]
    assert torch.equal(convention.normalize(images)[1], convention.normalize(images[1]))


def test_other_colours_are_those_of_rgb_in_0_to_1() -> None:
    mean, std = [0.5, 0.25, 0.125], [0.2, 0.4, 0.8]
    assert PIXEL_CONVENTIONS["torchvision"].with_colours(mean, std) == PixelConvention("RGB", tuple(mean), tuple(std), 1)
    other = PIXEL_CONVENTIONS["msra"].with_colours(mean, std)
    assert other == PixelConvention("BGR", (31.875, 63.75, 127.5), (204.0, 102.0, 51.0), 255)
    pixels = torch.randint(0, 256, (3, 2, 2), dtype=torch.uint8)
    rgb = PIXEL_CONVENTIONS["torchvision"].with_colours(mean, std).normalize(pixels)
    assert torch.allclose(other.normalize(pixels).flip(0), rgb, rtol=0, atol=1e-5)  # 255 roundings of float32 at most
    for convention in PIXEL_CONVENTIONS.values():
        assert convention.with_colours() == convention


GOOD: dict[str, Any] = {"order": "RGB", "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "range": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": "rgb"}, "'order' must be RGB or BGR, got 'rgb'"),
        ({"range": 256}, "'range' must be 1 or 255, got 256"),
        ({"std": (1.0, 0.0, 1.0)}, "std 1e-06 at least"),
        ({"std": (1.0, float("nan"), 1.0)}, "std 1e-06 at least"),
        ({"mean": (0.5, 1e300, 0.5)}, "must be 3 numbers below 1e"),
        ({"mean": (1.0, 2.0)}, "must be 3 numbers"),
    ],
)
def test_a_wrong_convention_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PixelConvention(**{**GOOD, **change})


def test_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        PixelConvention("XYZ", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 2)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("values", [{}, {**GOOD, "mean": 3}, {**GOOD, "range": "white"}, {"order": "RGB"}])
def test_from_dict_names_what_it_needs(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="needs order, mean, std and range"):
        PixelConvention.from_dict(values)
