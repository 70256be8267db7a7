"""Two networks with the same tensors train side by side."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def assert_same_training(ours: nn.Module, theirs: nn.Module, dtype: torch.dtype, tolerance: float) -> None:
    """Three steps of SGD: logits, all gradients, running statistics and weights; then the logits in eval mode.

    Every tensor is held to ``tolerance`` times its largest number (at least 1).

    Args:
        ours: of 7 classes; it takes over the state of ``theirs``, whose parameters are in the same order.
        theirs: of 7 classes.
        dtype: that both compute in.
        tolerance: see above.
    """
    ours.to(dtype).load_state_dict(theirs.to(dtype).state_dict(), strict=True)
    images, labels = torch.randn(3, 2, 3, 40, 33, dtype=dtype), torch.tensor([[1, 5], [0, 6], [3, 3]])
    optimizers = [torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4) for model in (ours, theirs)]
    for batch, wanted in zip(images, labels, strict=True):
        logits = []
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            logits.append(model(batch))
            optimizer.zero_grad()
            F.cross_entropy(logits[-1], wanted).backward()
        _assert_close("logits", *logits, tolerance)
        for (key, actual), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            _assert_close(f"gradient of {key}", actual.grad, expected.grad, tolerance)
        for optimizer in optimizers:
            optimizer.step()
        actual_state, expected_state = ours.state_dict(), theirs.state_dict()
        for key, expected in expected_state.items():
            _assert_close(key, actual_state[key], expected, tolerance)
    with torch.no_grad():
        _assert_close("logits in eval mode", ours.eval()(images[0]), theirs.eval()(images[0]), tolerance)


def _assert_close(what: str, actual: Tensor, expected: Tensor, tolerance: float) -> None:
    if not torch.equal(actual, expected):  # quick where all digits agree
        scale = max(float(expected.detach().abs().max()), 1)
        torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance * scale, msg=lambda text: f"{what}: {text}")
