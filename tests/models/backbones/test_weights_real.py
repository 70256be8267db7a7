"""The real weights: what they fit, and what they are refused for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from resdet.errors import ConfigError, DataError
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.weights import LoadReport, load_backbone_weights
from resdet.models.backbones.weights.evidence import input_scale
from resdet.models.backbones.weights.read import read_weights
from resdet.ops.frozen_bn import freeze_batch_norm, looks_unloaded
from resdet.structures import PIXEL_CONVENTIONS

pytestmark = pytest.mark.real

PQ18, MSRA50 = "resnet18_imagenet_pq.fp16.pth", "resnet50_msra_bgr_stride_in_1x1.fp16.pth"


@pytest.fixture(scope="module")
def weights(shared_data: Path) -> Path:
    return shared_data / "weights"


def _load(path: Path, name: str, pixels: str | None, stride_in_1x1: bool = False) -> LoadReport:
    network = create_backbone(name, stride_in_1x1=stride_in_1x1)
    return load_backbone_weights(network, path, pixels=pixels and PIXEL_CONVENTIONS[pixels], stride_in_1x1=stride_in_1x1)


def test_loads_the_resnet18_whose_statistics_are_folded(weights: Path) -> None:
    network = create_backbone("resnet18")
    report = load_backbone_weights(network, weights / PQ18, pixels=None, stride_in_1x1=False)
    assert (len(report.loaded), report.missing, report.unexpected, dict(report.mismatched)) == (102, (), (), {})
    assert report.pixels == PIXEL_CONVENTIONS["torchvision"]
    assert looks_unloaded(freeze_batch_norm(network))
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def test_loads_the_authors_resnet50(weights: Path) -> None:
    report = _load(weights / MSRA50, "resnet50", "msra", stride_in_1x1=True)
    assert (len(report.loaded), report.misfits()) == (267, [])
    assert report.pixels == PIXEL_CONVENTIONS["msra"]


@pytest.mark.parametrize(
    ("file", "name", "pixels", "stride", "messages"),
    [
        (PQ18, "resnet34", None, False, ["look like resnet18 do not fit option 'model.backbone.name'=resnet34"]),
        (PQ18, "resnet50", None, False, ["look like resnet18"]),
        (MSRA50, "resnet101", "msra", True, ["look like resnet50 do not fit option 'model.backbone.name'=resnet101"]),
        (MSRA50, "resnet50", None, True, ["set model.backbone.pixels=msra"]),
        (MSRA50, "resnet50", "torchvision", True, ["set model.backbone.pixels=msra"]),
        (MSRA50, "resnet50", "msra", False, ["set model.backbone.stride_in_1x1=true"]),
        (MSRA50, "resnet50", None, False, ["set model.backbone.pixels=msra", "set model.backbone.stride_in_1x1=true"]),
    ],
)
def test_wrong_uses_are_refused(
    weights: Path, file: str, name: str, pixels: str | None, stride: bool, messages: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(weights / file, name, pixels, stride)
    assert len(caught.value.problems) == len(messages)
    for message, problem in zip(messages, caught.value.problems, strict=True):
        assert message in problem


def test_evidence_of_the_real_files(weights: Path) -> None:
    assert input_scale(read_weights(weights / PQ18).state) is None
    msra = read_weights(weights / MSRA50).state
    assert input_scale(msra) == pytest.approx(58, rel=0.25)
    # the same network rewritten for torchvision's pixels: other filters, the same outputs, so the same statistics
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    assert input_scale({**msra, "conv1.weight": msra["conv1.weight"].flip(1) * 255 * std}) == pytest.approx(1, rel=0.25)


@pytest.mark.parametrize("file", ["cifar10_resnet20-12fca82f.th", "cifar10_resnet56-4bfd9763.th"])
def test_public_cifar_weights_fit(weights: Path, file: str) -> None:
    name = f"cifar_resnet{file.removeprefix('cifar10_resnet')[:2]}"
    assert _load_cifar(weights / file, name).misfits() == []


def _load_cifar(path: Path, name: str) -> LoadReport:
    return load_backbone_weights(create_backbone(name), path, pixels=None, stride_in_1x1=False)


def test_a_truncated_real_file_is_bad_data(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes((weights / PQ18).read_bytes()[:10_000_000])
    with pytest.raises(DataError, match=r"cut\.pth: .*truncated"):
        _load(path, "resnet18", None)
