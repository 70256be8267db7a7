import pytest
import torch

from resdet.data.loading.batches import DetectionBatch, LocalizationBatch, RegionBatch
from resdet.structures import Target


def localization(count: int) -> LocalizationBatch:
    boxes = [torch.full((number % 3, 4), float(number)) for number in range(count)]
    return LocalizationBatch(torch.arange(count).view(-1, 1, 1, 1), torch.arange(count), boxes, tuple(map(str, range(count))))


def test_every_field_is_split_at_the_same_places() -> None:
    first, second, third = localization(8).split(3)
    assert [len(part) for part in (first, second, third)] == [2, 3, 3]
    assert second.names == ["2", "3", "4"]
    assert second.labels.tolist() == [2, 3, 4]
    assert [len(boxes) for boxes in second.boxes] == [2, 0, 1]
    assert isinstance(third, LocalizationBatch)
    regions = RegionBatch(*(torch.arange(5) + column for column in range(5)), tuple("abcde"))
    assert [part.references.tolist() for part in regions.split(2)] == [[3, 4], [5, 6, 7]]


def test_tensors_move_and_the_rest_stays() -> None:
    target = Target(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([1]), (4, 4), 7, "a.jpg", torch.tensor([False]))
    images, levels = [torch.zeros(3, 4, 4)], [[torch.zeros(3, 2, 2)]]
    moved = DetectionBatch(images, [target], [(4, 4)], levels, None).to("meta")
    assert moved.images[0].device.type == moved.pyramid[0][0].device.type == "meta"
    assert (moved.original_sizes, moved.proposals) == ([(4, 4)], None)
    assert moved.targets[0].boxes.device.type == "cpu"
    assert moved.names == ["a.jpg (image id 7)"]


def test_tensors_are_pinned_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    batch = localization(3)
    pinned = batch.pin_memory()
    assert pinned.labels.tolist() == [1, 2, 3]
    assert [boxes.flatten().tolist() for boxes in pinned.boxes] == [[], [2.0] * 4, [3.0] * 8]
    assert pinned.paths == batch.paths
