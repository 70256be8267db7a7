from __future__ import annotations

import pytest
import torch
from torch import nn

from resdet.engine.averaging import moving_average


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_follows_the_recurrence(decay: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = moving_average(model, decay)
    expected: dict[str, torch.Tensor] = {}
    for update in range(12):
        with torch.no_grad():
            for value in model.state_dict().values():
                value.add_(torch.randn_like(value.double()).to(value.dtype) if value.is_floating_point() else 3)
        average.update_parameters(model)
        keep = min(decay, (1 + update) / (10 + update)) if update else 0.0  # the first update takes all
        for name, value in model.state_dict().items():
            now = value.double()
            old = expected.get(name, now)
            expected[name] = keep * old + (1 - keep) * now if value.is_floating_point() else now
    for name, value in average.module.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_the_model_is_left_alone() -> None:
    model = nn.Linear(2, 2)
    average = moving_average(model, 0.9)
    with torch.no_grad():
        average.module.weight.add_(1.0)
    assert not torch.equal(model.weight, average.module.weight)
