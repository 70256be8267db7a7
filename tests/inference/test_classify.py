"""Probabilities of views, averaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rounding import network
from torch import Tensor, nn

from resdet.errors import DataError
from resdet.inference.classifier import classify_dataset, view_probabilities
from resdet.inference.dense import score_map, training_window
from resdet.inference.load import load
from resdet.inference.mode import evaluating
from resdet.inference.views import Views
from resdet.models.backbones.registry import create_backbone
from resdet.models.classifier import Classifier
from resdet.models.model_file import ModelCard, write_model
from resdet.structures import PIXEL_CONVENTIONS

SIZES = [(40, 50), (64, 33), (32, 32), (90, 41)]
# of a probability, which moves by half as much as the logits, which are below 7, of 18 layers of sums of 9 * 32
ROUNDING = 7 / 2 * network(18, 9 * 32, torch.float32)


class Pictures:
    """Labelled noise, of several sizes."""

    names = ("a", "b", "c", "d", "e", "f")

    def __len__(self) -> int:
        return len(SIZES)

    def path(self, index: int) -> Path:
        return Path(f"{index}.png")

    def label(self, index: int) -> int:
        return (5 * index + 1) % 6

    def load(self, index: int) -> Image.Image:
        width, height = SIZES[index]
        return Image.fromarray(np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(
        create_backbone("resnet18", width=4, num_classes=6), PIXEL_CONVENTIONS["torchvision"], Pictures.names
    ).eval()


def by_hand(classifier: Classifier, image: Image.Image, views: Views) -> Tensor:
    """View by view, one at a time, in plain Python sums."""
    total = torch.zeros(6, dtype=torch.float64)
    count = 0
    for scale in views(image):
        for view in scale:
            with torch.no_grad():
                if views.kind == "dense":
                    normalized = classifier.normalize(view[None])
                    scores = score_map(classifier.backbone, normalized, training_window(classifier.backbone.spec, views.crop))
                    logits = torch.stack(
                        [scores[0, :, y, x] for y in range(scores.shape[2]) for x in range(scores.shape[3])]
                    ).mean(0)
                else:
                    logits = classifier(view[None])[0]
            total += logits.double().exp() / logits.double().exp().sum()
            count += 1
    return total / count


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "views",
    [
        Views("center", (40,), 32),
        Views("center", (32, 48), 32),
        Views("ten_crop", (32, 40), 32),
        Views("dense", (64,), 32),
        Views("dense", (32, 64, 100), 64, flip=True),
    ],
    ids=str,
)
def test_against_one_view_at_a_time(classifier: Classifier, views: Views, workers: int) -> None:
    found = list(classify_dataset(classifier, Pictures(), views, workers=workers))
    probabilities, labels = (torch.cat(column) for column in zip(*found, strict=True))
    assert probabilities.dtype == torch.float32
    assert labels.tolist() == [1, 0, 5, 4]
    expected = torch.stack([by_hand(classifier, Pictures().load(index), views) for index in range(len(SIZES))])
    torch.testing.assert_close(probabilities.double(), expected, rtol=0, atol=ROUNDING)
    assert expected.std() > 1e-3  # the network does say something


@pytest.mark.parametrize("kind", ["center", "ten_crop", "dense"])
def test_the_training_mode_of_every_module_is_kept(classifier: Classifier, kind: str) -> None:
    classifier.train()
    classifier.backbone.layer1.eval()
    modes = [module.training for module in classifier.modules()]
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    batches = classify_dataset(classifier, Pictures(), Views(kind, (32,), 32))
    next(batches)
    assert [module.training for module in classifier.modules()] == modes  # between batches too
    list(batches)
    assert [module.training for module in classifier.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in classifier.state_dict().items())


def test_evaluating_gives_back_each_module_its_own_mode() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Sequential(nn.Dropout()))
    model.train()
    model[0].eval()
    with pytest.raises(ZeroDivisionError), evaluating(model):
        _ = 1 / any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, False, True, True]


def test_mirror_images_have_the_same_average(classifier: Classifier) -> None:
    image = Pictures().load(0)
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for views in (Views("dense", (0,), 32, flip=True), Views("ten_crop", (0,), 30)):
        window = training_window(classifier.backbone.spec, 32) if views.kind == "dense" else None
        with torch.no_grad():
            one, other = (
                view_probabilities(classifier, [scale[None] for scale in views(each)], window) for each in (image, mirrored)
            )
        torch.testing.assert_close(one, other, rtol=0, atol=ROUNDING)


def test_confident_logits_neither_overflow_nor_tie() -> None:
    class Sure(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([300.0, 299.0, -300.0]))

        def forward(self, images: Tensor) -> Tensor:
            return self.logits.expand(len(images), 3)

    found = view_probabilities(Sure(), [torch.zeros(2, 5, 3, 4, 4, dtype=torch.uint8)])  # type: ignore[arg-type]
    assert found.shape == (2, 3)
    assert found[0].tolist() == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0])
    assert 0 < found[0, 2] < 1e-250


def test_an_image_that_cannot_be_read_is_named(classifier: Classifier) -> None:
    class Broken(Pictures):
        def load(self, index: int) -> Image.Image:
            if index == 1:
                raise DataError("1.png: cannot be read")
            return super().load(index)

    with pytest.raises(DataError, match=r"1\.png: cannot be read"):
        list(classify_dataset(classifier, Broken(), Views("dense", (32,), 32)))


@pytest.mark.parametrize("sizes", [{}, {"short_side": 32}, {"short_side": "32", "crop": 32}, {"short_side": 9, "crop": 0}])
def test_a_card_without_the_sizes_of_testing_is_bad_data(classifier: Classifier, tmp_path: Path, sizes: dict) -> None:
    backbone = {"backbone": {"name": "resnet18", "width": 4}}
    card = ModelCard("classification", backbone, list(classifier.names), classifier.pixels.to_dict(), sizes)
    write_model(tmp_path / "model.safetensors", classifier.state_dict(), card)
    with pytest.raises(
        DataError, match=r"model\.safetensors: its card: 'test\.(short_side|crop)' must be [01] … 16384 pixels, got"
    ):
        load(tmp_path / "model.safetensors", device="cpu")
