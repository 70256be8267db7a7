"""The classifier: bytes in, logits out."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from resdet.errors import ConfigError
from resdet.models.classifier import Classifier, classification_step
from resdet.models.registry import create_backbone
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
    torch.testing.assert_close(classifier(images), backbone(prepared), rtol=1e-4, atol=1e-4)
    assert classifier.names == ("cat", "dog")


def test_step_gives_one_loss_connected_to_every_parameter() -> None:
    classifier = Classifier(create_backbone("resnet18", width=4, num_classes=2), PIXEL_CONVENTIONS["torchvision"], "ab")
    batch = Batch(torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8), torch.tensor([0, 1, 1, 0]))
    losses = classification_step(classifier, batch)
    assert list(losses) == ["loss_cls"]
    losses["loss_cls"].backward()
    assert all(parameter.grad is not None for parameter in classifier.parameters())
    with torch.no_grad():
        expected = F.cross_entropy(classifier(batch.images), batch.labels)
    torch.testing.assert_close(losses["loss_cls"].detach(), expected)


def test_outputs_and_names_must_agree_in_number() -> None:
    with pytest.raises(ConfigError, match="3 outputs for 2 class names"):
        Classifier(create_backbone("resnet18", width=2, num_classes=3), PIXEL_CONVENTIONS["msra"], ["a", "b"])
