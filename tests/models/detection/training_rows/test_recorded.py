"""Which passes are replayed, and where gradients go; a stand-in repeats passes in fixed memory, for a CPU records nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from repeated_passes import Repeated
from torch import Tensor, nn

from resdet.models.detection.training_rows.recorded import Recorded, record_passes, recording_misfit


def small_module() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1))
    module[0].weight.requires_grad_(False)
    return module


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Repeated]:
    """The recordings that were made."""
    made: list[Repeated] = []
    monkeypatch.setattr(Repeated, "made", made)
    return made


def step(module: Callable[[Tensor], Tensor], parameters: Sequence[nn.Parameter], x: Tensor) -> list[Tensor | None]:
    """The result and the gradients, on top of those that the parameters have, of a loss that reads the result twice."""
    y = module(x)
    (y.square().sum() + y.sum()).backward()
    return [y.detach().clone(), *(None if each.grad is None else each.grad.clone() for each in (x, *parameters))]


@pytest.mark.parametrize("needs_gradient", [True, False])
def test_results_and_gradients_are_the_modules_own(made: list[Repeated], needs_gradient: bool) -> None:
    """Step by step, with inputs that differ; and over two steps without emptying the gradients between them."""
    plain, module = small_module(), small_module()
    recorded = Recorded(module, Repeated)
    for number in range(8):
        x = torch.randn(2, 3, 5, 6)
        both = [
            step(call, list(owner.parameters()), x.clone().requires_grad_(needs_gradient))
            for call, owner in ((plain, plain), (recorded, module))
        ]
        for mine, other in zip(*both, strict=True):
            assert (mine is None) == (other is None)
            assert mine is None or torch.equal(mine, other)
        for own, other in zip(plain.parameters(), module.parameters(), strict=True):
            with torch.no_grad():
                if own.grad is not None:
                    own -= 0.1 * own.grad
                    other -= 0.1 * other.grad
        if number % 2:
            for owner in (plain, module):
                owner.zero_grad()
    assert [each.replays for each in made] == [6]


def test_gradients_lie_as_their_parameters(made: list[Repeated]) -> None:
    module = small_module()
    recorded = Recorded(module, Repeated)
    for _ in range(3):
        recorded(torch.randn(2, 3, 5, 6).to(memory_format=torch.channels_last)).sum().backward()
    for parameter in module.parameters():
        assert parameter.grad is None or parameter.grad.stride() == parameter.stride()
    assert made


def test_kinds_of_input(made: list[Repeated]) -> None:
    """A shape is recorded at its third appearance, for each number format; eight of them at most."""
    recorded = Recorded(small_module(), Repeated)

    def replays(x: Tensor, times: int) -> int:
        before = sum(each.replays for each in made)
        for _ in range(times):
            recorded(x).sum().backward()
        return sum(each.replays for each in made) - before

    assert replays(torch.randn(1, 3, 4, 4), 2) == 0
    assert replays(torch.randn(1, 3, 4, 5), 2) == 0
    assert replays(torch.randn(1, 3, 4, 4), 2) == 2
    with torch.autocast("cpu", torch.bfloat16):
        assert replays(torch.randn(1, 3, 4, 4), 3) == 1
    for width in range(6, 12):
        assert replays(torch.randn(1, 3, 4, width), 3) == 1
    assert len(made) == 8
    assert replays(torch.randn(1, 3, 4, 12), 5) == 0
    assert replays(torch.randn(0, 3, 4, 4), 5) == 0


def test_what_is_not_trained_is_not_replayed(made: list[Repeated]) -> None:
    module = small_module()
    recorded, x = Recorded(module, Repeated), torch.randn(1, 3, 4, 4)
    for _ in range(5):
        with torch.no_grad():
            assert torch.equal(recorded(x), module(x))
    module.requires_grad_(False)
    frozen = Recorded(module, Repeated)
    for _ in range(5):
        frozen(x)
    assert not made


def test_a_second_use_before_the_way_back_runs_as_it_is_written(made: list[Repeated]) -> None:
    """Its memory is that of the first. A use that is dropped without a way back stands in nobody's way."""
    module = small_module()
    recorded = Recorded(module, Repeated)
    inputs = [torch.randn(1, 3, 4, 4) for _ in range(3)]
    for x in inputs:
        recorded(x).sum().backward()
    module.zero_grad()
    sum((recorded(x).square().sum() for x in inputs), torch.zeros(())).backward()
    assert made[0].replays == 2
    expected = small_module()
    sum((expected(x).square().sum() for x in inputs), torch.zeros(())).backward()
    for mine, other in zip(module.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    recorded(inputs[0])
    recorded(inputs[0])
    assert made[0].replays == 4


def test_hooks_and_chance_are_not_recorded(caplog: pytest.LogCaptureFixture) -> None:
    for inner, why in ((nn.BatchNorm2d(3), "a BatchNorm2d"), (nn.Dropout(), "a Dropout")):
        assert recording_misfit(nn.Sequential(inner)) == why
    module = small_module()
    assert recording_misfit(module) == ""
    module.register_forward_hook(lambda *_: None)  # around it, which is called all the same
    assert recording_misfit(module) == ""
    module[0].register_forward_hook(lambda *_: None)
    with caplog.at_level("INFO"):
        assert not record_passes(module)
    assert "are not recorded, which takes longer: a hook of a Conv2d" in caplog.text
    assert "forward" not in vars(module)
