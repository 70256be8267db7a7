"""Recomputed BN statistics against float64 moments of everything a layer saw."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from resdet.errors import ConfigError
from resdet.models.backbones.bn_statistics import recompute_bn_statistics, statistics_are_folded, unfold_bn_statistics
from resdet.models.backbones.registry import create_backbone


def _oracle(model: nn.Module, batches: list[Tensor], *, training: bool = True) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Keep every input of every norm in float64, then take numpy's mean and unbiased variance."""
    seen: dict[str, list[np.ndarray]] = {}
    for name, part in model.named_modules():
        if isinstance(part, nn.BatchNorm2d):
            seen[name] = []
            part.register_forward_pre_hook(
                lambda _, inputs, name=name: seen[name].append(inputs[0].detach().numpy().astype(np.float64).copy())
            )
    model.train(training)
    with torch.no_grad():
        for batch in batches:
            model(batch)
    statistics = {}
    for name, values in seen.items():
        positions = np.concatenate([value.transpose(1, 0, 2, 3).reshape(value.shape[1], -1) for value in values], axis=1)
        statistics[name] = (positions.mean(1), positions.var(1, ddof=1))
    return statistics


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
@pytest.mark.parametrize("sizes", [(8,), (4, 4, 3), (6, 2)])
def test_equals_the_moments_of_all_images(dtype: torch.dtype, tolerance: float, sizes: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = create_backbone("resnet18", width=4, num_classes=3).to(dtype)
    # an offset a hundred times the spread: a sum of squares would lose its digits here
    batches = [torch.randn(size, 3, 64, 48, dtype=dtype) + 100 for size in sizes]
    other = create_backbone("resnet18", width=4, num_classes=3).to(dtype)
    other.load_state_dict(model.state_dict())
    expected = _oracle(other, batches)
    assert recompute_bn_statistics(model, iter(batches)) == sum(sizes)
    for name, (mean, variance) in expected.items():
        norm = model.get_submodule(name)
        np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=tolerance, atol=tolerance * np.sqrt(variance.max()))
        np.testing.assert_allclose(norm.running_var.numpy(), variance, rtol=tolerance * 10)


def test_first_layer_does_not_depend_on_how_the_batches_are_cut() -> None:
    torch.manual_seed(0)
    images = torch.randn(12, 3, 40, 40, dtype=torch.float64) * torch.arange(1, 13).view(-1, 1, 1, 1)
    found = []
    for size in (12, 5, 4, 2):
        model = create_backbone("resnet18", width=4)
        model.load_state_dict({key: torch.full_like(value, 0.01) for key, value in model.state_dict().items()})
        recompute_bn_statistics(model.double(), images.split(size))
        found.append(torch.stack([model.bn1.running_mean, model.bn1.running_var]))
    for statistics in found[1:]:
        torch.testing.assert_close(statistics, found[0], rtol=1e-12, atol=1e-14)


def test_a_lone_last_image_joins_the_batch_before_it() -> None:
    torch.manual_seed(0)
    images = torch.randn(9, 3, 32, 32)  # conv5 is 1x1 here: alone, an image would have no variance
    model, other = (create_backbone("resnet18", width=4) for _ in range(2))
    other.load_state_dict(model.state_dict())
    assert recompute_bn_statistics(model, images.split(4)) == 9
    recompute_bn_statistics(other, [images[:4], images[4:]])
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_nothing_but_the_statistics_changes() -> None:
    model = create_backbone("resnet18", width=4).eval()
    model.layer1.train()
    modes = [part.training for part in model.modules()]
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    recompute_bn_statistics(model, [torch.randn(4, 3, 32, 32)])
    assert [part.training for part in model.modules()] == modes
    assert model.bn1.momentum == 0.1
    assert not model.bn1._forward_pre_hooks
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key]) != key.endswith(("running_mean", "running_var", "num_batches_tracked")), key


def test_a_failure_leaves_the_statistics_and_the_modes_alone() -> None:
    model = create_backbone("resnet18", width=4)

    def batches():
        yield torch.randn(4, 3, 32, 32)
        yield torch.randn(4, 3, 32, 32)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        recompute_bn_statistics(model, batches())
    assert all(part.training for part in model.modules())
    assert (model.bn1.running_var == 1).all()
    assert model.bn1.momentum == 0.1


@pytest.mark.parametrize(("batches", "count"), [([], 0), ([torch.zeros(1, 3, 32, 32)], 1)])
def test_fewer_than_two_images_are_refused(batches: list[Tensor], count: int) -> None:
    with pytest.raises(ConfigError, match=f"at least 2 images, got {count}"):
        recompute_bn_statistics(create_backbone("resnet18", width=4), batches)


def _folded(dtype: torch.dtype) -> nn.Module:
    """A network with any scales and shifts, and no statistics."""
    torch.manual_seed(0)
    model = create_backbone("resnet18", width=4, num_classes=3).to(dtype)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.3, 0.9)
            nn.init.uniform_(part.bias, -0.5, 0.5)
    return model


def test_unfolded_statistics_are_those_of_the_images_and_the_function_stays() -> None:
    model = _folded(torch.float64).train()
    assert statistics_are_folded(model)
    batches = [torch.randn(size, 3, 64, 48, dtype=torch.float64) for size in (4, 3)]
    before = [model.eval()(batch) for batch in batches]
    expected = _oracle(copy.deepcopy(model), batches, training=False)
    unfold_bn_statistics(model.train(), iter(batches))
    assert model.training
    assert not statistics_are_folded(model)
    for batch, logits in zip(batches, before, strict=True):
        torch.testing.assert_close(model.eval()(batch), logits, rtol=1e-10, atol=1e-10)
    for name, (mean, variance) in expected.items():
        norm = model.get_submodule(name)
        np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(norm.running_var.numpy(), variance, rtol=1e-10)
