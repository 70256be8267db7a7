"""A detector that a user has changed is prepared with the change: no fast form computes another network."""

from __future__ import annotations

import pytest
import torch
from changed_networks import BLOCK, CHANGES, CHANGES_AROUND, Change, at, doubled
from rounding import ALGEBRA, assert_near
from torch import Tensor, nn
from training_networks import losses_step, training_detector

from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.prepared.fold import FoldedBlock, FoldedTrunk, Kept
from resdet.models.detection.prepared.prepare import FoldedRegions, PreparedRPNHead
from resdet.models.detection.prepared.regions import RowsRegions
from resdet.models.detection.prepared.trunk import RowsTrunk
from resdet.models.detection.roi_heads import RoIHeads
from resdet.ops.kernels import Kernels

PLAIN = Kernels("torch")
REGIONS = [torch.tensor([[5.0, 5, 60, 50], [40, 20, 90, 60]]).double(), torch.tensor([[2.0, 10, 40, 65]]).double()]
PIXELS = torch.randn(2, 3, 49, 80, generator=torch.Generator().manual_seed(0)).double()
ALL = {**CHANGES, **CHANGES_AROUND}


class DoubledHeads(RoIHeads):
    def region_features(self, features: Tensor, boxes: list[Tensor]) -> Tensor:
        return 2 * super().region_features(features, boxes)


def changed(change: Change) -> FasterRCNN:
    model = training_detector().eval()
    torch.manual_seed(5)
    change(model)
    model.eval()
    return model


@torch.no_grad()
def everything(model: FasterRCNN) -> tuple[Tensor, ...]:
    features = model.trunk(PIXELS)
    return features, *model.rpn.head(features), model.roi_heads.region_features(features, REGIONS)


@pytest.mark.parametrize("name", ALL)
def test_a_changed_network_is_prepared_with_its_change(name: str) -> None:
    prepared, plain = changed(ALL[name]).prepare(kernels=PLAIN), changed(ALL[name])
    for found, expected in zip(everything(prepared), everything(plain), strict=True):
        assert_near(found, expected, ALGEBRA)


@pytest.mark.parametrize("name", ["weight norm, old", "pruned", "adapter", "hook of the trunk", "live BN"])
def test_so_is_one_that_has_trained(name: str) -> None:
    plain = changed(ALL[name]).train()
    losses_step(plain)
    for found, expected in zip(everything(plain.eval().prepare(kernels=PLAIN)), everything(plain), strict=True):
        assert_near(found, expected, ALGEBRA)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["adapter", "hook of the trunk", "hook of conv5", "hook of the RPN's convolution"])
def test_what_is_kept_computes_in_16_bits_too(name: str, dtype: torch.dtype) -> None:
    plain = changed(ALL[name]).float()
    prepared = plain.prepare(dtype, kernels=PLAIN)
    with torch.no_grad():
        features = plain.trunk(PIXELS.float())
        found = prepared.trunk(PIXELS.float()), prepared.roi_heads.region_features(features, [each.float() for each in REGIONS])
        expected = features, plain.roi_heads.region_features(features, [each.float() for each in REGIONS])
        found += prepared.rpn.head(features.to(dtype))
        expected += plain.rpn.head(features)
    for one, other in zip(found, expected, strict=True):
        # 8 or 11 bits, some tens of layers
        assert (one.float() - other).norm() <= 0.03 * other.norm()


def parts(model: FasterRCNN) -> tuple[type[nn.Module], ...]:
    regions = getattr(model.roi_heads, "regions", None)
    return type(model.trunk), type(model.rpn.head), type(regions)


def test_what_is_not_changed_is_as_fast_as_before() -> None:
    plain = changed(lambda _: None)
    assert parts(plain.prepare(kernels=PLAIN)) == (RowsTrunk, PreparedRPNHead, RowsRegions)
    assert parts(plain.prepare_for_training(PLAIN).prepare(kernels=PLAIN)) == (RowsTrunk, PreparedRPNHead, RowsRegions)
    one_block = changed(CHANGES["adapter"]).prepare(kernels=PLAIN)
    assert parts(one_block) == (FoldedTrunk, PreparedRPNHead, RowsRegions)
    assert sum(isinstance(part, FoldedBlock) for part in one_block.trunk.modules()) == 12
    assert parts(changed(CHANGES_AROUND["hook of the stem"]).prepare(kernels=PLAIN)) == (Kept, PreparedRPNHead, RowsRegions)
    assert parts(changed(CHANGES_AROUND["hook of conv5"]).prepare(kernels=PLAIN))[2] is FoldedRegions


@pytest.mark.parametrize("kind", ["hook", "subclass"])
def test_a_classifier_of_a_user_s_own_is_kept(kind: str) -> None:
    def change(model: FasterRCNN) -> None:
        if kind == "subclass":
            model.roi_heads.__class__ = DoubledHeads
        else:
            model.roi_heads.register_forward_hook(lambda _module, _inputs, found: (2 * found[0], found[1]))

    prepared, plain = changed(change).float().prepare(kernels=PLAIN), changed(change).float()
    features, boxes = plain.trunk(PIXELS.float()), [each.float() for each in REGIONS]
    with torch.no_grad():
        for found, expected in zip(*(m.roi_heads(features, boxes, [(49, 80)] * 2) for m in (prepared, plain)), strict=True):
            torch.testing.assert_close(found, expected)
    assert len(prepared.roi_heads.state_dict()) == len(plain.roi_heads.state_dict())
    mine = {tensor.data_ptr() for tensor in plain.parameters()}
    assert not any(tensor.data_ptr() in mine for tensor in prepared.parameters())


def test_a_change_after_preparing_is_not_seen() -> None:
    plain = changed(CHANGES["adapter"])
    prepared = plain.prepare(kernels=PLAIN)
    before = everything(prepared)
    at(f"{BLOCK}.conv2", lambda conv: conv.register_forward_hook(doubled))(plain)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.zero_()
    for found, expected in zip(everything(prepared), before, strict=True):
        assert torch.equal(found, expected)
