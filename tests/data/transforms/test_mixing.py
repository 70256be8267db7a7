from __future__ import annotations

import pytest
import torch

from resdet.data.transforms.mixing import build_mixing


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Four images, each of its own constant colour, of four classes."""
    return torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 16).clone(), torch.arange(4)


def test_nothing_asked_for_is_nothing() -> None:
    assert build_mixing(0, 0, 10) is None


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_images_and_targets_are_mixed_in_the_same_proportion(mixup: float, cutmix: float) -> None:
    mix = build_mixing(mixup, cutmix, 4)
    assert mix is not None
    for seed in range(20):
        torch.manual_seed(seed)
        images, labels = batch()
        mixed, targets = mix(images, labels)
        assert targets.shape == (4, 4)
        torch.testing.assert_close(targets.sum(1), torch.ones(4))
        # the mean of an image is the mean of its classes' colours, weighted as the target says
        torch.testing.assert_close(mixed.mean((1, 2, 3)), targets @ torch.arange(4.0), rtol=1e-4, atol=1e-4)


def test_what_is_drawn_depends_on_the_global_generator_alone() -> None:
    mix = build_mixing(0.5, 0.5, 4)
    assert mix is not None
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(mix(*batch()))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_with_both_each_is_drawn_at_times() -> None:
    mix = build_mixing(0.5, 0.5, 4)
    assert mix is not None
    kinds = set()
    for seed in range(30):
        torch.manual_seed(seed)
        mixed, targets = mix(*batch())
        if float(targets.max()) < 0.95:
            kinds.add("mixup" if bool((mixed[0] == mixed[0, 0, 0, 0]).all()) else "cutmix")
    assert kinds == {"mixup", "cutmix"}
