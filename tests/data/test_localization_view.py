import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resdet.data.loading.loader import test_loader as every_image
from resdet.data.loading.loader import train_loader
from resdet.data.loading.views import LocalizationView
from resdet.data.localization import LocalizedImages, boxed_indices
from resdet.data.transforms.lighting import lighting_noise
from resdet.data.transforms.localization import LocalizationTrainTransform, seen_boxes
from resdet.errors import DataError


def painted(width: int, height: int, box: tuple[int, int, int, int]) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 255
    return Image.fromarray(pixels)


@given(st.data(), st.integers(0, 2**31), st.integers(24, 60), st.integers(24, 60), st.booleans())
def test_boxes_follow_the_pixels(data: st.DataObject, seed: int, width: int, height: int, flip: bool) -> None:
    """The white pixels of the crop are the box, wherever it was cut and however it was turned."""
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = (x1, y1, data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height)))
    torch.manual_seed(seed)
    transform = LocalizationTrainTransform(20, (), float(flip), 0.0)
    pixels, seen = transform(painted(width, height, box), torch.tensor([box], dtype=torch.float32))
    assert pixels.shape == (3, 20, 20)
    assert pixels.dtype == torch.uint8
    assert seen.dtype == torch.float32
    rows, columns = pixels[0].amax(1).nonzero()[:, 0].tolist(), pixels[0].amax(0).nonzero()[:, 0].tolist()
    in_sight = len(rows) * len(columns)
    largest = min(box[2] - box[0], 20) * min(box[3] - box[1], 20)
    if in_sight >= 0.25 * largest:
        assert seen.tolist() == [[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]]
    else:
        assert seen.shape == (0, 4)


def test_resizing_moves_the_boxes() -> None:
    torch.manual_seed(0)
    transform = LocalizationTrainTransform(16, (16, 16), 0.0, 0.0)
    _, seen = transform(Image.new("RGB", (32, 48)), torch.tensor([[0.0, 0.0, 32.0, 48.0]]))
    assert seen.tolist() == [[0, 0, 16, 16]]
    sides = set()
    for seed in range(40):
        torch.manual_seed(seed)
        _, seen = LocalizationTrainTransform(10, (10, 13), 0.0, 0.0)(
            Image.new("RGB", (20, 20)), torch.tensor([[8.0, 8, 10, 12]])
        )
        sides.add(round(float(seen[0, 3] - seen[0, 1]), 3))
    assert {2.0, 2.2, 2.4, 2.6} <= sides  # 4 pixels of 20, at 10, 11, 12 and 13, when not cut


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([10, 10, 20, 20], [0, 0, 10, 10]),
        ([0, 10, 20, 20], [0, 0, 10, 10]),  # half of it
        ([0, 0, 20, 20], [0, 0, 10, 10]),  # 100 of the 400 pixels that a window can show
        ([0, 0, 19, 20], None),
        ([0, 0, 100, 100], [0, 0, 20, 20]),  # larger than the window, which it fills
        ([13, 0, 14, 40], [3, 0, 4, 20]),
        ([25, 10, 45, 20], [15, 0, 20, 10]),  # a quarter of it
        ([26, 10, 46, 20], None),
        ([40, 40, 50, 50], None),
        ([5, 12, 10, 14], None),  # touches from outside
        ([12, 12, 12, 14], None),  # empty
    ],
)
def test_what_a_window_shows(box: list[float], expected: list[float] | None) -> None:
    seen = seen_boxes(torch.tensor([box], dtype=torch.float32), 10, 10, 20)
    assert seen.tolist() == ([] if expected is None else [expected])


def test_a_crop_without_the_object_is_drawn_again() -> None:
    """Of 81 x 81 places the object is in sight from 177: one draw would show it in one of 37 views."""
    image, box = painted(100, 100, (0, 0, 20, 20)), torch.tensor([[0.0, 0.0, 20.0, 20.0]])
    transform = LocalizationTrainTransform(20, (), 0.5, 0.0)
    found = 0
    for seed in range(100):
        torch.manual_seed(seed)
        found += len(transform(image, box)[1])
    chance = sum(1 for left in range(81) for top in range(81) if max(0, 20 - left) * max(0, 20 - top) >= 100) / 81**2
    expected = 100 * (1 - (1 - chance) ** 10)
    assert abs(found - expected) < 4 * (expected * (1 - expected / 100)) ** 0.5
    assert found > 100 * chance * 2


def test_without_boxes_one_crop_is_drawn() -> None:
    torch.manual_seed(3)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8))
    pixels, seen = LocalizationTrainTransform(20, (), 1.0, 0.1)(image, torch.zeros(0, 4))
    torch.manual_seed(3)
    top, left = int(torch.randint(11, ())), int(torch.randint(21, ()))
    torch.rand(())
    window = torch.from_numpy(np.asarray(image)[top : top + 20, left : left + 20][:, ::-1].copy()).permute(2, 0, 1)
    assert torch.equal(pixels, lighting_noise(window, 0.1))
    assert seen.shape == (0, 4)


def test_an_image_smaller_than_the_crop() -> None:
    with pytest.raises(DataError, match=r"40 x 10 pixels are less than the crop of 20; set data.short_side"):
        LocalizationTrainTransform(20, (), 0.5, 0.0)(Image.new("RGB", (40, 10)), torch.zeros(0, 4))


@pytest.fixture
def dataset(tmp_path_factory: pytest.TempPathFactory) -> LocalizedImages:
    folder = tmp_path_factory.mktemp("images")
    rows = [[0, 0, 20, 20], [4, 4, 24, 24], [8, 2, 30, 20]]
    for index in range(4):
        painted(32, 28, (index, 0, 20, 20)).save(folder / f"{index}.png")
    return LocalizedImages(
        ("a", "b"),
        "here",
        np.array([str(folder / f"{index}.png").encode() for index in range(4)]),
        np.array([1, 0, 1, 0]),
        np.array([[28, 32], [0, 0], [28, 32], [28, 32]]),
        np.array([0, 2, 2, 2, 3]),
        np.array(rows, dtype=np.float32),
    )


def test_the_flat_arrays(dataset: LocalizedImages) -> None:
    assert [dataset.boxes(index).tolist() for index in range(4)] == [[[0, 0, 20, 20], [4, 4, 24, 24]], [], [], [[8, 2, 30, 20]]]
    assert boxed_indices(dataset) == [0, 3]
    assert dataset.size(1) == (28, 32)  # from the file
    dataset.boxes(0)[:] = 0
    assert dataset.boxes(0)[0].tolist() == [0, 0, 20, 20]


def test_batches(dataset: LocalizedImages) -> None:
    view = LocalizationView(dataset, LocalizationTrainTransform(24, (26, 30), 0.5, 0.1), seed=5)
    assert len(view) == 4
    batch = view.batch([(3, 7), (1, 8), (0, 9)])
    assert (batch.images.shape, batch.images.dtype) == ((3, 3, 24, 24), torch.uint8)
    assert batch.labels.tolist() == [0, 0, 1]
    assert [len(boxes) for boxes in batch.boxes] == [1, 0, 2]
    assert batch.names == [str(dataset.path(index)) for index in (3, 1, 0)]
    parts = batch.split(2)
    assert [len(part) for part in parts] == [1, 2]
    assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
    assert [rows.tolist() for part in parts for rows in part.boxes] == [rows.tolist() for rows in batch.boxes]
    with pytest.raises(ValueError, match="at least 1 part"):
        batch.split(0)
    assert len(batch.to("cpu")) == len(batch.to("meta")) == 3
    assert batch.to("meta").boxes[0].device.type == "meta"


def test_a_sample_depends_on_its_draw_alone(dataset: LocalizedImages) -> None:
    view = LocalizationView(dataset, LocalizationTrainTransform(24, (26, 30), 0.5, 0.1), seed=5)
    state = torch.get_rng_state()
    together = view.batch([(0, 3), (3, 4)])
    assert torch.equal(torch.get_rng_state(), state)
    alone = view.batch([(3, 4)])
    assert torch.equal(alone.images[0], together.images[1])
    assert torch.equal(alone.boxes[0], together.boxes[1])
    assert not torch.equal(view.batch([(3, 5)]).images, alone.images)
    loaded = list(train_loader(view, [[(0, 3)], [(3, 4)]], 0))
    assert torch.equal(loaded[1].images, alone.images)
    assert sum(len(batch) for batch in every_image(view, 0, 3)) == 4


def test_a_bad_image_is_named(dataset: LocalizedImages) -> None:
    view = LocalizationView(dataset, LocalizationTrainTransform(40, (), 0.5, 0.0))
    with pytest.raises(DataError, match=r"2\.png: 32 x 28 pixels are less than the crop of 40"):
        view.batch([(2, 0)])
    dataset.path(2).unlink()
    with pytest.raises(DataError, match=r"2\.png: no such image file"):
        view.batch([(2, 0)])
