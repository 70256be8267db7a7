import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from resdet.data.transforms.classification import ClassificationTestTransform, ClassificationTrainTransform
from resdet.data.transforms.detection import DetectionTestTransform, DetectionTrainTransform
from resdet.data.transforms.lighting import ColorComponents
from resdet.data.transforms.localization import LocalizationTrainTransform
from resdet.data.transforms.sizes import random_area, resize_short_side, resized_size
from resdet.errors import DataError
from resdet.structures import Target

SIDES = st.integers(1, 3000)


@pytest.mark.parametrize(
    ("size", "short", "longest", "expected"),
    [
        ((480, 640), 600, 1000, (600, 800)),
        ((640, 480), 600, 1000, (800, 600)),
        ((300, 900), 600, 1000, (333, 1000)),
        ((600, 800), 600, 1000, (600, 800)),
        ((375, 500), 600, 1000, (600, 800)),
        ((1, 1000), 600, 1000, (1, 1000)),
        ((3, 5), 4, 100, (4, 7)),  # 6.67 up
    ],
)
def test_resized_size(size: tuple[int, int], short: int, longest: int, expected: tuple[int, int]) -> None:
    assert resized_size(size, short, longest) == expected


@given(SIDES, SIDES, st.integers(16, 1200), st.integers(16, 1500))
def test_resized_size_keeps_the_shape(height: int, width: int, short: int, longest: int) -> None:
    new = resized_size((height, width), short, longest)
    assert max(new) <= longest or min(new) <= short
    assert max(new) <= longest
    assert min(new) <= short
    scale = min(short / min(height, width), longest / max(height, width))
    assert all(abs(side - max(1, old * scale)) <= 0.5 + 1e-6 for side, old in zip(new, (height, width), strict=True))


def painted(height: int, width: int, box: tuple[int, int, int, int]) -> tuple[Image.Image, Target]:
    pixels = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 255
    target = Target(torch.tensor([box], dtype=torch.float32), torch.tensor([0]), (height, width), image_id=7, path="p.jpg")
    return Image.fromarray(pixels), target


def found(image: torch.Tensor) -> torch.Tensor:
    """The edges of the painted box to a fraction of a pixel: its light in the middle row and column, as a box."""
    light = image[0].float() / 255
    rows, columns = light.max(1).values, light.max(0).values
    edges = []
    for line in (columns, rows):
        bright = (line > 0.5).nonzero()[:, 0]
        edges.append((float(bright[0]), float(bright[-1]) + 1))
    (x1, x2), (y1, y2) = edges
    return torch.tensor([x1, y1, x2, y2])


@given(st.data(), st.integers(40, 120), st.integers(40, 120), st.integers(30, 150), st.integers(0, 1))
def test_boxes_follow_the_pixels(data: st.DataObject, height: int, width: int, short: int, flip: int) -> None:
    x1, y1 = data.draw(st.integers(0, width - 12)), data.draw(st.integers(0, height - 12))
    x2, y2 = data.draw(st.integers(x1 + 8, width)), data.draw(st.integers(y1 + 8, height))
    image, target = DetectionTrainTransform((short,), 200, float(flip))(*painted(height, width, (x1, y1, x2, y2)))
    assert image.dtype == torch.uint8
    assert image.shape == (3, *target.size)
    assert target.size == resized_size((height, width), short, 200)
    assert (target.image_id, target.path) == (7, "p.jpg")
    # half a pixel: where an edge falls between two, the brighter one counts
    assert (found(image) - target.boxes[0]).abs().max() <= 0.75


@given(st.integers(20, 60), st.integers(20, 60), st.integers(0, 10), st.integers(0, 10))
def test_a_flip_is_its_own_inverse_and_keeps_areas(height: int, width: int, x: int, y: int) -> None:
    image, target = painted(height, width, (x, y, x + 9, y + 5))
    flip = DetectionTrainTransform((min(height, width),), 100, 1.0)
    once_image, once = flip(image, target)
    assert once.boxes.tolist() == [[width - x - 9, y, width - x, y + 5]]
    twice_image, twice = flip(Image.fromarray(once_image.permute(1, 2, 0).numpy()), once)
    assert torch.equal(twice.boxes, target.boxes)
    assert np.array_equal(twice_image.permute(1, 2, 0).numpy(), np.asarray(image))


def test_short_sides_are_drawn_from_the_list() -> None:
    torch.manual_seed(0)
    transform = DetectionTrainTransform((32, 48, 64), 1000, 0.5)
    sizes = [transform(*painted(50, 60, (1, 2, 30, 40)))[1].size for _ in range(60)]
    assert {min(size) for size in sizes} == {32, 48, 64}


@pytest.mark.parametrize("drawn", [0.0, 0.25, 0.5, 1 - 2**-24])
def test_a_flip_has_its_probability_to_the_last_number_that_is_drawn(drawn: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """``torch.rand`` draws from [0, 1): never 1, but 0 at times."""
    image, target = painted(20, 20, (0, 0, 10, 10))  # the flip has its light on the right
    monkeypatch.setattr(torch, "rand", lambda _: torch.tensor(drawn))
    for hflip in (0.0, 0.25, 0.5, 1.0):
        flips = drawn < hflip
        detected, moved = DetectionTrainTransform((20,), 100, hflip)(image, target)
        classified = ClassificationTrainTransform(20, (), 0, hflip, 0.0)(image)
        localized, seen = LocalizationTrainTransform(20, (), hflip, 0.0)(image, target.boxes)
        for pixels in (detected, classified, localized):
            assert (pixels[0, 0, 0], pixels[0, 0, 19]) == ((0, 255) if flips else (255, 0))
        for boxes in (moved.boxes, seen):
            assert boxes.tolist() == [[10, 0, 20, 10] if flips else [0, 0, 10, 10]]


def test_what_has_a_default_is_given_by_name() -> None:
    with pytest.raises(TypeError, match="positional"):
        DetectionTrainTransform((32,), 100, 0.5, True)  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional"):
        ClassificationTrainTransform(24, (), 0, 0.5, 0.1, "area")  # type: ignore[misc]


def test_detection_test_transform_is_pils_bilinear_filter() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (37, 53, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    empty = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (37, 53))
    tensor, target = DetectionTestTransform(20, 100)(image, empty)
    expected = np.asarray(image.resize((29, 20), Image.Resampling.BILINEAR))
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), expected)
    assert target.boxes.shape == (0, 4)
    assert target.size == (20, 29)


def test_classification_test_transform() -> None:
    pixels = np.arange(10 * 14 * 3, dtype=np.uint8).reshape(10, 14, 3)
    plain = ClassificationTestTransform(0, 6)(Image.fromarray(pixels))
    assert np.array_equal(plain.permute(1, 2, 0).numpy(), pixels[2:8, 4:10])
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 150, 3), dtype=np.uint8))
    resized = np.asarray(image.resize((75, 50), Image.Resampling.BILINEAR))
    crop = ClassificationTestTransform(50, 40)(image)
    assert np.array_equal(crop.permute(1, 2, 0).numpy(), resized[5:45, 18:58])


@given(st.integers(0, 2**31), st.integers(0, 4), st.integers(4, 12))
def test_a_training_crop_is_a_window_of_the_padded_image(seed: int, pad: int, crop: int) -> None:
    torch.manual_seed(seed)
    pixels = np.random.default_rng(1).integers(1, 255, (12, 14, 3), dtype=np.uint8)
    result = ClassificationTrainTransform(crop, (), pad, 0.5, 0.0)(Image.fromarray(pixels)).permute(1, 2, 0).numpy()
    padded = np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (crop, crop, 3)).reshape(-1, crop, crop, 3)
    assert any(np.array_equal(window, result) or np.array_equal(window[:, ::-1], result) for window in windows)


def test_the_training_crop_reaches_every_place_and_both_flips() -> None:
    torch.manual_seed(0)
    pixels = np.arange(9, dtype=np.uint8).reshape(3, 3, 1).repeat(3, 2)
    transform = ClassificationTrainTransform(2, (), 0, 0.5, 0.0)
    seen = {tuple(transform(Image.fromarray(pixels))[0].flatten().tolist()) for _ in range(300)}
    assert len(seen) == 8


def test_training_resize_is_drawn_between_its_ends() -> None:
    torch.manual_seed(0)
    transform = ClassificationTrainTransform(24, (24, 26), 0, 0.5, 0.1)
    assert {tuple(transform(Image.new("RGB", (60, 48))).shape) for _ in range(30)} == {(3, 24, 24)}


def test_an_image_smaller_than_the_crop_is_refused() -> None:
    with pytest.raises(DataError, match=r"12 x 10 pixels are less than the crop of 20; set data.short_side"):
        ClassificationTrainTransform(20, (), 2, 0.5, 0.0)(Image.new("RGB", (8, 6)))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 60))
def test_resizing_by_the_shorter_side_is_torchvisions(height: int, width: int, short_side: int) -> None:
    image = Image.fromarray(np.random.default_rng(2).integers(0, 255, (height, width, 3), dtype=np.uint8))
    resized = F.pil_to_tensor(resize_short_side(image, short_side))
    expected = v2.Resize(short_side, antialias=True)(image) if short_side else image
    assert np.array_equal(resized.permute(1, 2, 0).numpy(), np.asarray(expected))
    if short_side:
        crop = ClassificationTestTransform(short_side, short_side)(image)
        assert torch.equal(crop, F.center_crop(resized, [short_side, short_side]))


@given(st.integers(0, 2**31), st.integers(0, 3), st.sampled_from([(0.08, 1.0), (0.5, 0.6), (1.0, 1.0)]))
def test_a_crop_by_area_is_torchvisions(seed: int, pad: int, area: tuple[float, float]) -> None:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 255, (40, 50, 3), dtype=np.uint8))
    torch.manual_seed(seed)
    found = ClassificationTrainTransform(24, (500, 500), pad, 0.5, 0.0, crop_from="area", area=area)(image)
    torch.manual_seed(seed)
    oracle = v2.Compose(
        [
            v2.Pad(pad),
            v2.RandomResizedCrop(24, scale=area, ratio=(3 / 4, 4 / 3), interpolation=v2.InterpolationMode.BILINEAR),
            v2.PILToTensor(),
        ]
    )
    expected = oracle(image)
    if torch.rand(()) < 0.5:
        expected = expected.flip(-1)
    assert torch.equal(found, expected)
    assert found.is_contiguous()


@pytest.mark.parametrize("size", [(40, 50), (4, 60), (61, 4), (1, 1), (1, 50), (30, 7)], ids=str)
@pytest.mark.parametrize("area", [(0.08, 1.0), (0.9, 1.0), (1.0, 1.0)], ids=str)
def test_windows_by_area_are_torchvisions_too_where_none_fits(size: tuple[int, int], area: tuple[float, float]) -> None:
    oracle = v2.RandomResizedCrop(24, scale=area, ratio=(3 / 4, 4 / 3))
    for seed in range(20):
        torch.manual_seed(seed)
        window = random_area(size, area)
        torch.manual_seed(seed)
        expected = oracle.make_params([torch.zeros(3, *size)])
        left, top = expected["left"], expected["top"]
        assert window == (left, top, left + expected["width"], top + expected["height"])
        assert all(type(side) is int for side in window)


def test_a_crop_by_area_of_a_small_image_is_enlarged() -> None:
    assert ClassificationTrainTransform(24, (), 0, 0.5, 0.1, crop_from="area")(Image.new("RGB", (3, 2))).shape == (3, 24, 24)


def test_the_noise_is_along_the_components_given() -> None:
    torch.manual_seed(0)
    green = ColorComponents((0.0, 5.0, 0.0), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    view = ClassificationTrainTransform(8, (), 0, 0.0, 0.1, pca=green)(Image.new("RGB", (8, 8), (100, 100, 100)))
    assert (view[0] == 100).all()
    assert (view[2] == 100).all()
    assert (view[1] != 100).all()
