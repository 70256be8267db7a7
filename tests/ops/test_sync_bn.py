"""BN over several processes is torch's BN over the whole batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from in_ranks import in_ranks
from torch import Tensor, nn

from resdet.distributed.ranks import ALONE, Ranks
from resdet.ops.sync_bn import SharedBatchNorm2d, share_batch_norms

KINDS: list[dict[str, Any]] = [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}]


def whole() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 + 2 * torch.randn(7, 4, 5, 3, generator=generator, dtype=torch.float64)


def norm(kind: dict[str, Any]) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(4, **kind).double()
    if made.affine:
        torch.manual_seed(1)
        nn.init.uniform_(made.weight)
        nn.init.uniform_(made.bias)
    return made


def steps(ranks: Ranks, kind: dict[str, Any], shared: bool) -> dict[str, Any]:
    """Two batches through BN, and back."""
    model = nn.Sequential(norm(kind))
    if shared:
        share_batch_norms(model, ranks)
        assert isinstance(model[0], SharedBatchNorm2d)
    found = []
    for number in range(2):
        x = (whole() * (1 + number))[ranks.rank :: ranks.world].clone().requires_grad_()
        y = model(x)
        target = torch.linspace(-1, 1, 7 * 60, dtype=torch.float64).view(7, 4, 5, 3)[ranks.rank :: ranks.world]
        ((y - target) ** 3).sum().backward()
        found += [y.detach(), x.grad]
    return {
        "images": found,
        "gradients": [parameter.grad for parameter in model.parameters()],
        "state": model.state_dict(),
        "tested": model.eval()(whole()).detach(),
    }


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_equals_bn_of_the_whole_batch(kind: dict[str, Any]) -> None:
    expected = steps(ALONE, kind, False)
    for found in in_ranks(3, steps, kind, True):
        assert found["state"].keys() == expected["state"].keys()
        for name, value in expected["state"].items():
            torch.testing.assert_close(found["state"][name], value, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found["tested"], expected["tested"], rtol=1e-12, atol=1e-12)
    every = in_ranks(3, steps, kind, True)
    for number, exact in enumerate(expected["images"]):
        joined = torch.empty_like(exact)
        for rank, found in enumerate(every):
            joined[rank::3] = found["images"][number]
        torch.testing.assert_close(joined, exact, rtol=1e-11, atol=1e-11)
    for number, exact in enumerate(expected["gradients"]):
        torch.testing.assert_close(sum(found["gradients"][number] for found in every), exact, rtol=1e-11, atol=1e-11)


def test_only_plain_norms_are_replaced_and_keep_their_tensors() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4).eval()), nn.BatchNorm1d(4))
    before = dict(model.named_parameters()), dict(model.named_buffers())
    inner, plain = model[1][0], model[2]
    share_batch_norms(model, ALONE)
    assert model[2] is plain
    assert isinstance(model[1][0], SharedBatchNorm2d)
    assert model[1][0].training is inner.training is False
    after = dict(model.named_parameters()), dict(model.named_buffers())
    for now, then in zip(after, before, strict=True):
        assert now.keys() == then.keys()
        assert all(now[name] is then[name] for name in then)
