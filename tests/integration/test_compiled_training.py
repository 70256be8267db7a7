"""``run.compile`` of a detector: the same losses and gradients, for images of different sizes."""

import copy

import pytest
import torch
from tiny_detectors import picture, tiny_detector
from torch import Tensor

from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.structures import Target
from resdet.training.start import convolutions


def losses_and_gradients(model: FasterRCNN, size: tuple[int, int]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    boxes = torch.tensor([[5.0, 5, 40, 40], [20, 30, 60, 64]])
    torch.manual_seed(1)
    model.zero_grad()
    losses = model.losses([picture(1, *size)], [Target(boxes, torch.tensor([0, 1]), size, 0)])
    torch.stack(list(losses.values())).sum().backward()
    return losses, {name: each.grad for name, each in model.named_parameters() if each.grad is not None}


@pytest.mark.slow
def test_a_compiled_detector_trains_as_the_plain_one() -> None:
    plain = tiny_detector().train()
    compiled = copy.deepcopy(plain)
    for part in convolutions(compiled):
        part.compile()
    for size in ((96, 128), (70, 100)):  # the second one asks for code of any shape
        (losses, gradients), (expected, others) = (losses_and_gradients(model, size) for model in (compiled, plain))
        torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-6)
        assert gradients.keys() == others.keys()
        assert len(gradients) > 20
        for name, gradient in gradients.items():
            assert (gradient - others[name]).norm() <= 1e-3 * others[name].norm(), name
