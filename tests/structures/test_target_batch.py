import torch

from resdet.structures import Target, TargetBatch


def target(boxes: list[list[float]], labels: list[int], ignore: list[bool], path: str = "") -> Target:
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Target(
        rows, torch.tensor(labels, dtype=torch.int64), (64, 96), path=path, ignore=torch.tensor(ignore, dtype=torch.bool)
    )


def test_objects_and_ignored_ones_are_apart_with_empty_boxes_behind() -> None:
    a, b, c, crowd = [1.0, 2, 3, 4], [5.0, 6, 7, 8], [9.0, 10, 11, 12], [0.0, 0, 50, 60]
    batch = TargetBatch.from_targets(
        [
            target([a, crowd, b], [3, 0, 4], [False, True, False], "one.jpg"),
            target([], [], []),
            target([c], [5], [False], "three.jpg"),
        ]
    )
    nothing = [0.0] * 4
    assert batch.boxes.tolist() == [[a, b], [nothing, nothing], [c, nothing]]
    assert batch.labels.tolist() == [[3, 4], [0, 0], [5, 0]]
    assert batch.counts == [2, 0, 1]
    assert batch.largest_labels == [4, -1, 5]
    assert batch.ignore.tolist() == [[crowd], [nothing], [nothing]]
    assert batch.sizes == [(64, 96)] * 3
    assert batch.paths == ["one.jpg", "", "three.jpg"]


def test_without_any_object() -> None:
    batch = TargetBatch.from_targets([target([], [], []), target([], [], [])])
    assert (batch.boxes.shape, batch.labels.shape, batch.ignore.shape) == ((2, 0, 4), (2, 0), (2, 0, 4))
    assert batch.counts == [0, 0]
