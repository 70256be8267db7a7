from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resdet.structures import PIXEL_CONVENTIONS, ImageBatch

PIXELS = PIXEL_CONVENTIONS["torchvision"]


def _image(size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4))
def test_images_lie_at_the_top_left_and_the_rest_is_zero(sizes: list[tuple[int, int]]) -> None:
    images = [_image(size, seed) for seed, size in enumerate(sizes)]
    batch = ImageBatch.from_images(images, PIXELS)
    assert batch.sizes == sizes
    assert batch.tensor.shape == (len(sizes), 3, max(h for h, _ in sizes), max(w for _, w in sizes))
    for slot, image, (height, width) in zip(batch.tensor, images, sizes, strict=True):
        assert torch.equal(slot[:, :height, :width], PIXELS.normalize(image))
        assert not slot[:, height:].any()
        assert not slot[:, :, width:].any()


def test_a_single_image_is_not_padded() -> None:
    image = _image((5, 7))
    batch = ImageBatch.from_images([image], PIXELS, "cpu")
    assert torch.equal(batch.tensor, PIXELS.normalize(image)[None])
    assert batch.sizes == [(5, 7)]


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        ImageBatch.from_images([], PIXELS)
