"""The detector around its network: sizes, devices, modes."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from resdet.data.loader import DetectionBatch
from resdet.errors import ConfigError
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector, detect_batches
from resdet.inference.load import select_device
from resdet.inference.mode import evaluating
from resdet.structures import Detections, Target


class WholeImage(nn.Module):
    """Finds in every image one object, the whole of it, and remembers how it was called."""

    names = ("thing",)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.Size, bool, bool]] = []

    def detect(self, images: Sequence[torch.Tensor]) -> list[Detections]:
        self.seen += [(image.shape, self.training, torch.is_grad_enabled()) for image in images]
        return [self._whole(*image.shape[1:]) for image in images]

    def _whole(self, height: int, width: int) -> Detections:
        box = torch.tensor([[0.0, 0.0, width, height]])
        return Detections(box, torch.tensor([0.5]), torch.tensor([0]), (height, width), self.names)


@given(height=st.integers(1, 400), width=st.integers(1, 400), short_side=st.integers(16, 600), max_side=st.integers(16, 1000))
def test_boxes_are_in_pixels_of_the_picture_and_inside_it(height: int, width: int, short_side: int, max_side: int) -> None:
    detector = Detector(WholeImage(), short_side=short_side, max_side=max_side)  # type: ignore[arg-type]
    found = detector.predict(np.zeros((height, width, 3), np.uint8))
    assert found.size == (height, width)
    assert found.boxes[0].tolist() == pytest.approx([0, 0, width, height], rel=1e-6)
    assert found.boxes[0, 2] <= width
    assert found.boxes[0, 3] <= height


def test_the_network_sees_the_resized_picture_in_eval_mode_without_gradients() -> None:
    model = WholeImage()
    detector = Detector(model, short_side=50, max_side=80)  # type: ignore[arg-type]
    detector.predict(np.zeros((100, 200, 3), np.uint8))
    assert model.seen == [((3, 40, 80), False, False)]


def test_threshold_is_inclusive_and_a_list_gives_a_list() -> None:
    detector = Detector(WholeImage(), short_side=32, max_side=64)  # type: ignore[arg-type]
    picture = np.zeros((20, 30, 3), np.uint8)
    assert [len(detector.predict(picture, score_thresh=score)) for score in (0.0, 0.5, 0.51)] == [1, 1, 0]
    assert [len(found) for found in detector.predict([picture, picture])] == [1, 1]
    assert detector.predict([]) == []


def test_batches_keep_ids_original_sizes_and_the_training_mode() -> None:
    model = WholeImage().train()
    targets = [Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (30, 60), image_id=key) for key in (7, 9)]
    images = [torch.zeros(3, 30, 60, dtype=torch.uint8)] * 2
    found = list(detect_batches(model, [DetectionBatch(images, targets, [(300, 600), (45, 90)])]))  # type: ignore[arg-type]
    assert [(item.image_id, item.size, item.boxes.tolist()) for item in found] == [
        (7, (300, 600), [[0, 0, 600, 300]]),
        (9, (45, 90), [[0, 0, 90, 45]]),
    ]
    assert model.training
    assert model.seen[0][1:] == (False, False)


def test_evaluating_restores_the_mode_after_an_error() -> None:
    model = nn.Dropout()
    with pytest.raises(ZeroDivisionError), evaluating(model):
        _ = 1 / model.training
    assert model.training
    model.eval()
    with evaluating(model):
        pass
    assert not model.training


def test_classifier_gives_the_best_first_and_never_more_than_there_are() -> None:
    class Fixed(nn.Module):
        names = ("a", "b", "c")

        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([0.0, 2.0, 1.0]))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape == (1, 3, 24, 24)
            assert images.dtype == torch.uint8
            return self.logits[None]

    classifier = ImageClassifier(Fixed(), short_side=32, crop=24)  # type: ignore[arg-type]
    best = classifier.predict(np.zeros((40, 60, 3), np.uint8))
    assert [name for name, _ in best] == ["b", "c", "a"]
    assert sum(score for _, score in best) == pytest.approx(1)
    assert classifier.predict(np.zeros((40, 60, 3), np.uint8), top=1) == best[:1]


# --------------------------------------------------------------------------------------------------------------- devices


def test_device_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(is_available=lambda: False, device_count=lambda: 0))
    assert select_device() == select_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="device 'cuda': torch sees no CUDA devices on this machine"):
        select_device("cuda")
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(is_available=lambda: True, device_count=lambda: 2))
    assert select_device("auto") == torch.device("cuda")
    assert select_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="device 'cuda:2': torch sees 2 CUDA devices on this machine"):
        select_device("cuda:2")


@pytest.mark.parametrize("name", ["", "tpu", "meta", "mps", "CUDA", "0", "cuda:", "cuda:x", "cpu:1"])
def test_unknown_device_names(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device must be auto, cpu, cuda or cuda:N, got '{name}'"):
        select_device(name)
