from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resdet.data.loading.loader import train_loader
from resdet.data.loading.region_crops import NEGATIVE, RegionView, region_batches, warp_region
from resdet.data.localization import LocalizedImages
from resdet.data.proposals import make_proposals

NAMES = ("a", "b")


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def dataset(tmp_path: Path) -> LocalizedImages:
    """Three images of 40 x 30, of classes 1, 0, 1; the second has no box, the third has two."""
    for number in range(3):
        noise(40, 30).save(tmp_path / f"{number}.png")
    files = np.array([str(tmp_path / f"{number}.png").encode() for number in range(3)])
    rows = np.array([[0, 0, 20, 20], [5, 5, 15, 15], [20, 10, 40, 30]], dtype=np.float32)
    return LocalizedImages(NAMES, "x", files, np.array([1, 0, 1]), np.zeros((3, 2), np.int64), np.array([0, 1, 1, 3]), rows)


def view(dataset: LocalizedImages, hflip: float = 0.0, lighting: float = 0.0) -> RegionView:
    """Two regions of image 0 and three of image 2."""
    regions = make_proposals(
        [0, 2],
        [torch.tensor([[0.0, 0, 16, 16], [20, 4, 36, 20]]), torch.tensor([[4.0, 4, 12, 12], [24, 14, 40, 30], [0, 0, 40, 30]])],
        [torch.tensor([0.9, 0.8]), torch.tensor([0.7, 0.6, 0.5])],
    )
    return RegionView(dataset, regions, np.array([0, NEGATIVE, 0, 1, NEGATIVE], np.int32), 16, hflip, lighting)


def test_a_whole_region_of_the_right_size_is_cut_out() -> None:
    image = noise(40, 30)
    expected = np.asarray(image)[4:20, 20:36].transpose(2, 0, 1)
    assert np.array_equal(warp_region(image, (20.0, 4.0, 36.0, 20.0), 16).numpy(), expected)


def test_a_region_is_warped_and_antialiased() -> None:
    # stripes of one pixel, halved: their mean; a box of another shape becomes a square
    stripes = np.zeros((8, 32, 3), np.uint8)
    stripes[:, ::2] = 200
    warped = warp_region(Image.fromarray(stripes), (4.0, 0.0, 20.0, 8.0), 8)
    assert warped.shape == (3, 8, 8)
    assert warped.dtype == torch.uint8
    assert (warped[:, :, 2:6].float() - 100).abs().max() <= 26  # a triangle's weights
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    half = warp_region(Image.fromarray(edge), (3.5, 0.0, 4.5, 8.0), 2)  # half a pixel of each side
    assert (half[:, :, 0] < half[:, :, 1]).all()


def test_a_batch_holds_the_regions_with_their_classes_and_boxes(dataset: LocalizedImages) -> None:
    batch = view(dataset).batch([(3, 0), (1, 1), (0, 2)])
    assert batch.labels.tolist() == [1, 1, 1]
    assert batch.positive.tolist() == [True, False, True]
    assert batch.references.tolist() == [[24, 14, 40, 30], [20, 4, 36, 20], [0, 0, 16, 16]]
    assert batch.boxes.tolist() == [[20, 10, 40, 30], [20, 4, 36, 20], [0, 0, 20, 20]]
    assert [Path(path).stem for path in batch.names] == ["2", "0", "0"]
    assert np.array_equal(batch.images[1].numpy(), np.asarray(noise(40, 30))[4:20, 20:36].transpose(2, 0, 1))


def test_a_mirrored_region_has_mirrored_boxes(dataset: LocalizedImages) -> None:
    plain, mirrored = (view(dataset, hflip).batch([(2, 0), (1, 1)]) for hflip in (0.0, 1.0))
    assert torch.equal(mirrored.images, plain.images.flip(-1))
    assert mirrored.references.tolist() == [[28, 4, 36, 12], [4, 4, 20, 20]]
    assert mirrored.boxes.tolist() == [[25, 5, 35, 15], [4, 4, 20, 20]]


def test_a_sample_depends_on_its_draw_alone_and_leaves_the_generators(dataset: LocalizedImages) -> None:
    shown = view(dataset, 0.5, 0.5)
    state = torch.get_rng_state()
    batch = shown.batch([(0, 1), (0, 2), (0, 3)])
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(shown.batch([(0, 2)]).images[0], batch.images[1])
    assert not torch.equal(batch.images[0], batch.images[1])


def test_parts_of_a_batch_and_worker_processes(dataset: LocalizedImages) -> None:
    keys = [(region, region) for region in range(5)]
    here = view(dataset).batch(keys)
    (there,) = train_loader(view(dataset), [keys], 1)
    for name in ("images", "labels", "positive", "references", "boxes"):
        joined = torch.cat([getattr(part, name) for part in here.to("cpu").split(3)])
        assert torch.equal(joined, getattr(here, name))
        assert torch.equal(getattr(there, name), getattr(here, name))
    assert [len(part) for part in here.split(3)] == [1, 2, 2]
    assert [name for part in here.split(2) for name in part.names] == here.names


@given(
    matches=st.lists(st.sampled_from([NEGATIVE, 0, 3]), min_size=1, max_size=30),
    batch=st.integers(1, 12),
    fraction=st.floats(0, 1),
    start=st.integers(0, 3),
)
def test_batches_are_drawn_from_all_regions(matches: list[int], batch: int, fraction: float, start: int) -> None:
    table = np.array(matches, np.int32)
    batches = list(islice(region_batches(table, batch, fraction, 7, 0), 5))
    assert list(islice(region_batches(table, batch, fraction, 7, start), 5 - start)) == batches[start:]
    draws = [draw for each in batches for _, draw in each]
    assert draws == list(range(5 * batch))
    positives = [sum(matches[region] != NEGATIVE for region, _ in each) for each in batches]
    share = round(batch * fraction)
    if NEGATIVE not in matches:
        share = batch
    elif set(matches) == {NEGATIVE}:
        share = 0
    assert positives == [share] * 5


def test_every_region_comes_now_and_then_and_another_seed_is_another_order() -> None:
    table = np.array([0, NEGATIVE] * 10, np.int32)

    def drawn(seed: int) -> list[Sequence[int]]:
        return [[region for region, _ in each] for each in islice(region_batches(table, 8, 0.5, seed, 0), 40)]

    assert {region for each in drawn(0) for region in each} == set(range(20))
    assert drawn(0) != drawn(1)


def test_there_must_be_a_region() -> None:
    with pytest.raises(ValueError, match="needs at least one region"):
        next(region_batches(np.zeros(0, np.int32), 4, 0.5, 0, 0))
