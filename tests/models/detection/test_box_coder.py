import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchvision.models.detection._utils import BoxCoder as TorchvisionCoder

from resdet.models.detection.box_coder import BoxCoder

WEIGHTS = [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]


def to_boxes(array: np.ndarray) -> torch.Tensor:
    corner, side = torch.from_numpy(array[:, :2]), torch.from_numpy(array[:, 2:]).abs() + 1
    return torch.cat([corner, corner + side], dim=1).float()


pairs = hnp.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(8)), elements=st.floats(-300, 300, width=32))


@pytest.mark.parametrize("weights", WEIGHTS)
@settings(max_examples=50, deadline=None)
@given(pairs)
def test_decode_is_the_inverse_of_encode(weights: tuple[float, float, float, float], array: np.ndarray) -> None:
    boxes, references = to_boxes(array[:, :4]), to_boxes(array[:, 4:])
    ratio = (boxes[:, 2:] - boxes[:, :2]) / (references[:, 2:] - references[:, :2])
    boxes, references = boxes[(ratio < 62).all(1)], references[(ratio < 62).all(1)]  # beyond, decode stops on purpose
    coder = BoxCoder(weights)
    torch.testing.assert_close(coder.decode(coder.encode(boxes, references), references), boxes, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_equals_torchvision(weights: tuple[float, float, float, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    boxes = to_boxes(torch.randn(20, 4, generator=generator).mul(100).numpy())
    references = to_boxes(torch.randn(20, 4, generator=generator).mul(100).numpy())
    ours, theirs = BoxCoder(weights), TorchvisionCoder(weights)
    torch.testing.assert_close(ours.encode(boxes, references), theirs.encode([boxes], [references])[0], rtol=1e-5, atol=1e-5)
    deltas = torch.randn(20, 3, 4, generator=generator)
    theirs_decoded = theirs.decode(deltas.flatten(1), [references])
    torch.testing.assert_close(ours.decode(deltas, references[:, None]), theirs_decoded, rtol=1e-5, atol=1e-3)


def test_growth_is_limited_and_finite() -> None:
    reference = torch.tensor([[0.0, 0, 16, 16]])
    box = BoxCoder().decode(torch.tensor([[0.0, 0, 1e9, 1e9]]), reference)
    assert (box[0, 2] - box[0, 0]).item() == pytest.approx(1000, rel=1e-5)
    assert math.isfinite(box.sum().item())
