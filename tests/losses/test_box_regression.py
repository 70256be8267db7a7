import pytest
import torch

from resdet.losses.box_regression import box_regression_loss


@pytest.mark.parametrize("normalizer", [1, 4])
@pytest.mark.parametrize("beta", [0.0, 1 / 9, 1.0])
def test_against_the_formula(beta: float, normalizer: int) -> None:
    difference = torch.tensor([[0.0, 0.05, -0.5, 3.0]], dtype=torch.float32)
    expected = sum((0.5 * d * d / beta if abs(d) < beta else abs(d) - 0.5 * beta) for d in (0.0, 0.05, 0.5, 3.0))
    loss = box_regression_loss(difference, torch.zeros(1, 4), beta=beta, normalizer=normalizer)
    assert loss.item() == pytest.approx(expected / normalizer, rel=1e-6)


def test_no_positive_is_a_connected_zero() -> None:
    deltas = torch.randn(3, 4, requires_grad=True)
    loss = box_regression_loss(deltas[:0], torch.zeros(0, 4), beta=1.0, normalizer=0)
    loss.backward()
    assert loss.item() == 0
    assert deltas.grad is not None
    assert not deltas.grad.any()
