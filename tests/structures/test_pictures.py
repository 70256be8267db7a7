"""What is taken for a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resdet.errors import ConfigError, DataError
from resdet.structures.pictures import to_image


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_a_file_an_image_and_an_array_are_the_same_picture(pixels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    for source in (path, str(path), Image.fromarray(pixels), pixels, np.asfortranarray(pixels), pixels[::-1][::-1]):
        image = to_image(source)
        assert image.mode == "RGB"
        assert image.size == (7, 5)
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "LA"])
def test_any_8_bit_mode_becomes_rgb(pixels: np.ndarray, mode: str) -> None:
    image = to_image(Image.fromarray(pixels).convert(mode))
    assert (image.mode, image.size) == ("RGB", (7, 5))


def test_16_bit_grey_is_scaled_in_memory_as_from_a_file(tmp_path: Path) -> None:
    deep = Image.fromarray(np.arange(0, 60000, 1000, dtype=np.uint16).reshape(6, 10))
    deep.save(tmp_path / "deep.png")
    assert np.array_equal(np.asarray(to_image(deep)), np.asarray(to_image(tmp_path / "deep.png")))
    assert np.asarray(to_image(deep)).max() == round(59000 / 257)


def test_only_files_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert to_image(tmp_path / "turned.jpg").size == (4, 8)
    with Image.open(tmp_path / "turned.jpg") as opened:
        assert to_image(opened).size == (8, 4)


def test_floats_have_no_range() -> None:
    with pytest.raises(TypeError, match="a PIL image of mode F is no picture: its pixels must be 8 or 16 bits, got floats"):
        to_image(Image.new("F", (3, 3)))


def test_a_missing_file_and_one_that_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: no such image file"):
        to_image(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DataError, match=r"text\.png: cannot be read as an image"):
        to_image(str(tmp_path / "text.png"))


def test_arrays_and_tensors_of_one_three_and_four_channels(pixels: np.ndarray) -> None:
    """What becomes of the channels, by plain indexing: grey is repeated, a fourth channel is dropped."""
    opaque = np.dstack([pixels, np.full((5, 7), 9, np.uint8)])
    grey = pixels[:, :, 1]
    for array, expected in ((pixels, pixels), (opaque, pixels), (grey, grey[:, :, None].repeat(3, 2))):
        planes = torch.from_numpy(array).permute(2, 0, 1) if array.ndim == 3 else torch.from_numpy(array.copy())
        for source in (
            array,
            array[:, :, None] if array.ndim == 2 else array,
            planes,
            planes[None] if array.ndim == 2 else planes,
        ):
            image = to_image(source)
            assert (image.mode, image.size) == ("RGB", (7, 5))
            assert np.array_equal(np.asarray(image), expected)


def test_bgr_arrays_and_tensors_become_rgb(pixels: np.ndarray) -> None:
    for count in (3, 4):
        bgr = np.dstack([pixels[:, :, 2], pixels[:, :, 1], pixels[:, :, 0], pixels[:, :, 0]])[:, :, :count]
        for source in (bgr, torch.from_numpy(bgr.copy()).permute(2, 0, 1)):
            assert np.array_equal(np.asarray(to_image(source, "bgr")), pixels)
    grey = pixels[:, :, 0]
    assert np.array_equal(np.asarray(to_image(grey, "bgr")), np.asarray(to_image(grey)))


def test_files_and_pil_images_know_the_order_of_their_channels(pixels: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", Image.fromarray(pixels)):
        assert np.array_equal(np.asarray(to_image(source, "bgr")), pixels)


def test_another_order_of_channels(pixels: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="'color' must be one of rgb, bgr, got 'BGR'"):
        to_image(pixels, "BGR")


def test_the_image_does_not_change_with_the_array(pixels: np.ndarray) -> None:
    """A camera's buffer is filled again while a result still knows its picture."""
    buffer, tensor = pixels.copy(), torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    images = [to_image(buffer), to_image(tensor)]
    buffer[:] = 0
    tensor.zero_()
    assert all(np.array_equal(np.asarray(image), pixels) for image in images)


@pytest.mark.parametrize(
    ("source", "got"),
    [
        (None, "NoneType"),
        (7, "int"),
        (b"bytes", "bytes"),
        (torch.zeros(3, 4, 4), r"torch\.float32 \(3, 4, 4\)"),
        (torch.zeros(3, 4, 4, dtype=torch.bfloat16), r"torch\.bfloat16 \(3, 4, 4\)"),
        (torch.zeros(4, 7, 3, dtype=torch.uint8)[:2], r"torch\.uint8 \(2, 7, 3\)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), r"torch\.uint8 \(2, 3, 4, 4\)"),
        (np.zeros((4, 4, 3)), r"float64 \(4, 4, 3\)"),
        (np.zeros((4, 4, 3), np.int8), r"int8 \(4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \(0, 4, 3\)"),
        (np.zeros(4, np.uint8), r"uint8 \(4,\)"),
        (np.zeros((3, 4, 5), np.uint8), r"uint8 \(3, 4, 5\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"uint8 \(2, 4, 4, 3\)"),
    ],
)
def test_what_is_no_picture(source: object, got: str) -> None:
    rule = r"a path, a PIL image, a uint8 array \(H, W, 3\) or a uint8 tensor \(3, H, W\); .* a fourth is transparency"
    with pytest.raises(TypeError, match=rf"an image must be {rule}, got {got}$"):
        to_image(source)  # type: ignore[arg-type]
