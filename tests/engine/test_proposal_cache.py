from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from resdet.data.dataset import subset
from resdet.data.formats.coco import read_coco
from resdet.data.loading.views import DetectionView
from resdet.data.proposals import read_proposals, read_provenance
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.engine.proposal_cache import cached_proposals, cached_shards, dataset_fingerprint

WHERE = {"model": "abc", "filter": {"post_nms": 2}}


class Network:
    """Proposes the left half and a box beyond the edge; counts the images it is asked for."""

    def __init__(self, fail_at: int = -1) -> None:
        self.asked = 0
        self.fail_at = fail_at

    def __call__(self, images: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        if self.asked == self.fail_at:
            raise KeyboardInterrupt
        self.asked += len(images)
        found = []
        for image in images:
            _, height, width = image.shape
            boxes = torch.tensor([[0.0, 0, width / 2, height], [width / 4, height / 2, width + 10, height]])
            found.append((boxes, torch.tensor([2.0, 1.0])))
        return found


@pytest.fixture
def view(tiny_coco: Any) -> DetectionView:
    return DetectionView(read_coco(tiny_coco.images, tiny_coco.annotations), DetectionTestTransform(96, 1000))


def cached(folder: Path, network: Network, view: DetectionView, provenance: dict[str, Any] = WHERE, shard: int = 4) -> Any:
    return cached_proposals(folder / "cache", network, view, provenance, workers=0, shard=shard)


def test_boxes_are_in_pixels_of_the_original_images(tmp_path: Path, view: DetectionView) -> None:
    found = cached(tmp_path, Network(), view)
    assert found.image_ids.tolist() == view.dataset.image_ids
    for index in range(len(view)):
        height, width = view.dataset.size(index)
        expected = torch.tensor([[0.0, 0, width / 2, height], [width / 4, height / 2, width, height]])
        torch.testing.assert_close(found.boxes(index), expected)
    names = [path.name for path in sorted((tmp_path / "cache").iterdir())]
    assert names == ["00000.safetensors", "00001.safetensors"]
    assert read_provenance(tmp_path / "cache" / names[1]) == {**WHERE, "images": [4, 5]}
    assert read_proposals(tmp_path / "cache" / names[1], view.dataset.image_ids[4:]).scores.tolist() == [2, 1, 2, 1]


def test_each_file_is_told(tmp_path: Path, view: DetectionView, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "resdet.engine.proposal_cache"):
        cached(tmp_path, Network(), view)
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"{tmp_path / 'cache'}: proposals of {count}/6 images" for count in (4, 6)]


def test_a_file_is_of_a_thousand_images(tmp_path: Path) -> None:
    def extract(indices: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        return [(torch.zeros(0, 4), torch.zeros(0))] * len(indices)

    found = cached_shards(tmp_path, range(0, 7 * 1001, 7), extract, WHERE)
    assert found.image_ids.tolist() == list(range(0, 7 * 1001, 7))
    kept = {path.name: read_provenance(path)["images"] for path in tmp_path.iterdir()}
    assert kept == {"00000.safetensors": [0, 999], "00001.safetensors": [1000, 1000]}


def test_what_is_there_is_not_made_again(tmp_path: Path, view: DetectionView) -> None:
    first = cached(tmp_path, Network(), view)
    network = Network()
    again = cached(tmp_path, network, view)
    assert network.asked == 0
    assert all(torch.equal(first.boxes(index), again.boxes(index)) for index in range(6))


def test_an_interrupted_extraction_goes_on_where_it_was(tmp_path: Path, view: DetectionView) -> None:
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, Network(fail_at=5), view, shard=2)
    assert len(list((tmp_path / "cache").iterdir())) == 2  # the third file was not finished
    network = Network()
    found = cached(tmp_path, network, view, shard=2)
    assert network.asked == 2
    assert found.image_ids.tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("change", "word"),
    [({"model": "other"}, "model"), ({"filter": {"post_nms": 3}}, "filter"), ({"data": "x"}, "data")],
)
def test_proposals_of_something_else_are_made_anew(
    tmp_path: Path, view: DetectionView, change: dict[str, Any], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    cached(tmp_path, Network(), view)
    network = Network()
    with caplog.at_level(logging.WARNING):
        cached(tmp_path, network, view, {**WHERE, **change})
    assert network.asked == 6
    paths = [tmp_path / "cache" / f"0000{number}.safetensors" for number in range(2)]
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [f"{path}: made anew, for it is of another {word}" for path in paths]
    assert read_provenance(tmp_path / "cache" / "00000.safetensors") == {**WHERE, **change, "images": [0, 3]}


def test_other_images_under_the_same_word_and_damage_are_made_anew(
    tmp_path: Path, view: DetectionView, caplog: pytest.LogCaptureFixture
) -> None:
    cached(tmp_path, Network(), view)
    other = replace(view, dataset=subset(view.dataset, [5, 4, 3, 2, 1, 0]))
    shorter = replace(view, dataset=subset(view.dataset, [0, 1, 2, 3]))
    for each, asked in ((shorter, 0), (other, 6)):
        network = Network()
        assert cached(tmp_path, network, each).image_ids.tolist() == each.dataset.image_ids
        assert network.asked == asked
    path = tmp_path / "cache" / "00001.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    network = Network()
    with caplog.at_level(logging.WARNING):
        cached(tmp_path, network, other)
    assert network.asked == 2
    told = caplog.messages[-1]
    assert told.startswith(f"{path}: not a readable proposals.safetensors")
    assert told.endswith("; made anew")


def test_the_fingerprint_tells_images_apart(view: DetectionView) -> None:
    dataset = view.dataset
    others = [subset(dataset, [0, 1]), subset(dataset, [1, 0, 2, 3, 4, 5]), replace(dataset, sizes=dataset.sizes + 1)]
    words = {dataset_fingerprint(each) for each in (dataset, *others)}
    assert len(words) == 4
    assert dataset_fingerprint(replace(dataset, boxes=dataset.boxes + 1)) == dataset_fingerprint(dataset)
