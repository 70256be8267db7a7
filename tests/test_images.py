from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resdet.errors import DataError
from resdet.images import read_image


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    w, h = image.size
    return [image.getpixel(p) for p in ((0, 0), (w - 1, 0), (0, h - 1), (w - 1, h - 1))]


# how the stored pixels come out of the upright scene, by the EXIF standard: the rows of the upright image that become the
# first stored row, written as numpy (an oracle that knows nothing of PIL's names)
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_exif_orientation_turns_the_image_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))).save(path, exif=exif, **options)
    assert np.array_equal(np.asarray(read_image(path)), upright)


def test_exif_orientation_of_a_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 10)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (10, 30)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_out_of_the_standard_is_none(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 10)).save(tmp_path / "odd.jpg", exif=exif)
    assert read_image(tmp_path / "odd.jpg").size == (30, 10)


def test_a_broken_exif_block_does_not_cost_the_image(tmp_path: Path) -> None:
    Image.new("RGB", (30, 10)).save(tmp_path / "broken.jpg", exif=b"Exif\0\0garbage that is no tiff")
    assert read_image(tmp_path / "broken.jpg").size == (30, 10)


MODES = [
    ("L", 200, (200, 200, 200)),
    ("1", 1, (255, 255, 255)),
    ("LA", (90, 10), (90, 90, 90)),
    ("RGBA", (10, 20, 30, 0), (10, 20, 30)),
    ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
    ("P", 0, (7, 8, 9)),
]


@pytest.mark.parametrize(("mode", "value", "expected"), MODES, ids=[mode for mode, *_ in MODES])
def test_modes_become_rgb(tmp_path: Path, mode: str, value: object, expected: tuple[int, int, int]) -> None:
    image = Image.new(mode, (5, 4), value)
    if mode == "P":
        image.putpalette([7, 8, 9] * 256)
    path = tmp_path / ("image.tiff" if mode == "CMYK" else "image.png")
    image.save(path)
    decoded = read_image(path)
    assert decoded.mode == "RGB"
    assert set(corners(decoded)) == {expected}


def test_16_bit_grey_is_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 257, 128 * 257, 65535, 65535 - 200]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.asarray(read_image(tmp_path / "deep.png"))[0, :, 0].tolist() == [0, 1, 128, 255, 254]


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert set(corners(read_image(tmp_path / "moving.gif"))) == {(255, 0, 0)}


@pytest.mark.parametrize(
    ("mode", "value", "reason"), [("F", 0.5, "got floats"), ("I", 100000, "got I values 100000"), ("I", -1, "got I values -1")]
)
def test_pixels_without_a_fixed_range_are_refused(tmp_path: Path, mode: str, value: float, reason: str) -> None:
    Image.new(mode, (4, 4), value).save(tmp_path / "odd.tiff")
    with pytest.raises(DataError, match=reason) as caught:
        read_image(tmp_path / "odd.tiff")
    assert str(tmp_path / "odd.tiff") in str(caught.value)


def test_files_that_are_no_images_are_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(whole)
    content = whole.read_bytes()
    cases = {
        "empty.jpg": (b"", "the file is empty"),
        "text.jpg": (b"not an image at all", "cannot identify image file"),
        "cut.png": (content[: len(content) // 2], ""),
        "scrambled.png": (content[:60] + bytes(200) + content[260:], ""),
    }
    for name, (data, reason) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(DataError) as caught:
            read_image(path)
        assert str(caught.value).startswith(f"{path}: cannot be read as an image: {reason}")
    for path, reason in ((tmp_path / "none.jpg", "no such image file"), (tmp_path, "Is a directory")):
        with pytest.raises(DataError, match=reason):
            read_image(path)


def test_the_truncated_real_photo_is_named(shared_data: Path) -> None:
    with pytest.raises(DataError, match=r"00090\.jpg: cannot be read as an image: image file is truncated"):
        read_image(shared_data / "kangaroo_voc" / "JPEGImages" / "00090.jpg")


def test_a_format_that_starts_an_external_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    with pytest.raises(DataError, match=r"photo\.jpg: cannot be read as an image"):
        read_image(path)
