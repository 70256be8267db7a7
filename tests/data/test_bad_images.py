"""Images that are odd or broken, in a data set: a row for each of the table in datasets/README.md."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resdet.data.check import undecodable
from resdet.data.formats.folder import read_folder
from resdet.data.loading.views import ClassificationView
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.errors import DataError
from resdet.images import read_image


@pytest.fixture
def photo() -> Image.Image:
    """A picture whose left half is red and whose right half is blue."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32, 0] = 250
    pixels[:, 32:, 2] = 250
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image) -> Path:
    """A class folder with two good photos."""
    folder = tmp_path / "data" / "cat"
    folder.mkdir(parents=True)
    for name in ("1.jpg", "9.jpg"):
        photo.save(folder / name)
    return folder


def close(image: Image.Image, other: Image.Image, tolerance: int) -> bool:
    """Equal but for what JPEG does at the edge in the middle."""
    one, two = (np.asarray(picture).astype(int) for picture in (image, other))
    middle = slice(24, 40)
    return bool(np.abs(np.delete(one - two, middle, 1)).max() <= tolerance)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and holds nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def broken(folder: Path) -> dict[str, bytes]:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / "1.jpg")
    whole = (folder / "1.jpg").read_bytes()
    return {
        "truncated": whole[: len(whole) // 2],
        "zero bytes": b"",
        "cut in the header": whole[:10],
        "text": b"hello",
        "html": b"<html>404</html>",
        "decompression bomb": png_of_size(30_000, 30_000),
        "huge": png_of_size(10_000, 10_000),
    }


REASONS = {
    "truncated": "image file is truncated",
    "zero bytes": "the file is empty",
    "cut in the header": "",
    "text": "cannot identify image file",
    "html": "cannot identify image file",
    "decompression bomb": "Image size (900000000 pixels) exceeds limit",
    "huge": "it has 10000 x 10000 pixels, more than 89478485 are not safe to decode",
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", REASONS)
def test_a_broken_image_is_named_by_check_and_loader(folder: Path, kind: str) -> None:
    path = folder / "5.jpg"
    path.write_bytes(broken(folder)[kind])
    dataset = read_folder(folder.parent)
    (problem,) = undecodable(dataset)
    assert problem.startswith(f"{path}: cannot be read as an image: {REASONS[kind]}")
    view = ClassificationView(dataset, ClassificationTestTransform(0, 32))
    with pytest.raises(DataError) as caught:
        view.batch([(0, 0), (1, 1), (2, 2)])
    assert caught.value.problems == (problem,)
    assert len(view.batch([(0, 0), (2, 2)])) == 2


def test_all_broken_images_are_told_together(folder: Path) -> None:
    for name in ("3.jpg", "7.png"):
        (folder / name).write_bytes(b"")
    assert [problem.split(": ")[0] for problem in undecodable(read_folder(folder.parent))] == [
        str(folder / "3.jpg"),
        str(folder / "7.png"),
    ]


def test_cmyk_jpeg(folder: Path, photo: Image.Image) -> None:
    photo.convert("CMYK").save(folder / "2.jpg", quality=100)
    image = read_image(folder / "2.jpg")
    assert image.mode == "RGB"
    assert close(image, photo, 12)


def test_grey_jpeg(folder: Path, photo: Image.Image) -> None:
    photo.convert("L").save(folder / "2.jpg", quality=100)
    pixels = np.asarray(read_image(folder / "2.jpg"))
    assert (pixels == pixels[..., :1]).all()
    assert close(Image.fromarray(pixels), photo.convert("L").convert("RGB"), 3)


def test_16_bit_colour_keeps_the_high_byte(folder: Path) -> None:
    values = np.array([[0x0000, 0x12FF, 0x1300, 0xFFFF]], dtype=">u2")
    rows = b"\0" + np.repeat(values[..., None], 3, axis=2).tobytes()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 4, 1, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (folder / "2.png").write_bytes(content)
    assert np.asarray(read_image(folder / "2.png"))[0, :, 1].tolist() == [0x00, 0x12, 0x13, 0xFF]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_the_first_frame_of_every_animation(folder: Path, photo: Image.Image, suffix: str) -> None:
    path = folder / f"2.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    photo.save(path, save_all=True, append_images=[Image.new("RGB", photo.size, (0, 255, 0))], duration=40, **options)
    with Image.open(path) as moving:
        assert moving.n_frames == 2
    assert close(read_image(path), photo, 0)
    assert undecodable(read_folder(folder.parent)) == []


def test_an_exif_rotated_image_is_upright_in_a_batch(folder: Path, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # as stored, to be turned clockwise
    photo.save(folder / "2.jpg", exif=exif, quality=100)
    pixels = ClassificationView(read_folder(folder.parent), ClassificationTestTransform(0, 40)).batch([(1, 0)]).images[0]
    red, blue = pixels[:, :12].float().mean((1, 2)), pixels[:, -12:].float().mean((1, 2))
    assert float(red[0]) > 200 > 50 > float(red[2])  # the left half came to the top
    assert float(blue[2]) > 200 > 50 > float(blue[0])


@pytest.mark.parametrize("transparency", [3, bytes([0, 128, 255])], ids=["one colour", "a table"])
def test_transparency_of_a_palette_is_dropped(folder: Path, transparency: int | bytes) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    index = np.random.default_rng(1).integers(0, 8, (6, 7), dtype=np.uint8)
    image = Image.fromarray(index)
    image.putpalette(colours.tobytes())
    image.save(folder / "2.png", transparency=transparency)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(np.asarray(read_image(folder / "2.png")), colours[index])


def test_an_empty_class_folder_is_named(folder: Path) -> None:
    (folder.parent / "dog").mkdir()
    with pytest.raises(DataError, match="data/dog: holds no image"):
        read_folder(folder.parent)


def test_a_folder_called_like_an_image_is_a_folder(folder: Path, photo: Image.Image) -> None:
    (folder / "2.jpg").mkdir()
    photo.save(folder / "2.jpg" / "inside.jpg")
    dataset = read_folder(folder.parent)
    assert [dataset.path(index).name for index in range(len(dataset))] == ["1.jpg", "inside.jpg", "9.jpg"]
    with pytest.raises(DataError, match=r"2\.jpg: cannot be read as an image: Is a directory"):
        read_image(folder / "2.jpg")


def test_a_dangling_link_is_named(folder: Path) -> None:
    (folder / "2.jpg").symlink_to(folder / "nowhere.jpg")
    assert undecodable(read_folder(folder.parent)) == [f"{folder / '2.jpg'}: no such image file"]


def test_classes_of_train_and_val_that_disagree(folder: Path, tmp_path: Path, photo: Image.Image) -> None:
    for name in ("cat", "cow"):
        (tmp_path / "val" / name).mkdir(parents=True)
        photo.save(tmp_path / "val" / name / "1.jpg")
    train = read_folder(folder.parent)
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path / "val", train.names)
    assert caught.value.problems == (
        f"{tmp_path / 'val'}: class 'cow' is not among the classes asked for (known: cat)",
        f"{tmp_path / 'val'}: only in the file: cow; only asked for: none",
    )
    # a class without images in val is none's mistake
    assert read_folder(folder.parent, ["cat", "cow"]).names == ("cat", "cow")
