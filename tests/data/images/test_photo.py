import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.images import jpeg
from resdet.data.images.photo import Photo
from resdet.data.loading.views import ClassificationView, DetectionView
from resdet.data.transforms.classification import ClassificationTrainTransform
from resdet.data.transforms.detection import DetectionTrainTransform
from resdet.data.transforms.sizes import random_area
from resdet.errors import DataError
from resdet.images import read_image

NAME = Path("photo.jpg")


def scene(height: int, width: int) -> Image.Image:
    """Soft colours, different at every place and in every direction."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(7 * x + 2 * y), np.cos(5 * y - x), np.sin(3 * x * y + 4 * y)]
    return Image.fromarray((127 + 100 * np.stack(waves, axis=2)).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(orientation: int) -> bytes:
    """A photo whose EXIF says how it was held."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(scene(240, 320), quality=95, exif=exif)


@pytest.fixture(params=["simplejpeg", "PIL"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Photos decoded by simplejpeg, and by PIL where that is not installed."""
    if request.param == "PIL":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    else:
        pytest.importorskip("simplejpeg")
    return request.param


def antialiased(image: Image.Image, box: tuple[float, ...], size: tuple[int, int]) -> np.ndarray:
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR, box)).astype(float)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0, 0, 641, 479), (479, 641)),
        ((0, 0, 641, 479), (200, 300)),
        ((101, 53, 581, 401), (100, 120)),
        ((17, 9, 640, 478), (60, 70)),
        ((200.5, 100.25, 300.75, 222.5), (224, 224)),
        ((640, 478, 641, 479), (8, 8)),
        ((0, 0, 1, 479), (479, 3)),
    ],
    ids=str,
)
def test_a_window_is_near_the_antialiased_one(decoder: str, box: tuple[float, ...], size: tuple[int, int]) -> None:
    image = scene(479, 641)
    found = Photo(NAME, encoded(image, quality=95)).window(box, size)
    assert (found.shape, found.dtype) == ((*size, 3), np.uint8)
    assert np.abs(found - antialiased(image, box, size)).mean() < 4


@pytest.mark.parametrize(("view", "side"), [(640, 640), (339, 640), (336, 320), (173, 320), (160, 160), (81, 80), (7, 80)])
def test_no_more_is_decoded_than_is_needed(decoder: str, view: int, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = Photo._decoded
    shapes = []
    monkeypatch.setattr(Photo, "_decoded", lambda *a: (found := decoded(*a), shapes.append(found[0].shape))[0])
    Photo(NAME, encoded(scene(640, 640))).window((0, 0, 640, 640), (view, view))
    assert shapes == [(side, side, 3)]


def test_rows_below_the_window_are_not_decoded(decoder: str) -> None:
    pixels, full = Photo(NAME, encoded(scene(640, 600)))._decoded(2, 0, 100.5)
    assert (pixels.shape, full) == (((64 if decoder == "simplejpeg" else 320), 300, 3), 320)


@settings(max_examples=200)
@given(st.integers(33, 500), st.sampled_from([0.8, 1.9, 3.8, 7.6]), st.integers(1, 9), st.data())
def test_the_window_is_that_of_the_whole_photo(height: int, shrink: float, side: int, data: st.DataObject) -> None:
    content = encoded(scene(height, 40))
    bottom = data.draw(st.floats(1, height))
    top = max(0.0, bottom - shrink * side)
    box, size = (0.0, top, 40.0, bottom), (side, max(1, int(40 / shrink)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "_place_of_height", lambda _: None)
        expected = Photo(NAME, content).window(box, size)
    assert np.array_equal(Photo(NAME, content).window(box, size), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_of_turned_photos(decoder: str, orientation: int) -> None:
    content = turned(orientation)
    upright = read_image(NAME, content)
    for box in ((10, 20, 60, 80), (100, 150, 200, 220)):
        assert np.abs(Photo(NAME, content).window(box, (50, 40)) - antialiased(upright, box, (50, 40))).mean() < 3


def test_a_window_that_ends_with_the_decoded_rows() -> None:
    content = encoded(scene(1001, 1600))
    assert Photo(NAME, content).window((0, 984, 1600, 992), (1, 200)).shape == (1, 200, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_upright(decoder: str, orientation: int) -> None:
    content = turned(orientation)
    upright = read_image(NAME, content)
    found = Photo(NAME, content)
    assert (found.width, found.height) == upright.size
    for size in ((found.height, found.width), (60, 50)):
        box = (0, 0, found.width, found.height)
        assert np.abs(found.window(box, size) - antialiased(upright, box, size)).mean() < 3


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def test_an_orientation_is_found_behind_other_segments(decoder: str) -> None:
    plain = encoded(scene(20, 30))
    text = b"\xff\xfe\xff\xfe" + b"\xff\xda" * 32766  # a comment that looks like the start of the pixels
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + XMP
    content = plain[:2] + text + b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp + plain[2:]
    assert read_image(NAME, content).size == (20, 30)
    assert (Photo(NAME, content).width, Photo(NAME, content).height) == (20, 30)


@pytest.mark.parametrize("kind", ["grey", "cmyk", "progressive", "png", "palette"])
def test_every_kind_of_pixels(decoder: str, kind: str) -> None:
    image = scene(64, 96)
    content = {
        "grey": lambda: encoded(image.convert("L"), quality=95),
        "cmyk": lambda: encoded(image.convert("CMYK"), quality=95),
        "progressive": lambda: encoded(image, quality=95, progressive=True),
        "png": lambda: encoded(image, "PNG"),
        "palette": lambda: encoded(image.convert("P"), "PNG"),
    }[kind]()
    whole = np.asarray(read_image(NAME, content)).astype(float)
    assert np.abs(Photo(NAME, content).window((0, 0, 96, 64), (64, 96)) - whole).mean() < 2


@pytest.mark.parametrize(
    "damage",
    [lambda d: d[: len(d) // 2], lambda d: d[:-2], lambda d: d[:300], lambda d: b"", lambda d: d[:2], lambda d: b"text"],
)
def test_broken_files_are_told_as_they_are_told_of_images(decoder: str, damage) -> None:
    content = damage(encoded(scene(200, 300)))
    with pytest.raises(DataError) as expected:
        read_image(NAME, content)
    with pytest.raises(DataError) as found:
        Photo(NAME, content).window((0, 0, 300, 200), (200, 300))
    assert found.value.problems == expected.value.problems


def test_what_simplejpeg_refuses_pil_may_read() -> None:
    pytest.importorskip("simplejpeg")
    content = encoded(scene(64, 64))
    junk = content[:-2] + b"\x00\x01" + content[-2:]  # bytes before the end, of which decoders warn
    with pytest.raises(ValueError, match="xtraneous bytes"):
        jpeg.simplejpeg.decode_jpeg(junk)
    assert np.asarray(read_image(NAME, junk)).shape == (64, 64, 3)
    assert np.abs(Photo(NAME, junk).window((0, 0, 64, 64), (64, 64)) - np.asarray(scene(64, 64)).astype(float)).mean() < 4


def test_a_bomb_is_refused(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(scene(60, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with (
        pytest.raises(DataError, match="60 x 60 pixels, more than 3000 are not safe"),
        pytest.warns(Image.DecompressionBombWarning),
    ):
        Photo(NAME, content).window((0, 0, 60, 60), (60, 60))


@settings(max_examples=50)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([(0.08, 1.0), (0.3, 0.31), (1.0, 1.0)]), st.integers(0, 2**31))
def test_windows_are_drawn_as_torchvision_draws_them(height: int, width: int, area: tuple[float, float], seed: int) -> None:
    torch.manual_seed(seed)
    expected = v2.RandomResizedCrop(8, scale=area).make_params([torch.zeros(3, height, width)])
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    left, top, right, bottom = random_area((height, width), area)
    assert {"top": top, "left": left, "height": bottom - top, "width": right - left} == expected
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "classes" / "a").mkdir(parents=True)
    for number, size in enumerate([(375, 500), (480, 640), (900, 700), (120, 1000)]):
        scene(*size).save(tmp_path / "classes" / "a" / f"{number}.jpg", quality=95)
    return tmp_path / "classes"


@pytest.mark.parametrize(
    "transform",
    [
        ClassificationTrainTransform(112, (), 0, 0.5, 0.0, crop_from="area"),
        ClassificationTrainTransform(112, (112, 300), 0, 0.5, 0.1),
        ClassificationTrainTransform(112, (), 0, 0.5, 0.0),
        ClassificationTrainTransform(112, (), 4, 0.5, 0.0, crop_from="area"),
    ],
)
def test_fast_training_shows_the_same_windows(photos: Path, transform: ClassificationTrainTransform) -> None:
    dataset = read_folder(photos)
    keys = [(index, draw) for draw, index in enumerate([0, 1, 2, 3] * 5)]
    exact, fast = (ClassificationView(dataset, transform, 3, fast=fast).batch(keys) for fast in (False, True))
    assert fast.images.shape == exact.images.shape
    assert (fast.images.float() - exact.images.float()).abs().mean((1, 2, 3)).max() < 6
    wrong = ClassificationView(dataset, transform, 4, fast=True).batch(keys)
    assert (wrong.images.float() - exact.images.float()).abs().mean() > 8


def test_fast_training_of_an_image_too_small_is_told_alike(photos: Path) -> None:
    view = ClassificationView(read_folder(photos), ClassificationTrainTransform(200, (), 0, 0.5, 0.0), fast=True)
    with pytest.raises(DataError, match=r"3\.jpg: 1000 x 120 pixels are less than the crop of 200; set data.short_side"):
        view.batch([(3, 0)])


@pytest.mark.parametrize("jitter", [False, True])
def test_fast_detection_shows_the_same_images_and_boxes(tiny_coco, jitter: bool) -> None:
    content = tiny_coco.read()
    for entry in content["images"]:
        file = tiny_coco.images / entry["file_name"]
        image = Image.open(file).resize((entry["width"] * 8, entry["height"] * 8))
        entry |= {"file_name": file.with_suffix(".jpg").name, "width": image.width, "height": image.height}
        image.save(file.with_suffix(".jpg"), quality=95)
    for entry in content["annotations"]:
        entry["bbox"] = [8 * value for value in entry["bbox"]]
    tiny_coco.write(content)
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    transform = DetectionTrainTransform((40, 100, 200, 500), 600, 0.5)
    if jitter:
        from resdet.data.transforms.augmentation import build_augmentation

        transform = DetectionTrainTransform((40, 100), 600, 0.5, augmentation=build_augmentation(["RandomHorizontalFlip"]))
    keys = [(draw % 6, draw) for draw in range(18)]
    exact, fast = (DetectionView(dataset, transform, 1, fast=fast).batch(keys) for fast in (False, True))
    for one, other in zip(exact.images, fast.images, strict=True):
        assert one.shape == other.shape
        assert (one.float() - other.float()).abs().mean() < 6
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(exact.targets, fast.targets, strict=True))
    assert exact.original_sizes == fast.original_sizes


def test_a_photo_of_another_size_than_annotated_is_named(tiny_coco) -> None:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    Image.new("RGB", (10, 20)).save(dataset.path(0))
    with pytest.raises(DataError, match="is 10 x 20 pixels, its annotation says 64 x 48"):
        dataset.photo(0)
    dataset.path(1).unlink()
    with pytest.raises(DataError, match="no such image file"):
        dataset.photo(1)


@pytest.mark.real
def test_real_photos_look_alike(shared_data: Path) -> None:
    pytest.importorskip("simplejpeg")
    files = sorted((shared_data / "imagenet_val100").rglob("*.JPEG"))
    assert len(files) == 100
    transform = ClassificationTrainTransform(224, (), 0, 0.5, 0.0, crop_from="area")
    distances = []
    for number, file in enumerate(files[::4]):
        torch.manual_seed(number)
        exact = transform(read_image(file)).float()
        torch.manual_seed(number)
        distances.append(float((transform(Photo(file, file.read_bytes())).float() - exact).abs().mean()))
    assert max(distances) < 16
    assert sum(distances) / len(distances) < 5
