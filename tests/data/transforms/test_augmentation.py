from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from resdet.data.loading.randomness import seed_generators
from resdet.data.transforms.augmentation import TRANSFORMS, Augmentation, build_augmentation
from resdet.data.transforms.detection import DetectionTestTransform, DetectionTrainTransform
from resdet.errors import ConfigError, DataError
from resdet.structures import Target

ARGUMENTS = {
    "CenterCrop": {"size": 40},
    "GaussianBlur": {"kernel_size": 3},
    "JPEG": {"quality": [20, 50]},
    "Pad": {"padding": 9},
    "RandomAdjustSharpness": {"sharpness_factor": 2, "p": 1.0},
    "RandomAffine": {"degrees": 20, "translate": [0.2, 0.2], "scale": [0.7, 1.4]},
    "RandomCrop": {"size": [50, 60], "pad_if_needed": True},
    "RandomPosterize": {"bits": 3},
    "RandomResize": {"min_size": 40, "max_size": 90},
    "RandomResizedCrop": {"size": [50, 60]},
    "RandomRotation": {"degrees": 30},
    "RandomShortestSize": {"min_size": 70},
    "RandomSolarize": {"threshold": 100},
    "Resize": {"size": 50},
    "ScaleJitter": {"target_size": [70, 70]},
}
GEOMETRIC = ("CenterCrop", "Pad", "RandomCrop", "RandomHorizontalFlip", "RandomIoUCrop", "RandomResize", "RandomResizedCrop")
GEOMETRIC += ("RandomShortestSize", "RandomVerticalFlip", "RandomZoomOut", "Resize", "ScaleJitter")


def build(name: str, **arguments: object) -> Augmentation:
    return build_augmentation([{"name": name, **ARGUMENTS.get(name, {}), **arguments}])


def painted(boxes: list[list[int]], size: tuple[int, int] = (72, 96)) -> Image.Image:
    """Every box in a colour channel of its own on black."""
    pixels = np.zeros((*size, 3), np.uint8)
    for channel, (x1, y1, x2, y2) in enumerate(boxes):
        pixels[y1:y2, x1:x2, channel] = 255
    return Image.fromarray(pixels)


def target(boxes: list[list[float]], size: tuple[int, int] = (72, 96), ignore: list[bool] | None = None) -> Target:
    count = len(boxes)
    flags = torch.tensor(ignore or [False] * count, dtype=torch.bool)
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Target(rows, torch.arange(count), size, image_id=3, path="p.jpg", ignore=flags)


def seen(image: Image.Image, channel: int) -> list[int]:
    """The tight box of the light pixels of a channel; [] where there are none."""
    rows, columns = (np.asarray(image)[..., channel] > 127).nonzero()
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else []


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_name_of_the_list_gives_a_picture_and_boxes_inside_it(name: str) -> None:
    boxes = [[5, 6, 50, 60], [40, 20, 90, 70]]
    augmentation = build(name)
    for seed in range(8):
        seed_generators(1, seed)
        image, found, proposals = augmentation(painted(boxes), target(boxes), torch.tensor(boxes, dtype=torch.float32))
        assert (image.mode, found.size) == ("RGB", (image.height, image.width))
        assert len(found.labels) == len(found.boxes) == len(found.ignore)
        for rows in (found.boxes, proposals):
            assert rows.dtype == torch.float32
            assert (rows >= 0).all()
            assert (rows <= torch.tensor([image.width, image.height] * 2)).all()
            assert ((rows[:, 2:] - rows[:, :2]) >= 1).all()


@pytest.mark.parametrize("name", GEOMETRIC)
def test_boxes_labels_flags_and_proposals_move_with_the_pixels(name: str) -> None:
    boxes = [[4, 5, 34, 30], [50, 8, 92, 40], [20, 44, 60, 70]]
    flags = [False, True, False]
    augmentation = build(name)
    changed = 0
    for seed in range(30):
        seed_generators(0, seed)
        rows = torch.tensor(boxes, dtype=torch.float32)
        image, found, proposals = augmentation(painted(boxes), target(boxes, ignore=flags), rows)
        by_label = dict(zip(found.labels.tolist(), found.boxes.tolist(), strict=True))
        assert found.ignore.tolist() == [flags[label] for label in found.labels.tolist()]
        for label in range(3):
            light = seen(image, label)
            if label in by_label and light:
                assert np.abs(np.array(light) - by_label[label]).max() <= 1.01, (name, seed)
            elif label not in by_label and name != "RandomIoUCrop":  # which drops what has its centre outside
                assert not light or min(light[2] - light[0], light[3] - light[1]) <= 2, (name, seed)
        # the same boxes as proposals: each object that is left has its own among them
        gaps = [min((abs(row - torch.tensor(box)).max().item() for row in proposals), default=9) for box in by_label.values()]
        assert max(gaps, default=0) < 1e-3, (name, seed)
        changed += image.size != (96, 72) or found.boxes.tolist() != boxes
    assert changed or name == "Pad"


@given(st.integers(0, 2**20), st.sampled_from([v2.RandomHorizontalFlip, v2.RandomResizedCrop, v2.RandomIoUCrop]))
def test_without_proposals_it_is_torchvisions(seed: int, kind: type[v2.Transform]) -> None:
    from torchvision import tv_tensors

    boxes = [[4, 5, 34, 30], [50, 8, 92, 40]]
    transform = kind(size=[40, 50]) if kind is v2.RandomResizedCrop else kind()
    seed_generators(0, seed)
    image, found, _ = Augmentation((transform,))(painted(boxes), target(boxes), torch.zeros(0, 4))
    seed_generators(0, seed)
    oracle = v2.Compose(
        [transform, v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(min_size=1, labels_getter=lambda s: s[2])]
    )
    rows = tv_tensors.BoundingBoxes(torch.tensor(boxes, dtype=torch.float32), format="XYXY", canvas_size=(72, 96))
    expected_image, expected_boxes, expected_labels = oracle((painted(boxes), rows, torch.arange(2)))
    assert np.array_equal(np.asarray(image), np.asarray(expected_image))
    assert torch.equal(found.boxes, expected_boxes.as_subclass(torch.Tensor))
    assert found.labels.tolist() == expected_labels.tolist()


@pytest.mark.parametrize("name", ["RandomIoUCrop", "RandomZoomOut", "RandomResizedCrop", "RandomAffine", "RandomRotation"])
def test_proposals_do_not_change_what_is_drawn(name: str) -> None:
    boxes = [[4, 5, 34, 30], [50, 8, 92, 40]]
    corners = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) * 40
    for seed in range(10):
        found = []
        for proposals in (torch.zeros(0, 4), torch.cat([corners, corners + 20], dim=1)):
            seed_generators(0, seed)
            image, changed, _ = build(name)(painted(boxes), target(boxes), proposals)
            found.append((image.tobytes(), changed.labels.tolist(), changed.boxes))
        assert found[0][:2] == found[1][:2]
        # a turned box is a product of matrices, which a CPU may round otherwise where there are more rows: a few of 96 / 2^23
        torch.testing.assert_close(found[0][2], found[1][2], rtol=0, atol=1e-4)


def test_an_image_whose_last_object_is_cropped_away_is_one_without_objects() -> None:
    augmentation = build("CenterCrop", size=20)
    image, found, proposals = augmentation(
        painted([]), target([[0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 10], [30, 20, 60, 50]])
    )
    assert image.size == (20, 20)
    assert (found.boxes.shape, found.labels.shape, found.ignore.shape) == ((0, 4), (0,), (0,))
    assert proposals.tolist() == [[0, 0, 20, 20]]


def test_slivers_below_a_pixel_are_left_out() -> None:
    # the crop is x, y in [38, 58) × [26, 46)
    boxes = [[38.0 - 10, 30, 38.9, 40], [28.0, 30, 39.0, 40]]
    _, found, _ = build("CenterCrop", size=20)(painted([]), target(boxes), torch.zeros(0, 4))
    assert found.labels.tolist() == [1]
    assert found.boxes.tolist() == [[0, 4, 1, 14]]


def test_it_depends_on_the_seed_alone() -> None:
    boxes = [[4, 5, 34, 30]]
    augmentation = build_augmentation(
        ["RandomPhotometricDistort", {"name": "RandomIoUCrop"}, {"name": "RandomZoomOut", "p": 0.9}]
    )
    pictures = []
    for _ in range(2):
        random.seed()
        seed_generators(5, 7)
        image, found, _ = augmentation(painted(boxes), target(boxes), torch.zeros(0, 4))
        pictures.append((image.tobytes(), found.boxes.tolist()))
    assert pictures[0] == pictures[1]


BAD = [
    (["Mirror"], r"option 'data.transforms\[0\]': 'Mirror' is no transform for images and boxes \(known: "),
    (["RandomHorizontalFip"], r"did you mean 'RandomHorizontalFlip'\?"),
    (["CutMix"], "'CutMix' is no transform for images and boxes"),
    (["__import__"], "'__import__' is no transform"),
    ([{"p": 0.5}], r"must be a name of torchvision.transforms.v2 with arguments, \{name: …\}, got \{'p': 0.5\}"),
    ([7], "must be a name of torchvision.transforms.v2 with arguments"),
    ([{"name": "RandomVerticalFlip", "q": 1}], "RandomVerticalFlip has no argument 'q'"),
    ([{"name": "RandomResizedCrop", "sise": 5}], r"no argument 'sise' \(did you mean 'size'\?\)\n.*needs the argument 'size'"),
    ([{"name": "RandomVerticalFlip", "p": 2}], r"RandomVerticalFlip: .*interval \[0.0, 1.0\].*; got {'p': 2}"),
    ([{"name": "ColorJitter", "brightness": "a lot"}], "ColorJitter: .*; got {'brightness': 'a lot'}"),
    ([{"name": "Resize", "size": 5, "interpolation": "best"}], "Resize: 'best' is not a valid InterpolationMode"),
    (["Nothing", "RandomInvert", "None"], r"transforms\[0\]'.*\n.*transforms\[2\]'"),
]


@pytest.mark.parametrize(("entries", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_a_wrong_list_is_told_in_words(entries: list[object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_augmentation(entries)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomPosterize", {"bits": "x"}),
        ("RandomSolarize", {"threshold": "x", "p": 0.01}),
        ("RandomPhotometricDistort", {"brightness": ["a", "b"]}),
        ("RandomShortestSize", {"min_size": "x"}),
        ("RandomResize", {"min_size": "x", "max_size": "y"}),
        ("RandomAdjustSharpness", {"sharpness_factor": "x"}),
        ("ScaleJitter", {"target_size": [96]}),
        ("RandomIoUCrop", {"sampler_options": ["x"]}),
        ("RandomIoUCrop", {"sampler_options": [0.3, 0.5]}),
    ],
)
def test_what_torchvision_would_hear_of_at_the_first_use_is_told_at_once(name: str, arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=rf"'data\.transforms\[0\]': {name}: .*; got "):
        build_augmentation([{"name": name, **arguments}])


def test_overlaps_that_are_never_reached_are_refused_in_words() -> None:
    with pytest.raises(ConfigError) as caught:
        build_augmentation([{"name": "RandomIoUCrop", "sampler_options": [0.3, 0.5]}], "data.val.transforms")
    (problem,) = caught.value.problems
    assert problem == (
        "option 'data.val.transforms[0]': RandomIoUCrop: sampler_options must hold a value of at least 1, which leaves the "
        "image as it is; got {'sampler_options': [0.3, 0.5]}"
    )
    assert build_augmentation([{"name": "RandomIoUCrop", "sampler_options": [0.3, 1]}]).transforms


def test_building_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    build("RandomPhotometricDistort", p=0.5)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_crop_by_objects_leaves_an_image_without_any_as_it_is() -> None:
    image, found, proposals = build("RandomIoUCrop")(painted([]), target([]), torch.tensor([[1.0, 2.0, 30.0, 40.0]]))
    assert (image.size, len(found), proposals.tolist()) == ((96, 72), 0, [[1.0, 2.0, 30.0, 40.0]])


@pytest.mark.parametrize("name", ["RandomAffine", "RandomPerspective", "RandomRotation"])
def test_the_box_of_a_turned_rectangle_holds_its_pixels(name: str) -> None:
    box = [30, 24, 66, 50]
    augmentation = build(name, **({"p": 1.0} if name == "RandomPerspective" else {}))
    for seed in range(10):
        seed_generators(2, seed)
        image, found, _ = augmentation(painted([box]), target([box]), torch.zeros(0, 4))
        x1, y1, x2, y2 = seen(image, 0)
        left, top, right, bottom = found.boxes[0].tolist()
        assert left - 1 <= x1 < x2 <= right + 1
        assert top - 1 <= y1 < y2 <= bottom + 1


def test_arguments_reach_the_transform() -> None:
    resize, flip = build_augmentation(
        [{"name": "Resize", "size": [30, 40], "interpolation": "nearest"}, "RandomVerticalFlip"]
    ).transforms
    assert resize.interpolation == v2.InterpolationMode.NEAREST
    assert isinstance(flip, v2.RandomVerticalFlip)


def test_an_image_that_a_transform_does_not_fit_is_named() -> None:
    with pytest.raises(DataError, match=r"p\.jpg: transform RandomCrop: Required crop size \(200, 200\)"):
        build_augmentation([{"name": "RandomCrop", "size": 200}])(painted([]), target([]), torch.zeros(0, 4))


# ------------------------------------------------------------------------------------------------- the whole transforms


@given(st.integers(0, 1), st.sampled_from([60, 72, 100]))
def test_proposals_are_resized_and_flipped_as_objects_are(flip: int, short: int) -> None:
    boxes = [[4.0, 5, 34, 30], [50.5, 8, 92, 40.25]]
    outside = [[-20.0, -5, 10, 10], [90, 60, 120, 100], [96, 0, 120, 20]]
    train = DetectionTrainTransform((short,), 1000, float(flip))
    for transform in (train, DetectionTestTransform(short, 1000)):
        _, found, proposals = transform.with_proposals(painted([]), target(boxes), torch.tensor(boxes + outside))
        assert torch.equal(found.boxes, proposals[:2])
        assert len(proposals) == 4  # the last has nothing inside the image
        (height, width), scale = found.size, short / 72
        mirrored = transform is train and flip
        corner = [width - 10 * scale, 0, width, 10 * scale] if mirrored else [0, 0, 10 * scale, 10 * scale]
        assert proposals[2].tolist() == pytest.approx(corner, abs=0.2)
        assert proposals[:, 3].max() <= height


def test_short_sides_are_drawn_between_their_ends() -> None:
    torch.manual_seed(0)
    transform = DetectionTrainTransform((34, 30), 1000, 0.5, between=True)
    sizes = [min(transform(painted([]), target([]))[1].size) for _ in range(80)]
    assert set(sizes) == {30, 31, 32, 33, 34}


def test_augmentation_comes_before_resizing() -> None:
    augmentation = build("CenterCrop", size=[36, 24])
    image, found = DetectionTrainTransform((48,), 1000, 0.0, augmentation=augmentation)(painted([]), target([[0, 0, 96, 72]]))
    assert image.shape == (3, 72, 48)
    assert found.boxes.tolist() == [[0, 0, 48, 72]]
