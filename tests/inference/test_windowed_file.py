"""Windows of a file are the pixels that decoding it whole gives."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_detectors import picture, same, tiny_detector

from resdet.errors import DataError
from resdet.images import read_image
from resdet.inference import windowed_file
from resdet.inference.detector import Detector
from resdet.inference.tiles import Tiles
from resdet.inference.windowed_file import open_windows

pyvips = pytest.importorskip("pyvips", reason="the extra 'large' is not installed", exc_type=ImportError)

SIZE = (230, 310)  # height, width
FORMS = {
    "strips.tif": {"compression": "tiff_lzw"},
    "plain.tif": {},
    "grey.tif": {"compression": "tiff_lzw"},
    "alpha.png": {},
    "photo.jpg": {"quality": 90},
}


def photo(height: int, width: int) -> Image.Image:
    return Image.fromarray(picture(1, height, width).permute(1, 2, 0).numpy())


def save(path: Path, name: str) -> Path:
    mode = {"grey.tif": "L", "alpha.png": "RGBA"}.get(name, "RGB")
    photo(*SIZE).convert(mode).save(path / name, **FORMS[name])
    return path / name


@pytest.mark.parametrize("name", [*FORMS, "tiles.tif"])
def test_windows_are_the_pixels_of_the_whole(name: str, tmp_path: Path) -> None:
    if name == "tiles.tif":
        pixels = pyvips.Image.new_from_array(np.asarray(photo(*SIZE)))
        pixels.tiffsave(str(tmp_path / name), tile=True, tile_width=64, tile_height=64, compression="deflate")
    path = tmp_path / name if name == "tiles.tif" else save(tmp_path, name)
    whole, found = read_image(path), open_windows(path, least=0)
    assert found is not None
    assert (found.height, found.width) == SIZE
    for box in ((200, 100, 310, 230), (0, 0, 64, 64), (63, 5, 70, 230), (0, 0, 310, 230), (17, 90, 18, 91)):
        assert (np.asarray(found.crop(box)) == np.asarray(whole.crop(box))).all()


@pytest.mark.parametrize("name", ["caf\udce9.png", "[page=2].png", "漢.png", "a:b,c.png"])
def test_names_of_any_bytes(name: str, tmp_path: Path) -> None:
    try:
        photo(*SIZE).save(tmp_path / name)
    except (OSError, UnicodeError):
        pytest.skip("this system has no such name")
    found = open_windows(tmp_path / name, least=0)
    assert found is not None
    assert found.crop((3, 4, 9, 8)).size == (6, 4)


def test_the_overview_is_the_mean_of_squares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed_file, "_OVERVIEW", 77)  # 310 // 77: four times smaller
    found = open_windows(save(tmp_path, "strips.tif"), least=0)
    assert found is not None
    small = np.asarray(found.overview()).astype(float)
    pixels = np.asarray(photo(*SIZE)).astype(float)[:228, :308]
    expected = pixels.reshape(57, 4, 77, 4, 3).mean((1, 3))
    # rounded to whole numbers in each direction
    assert np.abs(small[:57, :77] - expected).max() <= 1


def test_tiles_of_a_file_find_what_tiles_in_memory_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, "strips.tif")
    detector = Detector(tiny_detector(), short_side=64, max_side=96, tiles=Tiles(128))
    with torch.inference_mode():
        expected = detector.predict(path)
        monkeypatch.setattr(windowed_file, "_LARGE", 0)
        monkeypatch.setattr("resdet.inference.sources.to_image", lambda *_: pytest.fail("decoded whole"))
        monkeypatch.setattr("resdet.inference.sources.open_windows", lambda source: open_windows(source, least=0))
        found = detector.predict(path)
    assert len(found) > 3
    assert (found.size, found.path) == (SIZE, str(path))
    assert same(found, expected)


def test_an_overview_s_boxes_are_in_pixels_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed_file, "_OVERVIEW", 155)
    monkeypatch.setattr("resdet.inference.sources.open_windows", lambda source: open_windows(source, least=0))
    detector = Detector(tiny_detector(), short_side=64, max_side=96, tiles=Tiles(1000))  # one window: the overview alone
    found = detector.predict(save(tmp_path, "strips.tif"))
    assert found.size == SIZE
    assert len(found) > 0
    assert float(found.boxes[:, 2].max()) > 155  # beyond the overview's own pixels
    assert bool((found.boxes <= torch.tensor([310.0, 230, 310, 230])).all())


def test_what_is_decoded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_windows(save(tmp_path, "strips.tif")) is None  # small
    Image.fromarray(np.zeros((9, 9), np.float32)).save(tmp_path / "floats.tif")
    photo(9, 12).save(tmp_path / "progressive.jpg", progressive=True)
    pyvips.Image.black(9, 12, bands=3).pngsave(str(tmp_path / "interlaced.png"), interlace=True)
    photo(9, 12).convert("CMYK").save(tmp_path / "ink.tif")
    photo(9, 12).save(tmp_path / "other.bmp")
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "broken.tif").write_bytes(b"II*\0nothing")
    for name in (
        "floats.tif",
        "progressive.jpg",
        "interlaced.png",
        "ink.tif",
        "other.bmp",
        "empty.tif",
        "broken.tif",
        "none.tif",
    ):
        assert open_windows(tmp_path / name, least=0) is None, name
    assert open_windows(tmp_path, least=0) is None
    monkeypatch.setitem(sys.modules, "pyvips", None)
    assert open_windows(tmp_path / "strips.tif", least=0) is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_of_a_turned_picture(orientation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(24, 36).save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    whole, found = read_image(tmp_path / "a.jpg"), open_windows(tmp_path / "a.jpg", least=0)
    assert found is not None
    assert (found.width, found.height) == whole.size
    assert (np.asarray(found.crop((3, 5, 20, 22))) == np.asarray(whole.crop((3, 5, 20, 22)))).all()
    monkeypatch.setattr(windowed_file, "_OVERVIEW", 12)  # three times smaller
    assert found.overview().size == (whole.width // 3, whole.height // 3)
    small = np.asarray(whole.reduce(3)).astype(float)
    assert np.abs(np.asarray(found.overview()) - small).max() <= 1


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "rgb.png", "both.png"])
def test_windows_of_16_bits(name: str, tmp_path: Path) -> None:
    bands = {"grey": 1, "both": 2, "rgb": 3}[name.partition(".")[0]]
    values = np.random.default_rng(0).integers(0, 65536, (24, 36, bands), np.uint16)
    kind = "grey16" if bands < 3 else "rgb16"
    pyvips.Image.new_from_array(values, interpretation=kind).write_to_file(str(tmp_path / name))
    found = open_windows(tmp_path / name, least=0)
    assert found is not None
    assert (np.asarray(found.crop((0, 0, 36, 24))) == np.asarray(read_image(tmp_path / name))).all()


def test_a_crop_of_more_pixels_than_are_wanted_is_a_smaller_copy(tmp_path: Path) -> None:
    found = open_windows(save(tmp_path, "strips.tif"), least=0)
    assert found is not None
    assert found.crop((0, 0, 200, 100)).size == (200, 100)
    assert found.crop((0, 0, 100, 50), 5000).size == (100, 50)
    assert found.crop((0, 0, 200, 100), 5000).size == (100, 50)  # of 20,000 pixels
    assert found.crop((10, 20, 310, 230), 5000).size == (75, 53)


def test_png_and_jpeg_of_any_size_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [save(tmp_path, name) for name in ("photo.jpg", "alpha.png", "strips.tif")]
    monkeypatch.setattr(windowed_file, "_UNPACKED", SIZE[0] * SIZE[1] - 1)
    assert [open_windows(path, least=0) is None for path in files] == [True, True, False]


def test_what_fits_no_memory_is_told_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed_file, "_WHOLE", 24 * 36)
    monkeypatch.setattr("resdet.inference.sources.to_image", lambda *_: pytest.fail("decoded whole"))
    photo(24, 37).save(tmp_path / "a.bmp")
    detector = Detector(tiny_detector(), short_side=64, max_side=96, tiles=Tiles(128))
    with pytest.raises(DataError, match=r"a\.bmp: has 37 x 24 pixels; more than 864 are read in windows of TIFF, JPEG and PNG"):
        detector.predict(tmp_path / "a.bmp")
    monkeypatch.undo()
    assert detector.predict(tmp_path / "a.bmp").size == (24, 37)


def test_a_truncated_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, "photo.jpg")
    path.write_bytes(path.read_bytes()[:-3000])
    monkeypatch.setattr("resdet.inference.sources.open_windows", lambda source: open_windows(source, least=0))
    detector = Detector(tiny_detector(), short_side=64, max_side=96, tiles=Tiles(128))
    with pytest.raises(DataError, match=r"photo\.jpg: cannot be read as an image"):
        detector.predict(path)
