"""The classifier: bytes in, logits out."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from rounding import assert_near, assert_within, network, walk
from torch import Tensor

from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.models.classifier import Classifier, classification_step
from resdet.structures import PIXEL_CONVENTIONS


@dataclass(frozen=True)
class Batch:
    images: Tensor
    labels: Tensor


@pytest.mark.parametrize("convention", ["torchvision", "msra"])
def test_normalizes_bytes_as_its_weights_want_them(convention: str) -> None:
    torch.manual_seed(0)
    backbone = create_backbone("resnet18", width=4, num_classes=2)
    classifier = Classifier(backbone, PIXEL_CONVENTIONS[convention], ["cat", "dog"]).eval()
    images = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8)
    if convention == "torchvision":
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        prepared = (images.float() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    else:
        prepared = images[:, [2, 1, 0]].float() - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    assert_near(classifier(images), backbone(prepared), network(18, 9 * 32, torch.float32))
    assert classifier.names == ("cat", "dog")


def test_step_gives_the_loss_connected_to_every_parameter_and_the_error() -> None:
    classifier = Classifier(create_backbone("resnet18", width=4, num_classes=2), PIXEL_CONVENTIONS["torchvision"], "ab")
    batch = Batch(torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8), torch.tensor([0, 1, 1, 0]))
    losses = classification_step(classifier, batch)
    assert list(losses) == ["loss_cls", "error"]
    losses["loss_cls"].backward()
    assert all(parameter.grad is not None for parameter in classifier.parameters())
    with torch.no_grad():
        logits = classifier(batch.images)
    torch.testing.assert_close(losses["loss_cls"].detach(), F.cross_entropy(logits, batch.labels))
    assert (
        float(losses["error"]) == sum(int(row.argmax()) != label for row, label in zip(logits, batch.labels, strict=True)) / 4
    )
    assert not losses["error"].requires_grad


def small_classifier(mean_image: Tensor | None = None, convention: str = "torchvision") -> Classifier:
    torch.manual_seed(0)
    backbone = create_backbone("resnet18", width=4, num_classes=2)
    return Classifier(backbone, PIXEL_CONVENTIONS[convention], "ab", mean_image).eval()


def test_smoothed_and_mixed_targets() -> None:
    classifier = small_classifier()
    batch = Batch(torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8), torch.tensor([0, 1, 1, 0]))
    with torch.no_grad():
        log_p = classifier(batch.images).double().log_softmax(1)
    smoothed = 0.8 * F.one_hot(batch.labels, 2) + 0.2 / 2
    found = classification_step(classifier, batch, label_smoothing=0.2)["loss_cls"].detach()
    assert float(found) == pytest.approx(float(-(smoothed * log_p).sum(1).mean()), rel=1e-5)

    def mix(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        assert images.dtype == torch.float32  # normalized, not bytes
        return images.roll(1, 0), 0.3 * F.one_hot(labels, 2) + 0.7 * F.one_hot(labels.roll(1), 2)

    found_both = classification_step(classifier, batch, mix=mix)
    target = 0.3 * F.one_hot(batch.labels, 2) + 0.7 * F.one_hot(batch.labels.roll(1), 2)
    assert found_both["loss_cls"].item() == pytest.approx(float(-(target * log_p.roll(1, 0)).sum(1).mean()), rel=1e-5)
    assert float(found_both["error"]) == float((log_p.roll(1, 0).argmax(1) != batch.labels.roll(1)).double().mean())


@pytest.mark.parametrize("convention", ["torchvision", "msra"])
def test_a_mean_image_is_subtracted_pixel_by_pixel_and_its_colour_elsewhere(convention: str) -> None:
    mean_image = torch.rand(3, 40, 40) * 255
    classifier, std = small_classifier(mean_image, convention), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    # the mean of 40 x 40 numbers up to 255, and a handful of steps; the other convention divides by 255 and by about 0.22
    colour = (255 if convention == "msra" else 5) * walk(40 * 40, torch.float32)
    for size in (40, 56):
        images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
        expected = images.double() - (mean_image if size == 40 else mean_image.double().mean((1, 2), keepdim=True))
        expected = expected.flip(1) if convention == "msra" else expected / 255 / std
        assert_within(classifier.normalize(images), expected, colour)
        # a detector built on these weights knows the convention alone
        plain = images.double() - mean_image.double().mean((1, 2), keepdim=True)
        plain = plain.flip(1) if convention == "msra" else plain / 255 / std
        assert_within(classifier.pixels.normalize(images), plain, colour)
    assert torch.equal(classifier.state_dict()["mean_image"], mean_image)
    assert "mean_image" not in small_classifier().state_dict()


def test_outputs_and_names_must_agree_in_number() -> None:
    with pytest.raises(ConfigError, match="3 outputs for 2 class names"):
        Classifier(create_backbone("resnet18", width=2, num_classes=3), PIXEL_CONVENTIONS["msra"], ["a", "b"])
