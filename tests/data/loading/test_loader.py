import pickle
import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as F

from resdet.data.dataset import aspect_groups, usable_indices
from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.loading import loader
from resdet.data.loading.batches import ClassificationBatch, DetectionBatch
from resdet.data.loading.loader import train_loader
from resdet.data.loading.randomness import preserved_generators, seed_generators
from resdet.data.loading.samplers import endless_batches
from resdet.data.loading.views import ClassificationView, DetectionView
from resdet.data.transforms.classification import ClassificationTrainTransform
from resdet.data.transforms.detection import DetectionTestTransform, DetectionTrainTransform
from resdet.errors import DataError


@pytest.fixture
def detection(tiny_coco) -> DetectionView:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    return DetectionView(dataset, DetectionTrainTransform((40, 50, 60), 100, 0.5), seed=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for number in range(4):
            image = Image.fromarray(pixels.integers(0, 255, (30, 40, 3), dtype=np.uint8))
            image.save(tmp_path / "classes" / name / f"{number}.png")
    return tmp_path / "classes"


def same_detection(one, other) -> bool:
    return (
        one.names == other.names
        and one.original_sizes == other.original_sizes
        and all(torch.equal(a, b) for a, b in zip(one.images, other.images, strict=True))
        and all(torch.equal(a.boxes, b.boxes) for a, b in zip(one.targets, other.targets, strict=True))
    )


def test_any_number_of_workers_gives_the_same_detection_batches(detection: DetectionView) -> None:
    indices = usable_indices(detection.dataset)
    groups = aspect_groups(detection.dataset, indices)
    runs = [list(islice(train_loader(detection, endless_batches(indices, 2, 1, groups), workers), 6)) for workers in (0, 1, 2)]
    for batches in zip(*runs, strict=True):
        assert same_detection(batches[0], batches[1])
        assert same_detection(batches[0], batches[2])
    resumed = list(islice(train_loader(detection, endless_batches(indices, 2, 1, groups, start=4), 0), 2))
    assert all(same_detection(a, b) for a, b in zip(runs[0][4:], resumed, strict=True))
    assert len({str(image.shape) for batch in runs[0] for image in batch.images}) > 2  # it is augmented


def test_any_number_of_workers_gives_the_same_classification_batches(folder: Path) -> None:
    view = ClassificationView(read_folder(folder), ClassificationTrainTransform(24, (26, 32), 0, 0.5, 0.1), seed=9)
    runs = [list(islice(train_loader(view, endless_batches(len(view), 3, 1), workers), 5)) for workers in (0, 2)]
    for one, other in zip(*runs, strict=True):
        assert one.names == other.names
        assert torch.equal(one.images, other.images)
        assert one.images.shape == (3, 3, 24, 24)
        assert one.images.dtype == torch.uint8
        assert [Path(path).parent.name for path in one.paths] == [("cat", "dog")[label] for label in one.labels.tolist()]


def test_testing_gives_every_image_once_in_order(detection: DetectionView) -> None:
    view = DetectionView(detection.dataset, DetectionTestTransform(48, 100))
    batches = list(loader.test_loader(view, workers=0, batch=4))
    assert [len(batch) for batch in batches] == [4, 2]
    assert [target.image_id for batch in batches for target in batch.targets] == [1, 2, 3, 4, 5, 6]
    assert batches[0].original_sizes == [(48, 64), (64, 48)] * 2
    assert batches[1].targets[0].boxes.shape == (0, 4)
    moved = batches[0].to("cpu")
    assert same_detection(moved, batches[0])
    assert batches[0].names[0].endswith("000001.png (image id 1)")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_arrives_as_it_was_raised(detection: DetectionView, workers: int) -> None:
    path = detection.dataset.path(2)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError) as caught:
        list(loader.test_loader(detection, workers))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{path}: cannot be read as an image")


def test_an_image_too_small_for_the_crop_is_named(folder: Path) -> None:
    view = ClassificationView(read_folder(folder), ClassificationTrainTransform(64, (), 0, 0.5, 0))
    with pytest.raises(DataError, match=r"cat/0\.png: 40 x 30 pixels are less than the crop of 64"):
        view.batch([(0, 0)])


def test_views_can_be_sent_to_spawned_workers(detection: DetectionView, folder: Path) -> None:
    copied = pickle.loads(pickle.dumps(detection))
    assert same_detection(copied.batch([(0, 5), (2, 6)]), detection.batch([(0, 5), (2, 6)]))
    view = ClassificationView(read_folder(folder), ClassificationTrainTransform(24, (), 0, 0.5, 0))
    assert torch.equal(pickle.loads(pickle.dumps(view)).batch([(1, 1)]).images, view.batch([(1, 1)]).images)


def draws() -> tuple[float, float, float]:
    return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002


def states() -> tuple:
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


def test_seeding_is_stateless_and_leaves_no_trace() -> None:
    torch.manual_seed(1)
    before = states()
    with preserved_generators():
        seed_generators(3, 4)
        first = draws()
        seed_generators(3, 5)
        other = draws()
        seed_generators(3, 4)
        assert draws() == first
    assert all(a != b for a, b in zip(first, other, strict=True))
    assert states() == before


def test_the_generators_are_put_back_after_an_error(folder: Path) -> None:
    before = states()
    with pytest.raises(DataError):
        ClassificationView(read_folder(folder), ClassificationTrainTransform(64, (), 0, 0.5, 0)).batch([(0, 0)])
    assert states() == before


@dataclass(frozen=True)
class Drawing:
    """A transform of somebody else, which draws from every generator."""

    def __call__(self, image: Image.Image) -> torch.Tensor:
        return torch.tensor(draws())


def test_a_sample_depends_on_its_draw_alone(folder: Path) -> None:
    view = ClassificationView(read_folder(folder), Drawing(), seed=5)
    together = view.batch([(0, 1), (1, 2), (2, 3)]).images
    assert torch.equal(view.batch([(7, 3), (4, 1)]).images, together[[2, 0]])
    assert len(set(together.flatten().tolist())) == 9


def plain_view(image: Image.Image, crop: int, short_side: tuple[int, ...], pad: int, hflip: float) -> torch.Tensor:
    """The paper's training view, every step written with torchvision's functions on the whole image."""
    if short_side:
        image = F.resize(image, [int(torch.randint(short_side[0], short_side[1] + 1, ()))])
    pixels = F.pad(F.pil_to_tensor(image), [pad])
    top = int(torch.randint(pixels.shape[1] - crop + 1, ()))
    left = int(torch.randint(pixels.shape[2] - crop + 1, ()))
    pixels = F.crop(pixels, top, left, crop, crop)
    return F.horizontal_flip(pixels) if torch.rand(()) < hflip else pixels


@pytest.mark.parametrize(
    "arguments",
    [(24, (26, 40), 0, 0.5), (30, (), 4, 0.5), (24, (), 0, 0.3), (30, (28, 32), 5, 1.0), (8, (), 20, 0.5)],
    ids=str,
)
def test_batches_are_those_of_a_plain_transform(folder: Path, arguments: tuple) -> None:
    dataset = read_folder(folder)
    keys = [(index % 8, draw) for draw, index in enumerate(range(40))]
    found = ClassificationView(dataset, ClassificationTrainTransform(*arguments, 0.0), seed=7).batch(keys).images
    for (index, draw), pixels in zip(keys, found, strict=True):
        value = int(np.random.SeedSequence((7, draw)).generate_state(1, np.uint64)[0])
        with torch.random.fork_rng(devices=()):
            torch.random.default_generator.manual_seed(value)
            expected = plain_view(dataset.load(index), *arguments)
        assert torch.equal(pixels, expected)


@given(st.integers(0, 20), st.integers(1, 25))
def test_a_split_batch_is_the_batch_in_order(count: int, parts: int) -> None:
    images = torch.arange(count * 3, dtype=torch.uint8).view(count, 3, 1, 1)
    paths = tuple(map(str, range(count)))
    pieces = ClassificationBatch(images, torch.arange(count), paths).split(parts)
    assert len(pieces) == min(parts, count)
    lengths = [len(piece) for piece in pieces]
    assert not lengths or (min(lengths) >= 1 and max(lengths) - min(lengths) <= 1)
    assert sum((piece.paths for piece in pieces), ()) == paths
    assert [label for piece in pieces for label in piece.labels.tolist()] == list(range(count))
    assert not count or torch.equal(torch.cat([piece.images for piece in pieces]), images)


def test_a_split_detection_batch_keeps_its_images_together(detection: DetectionView) -> None:
    whole = detection.batch([(index, index) for index in range(5)])
    pieces = whole.split(2)
    assert [len(piece) for piece in pieces] == [2, 3]
    assert [name for piece in pieces for name in piece.names] == whole.names
    assert same_detection(pieces[1], DetectionBatch(whole.images[2:], whole.targets[2:], whole.original_sizes[2:]))
    assert [piece.original_sizes for piece in DetectionBatch(whole.images, whole.targets).split(2)] == [[], []]
    assert same_detection(whole.split(1)[0], whole)
    with pytest.raises(ValueError, match="at least 1 part, got 0"):
        whole.split(0)
