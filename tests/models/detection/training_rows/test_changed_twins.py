"""A twin of a detector that a user has changed computes the changed detector, and says once what runs as it is written."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import torch
from changed_networks import BLOCK, CHANGES, CHANGES_AROUND, Change, at, doubled, replaced
from rounding import ALGEBRA, assert_near
from torch import Tensor, nn
from training_networks import assert_same_step, step, training_detector

from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.training_rows import block, regions, rpn_head, trunk
from resdet.ops.kernels import Kernels

PLAIN = Kernels("torch")
LOG = "resdet.models.detection.training_rows"
# what is called by its container on rows, too: nothing need run as it is written
SEEN = {
    *("hook of a block", "another forward of a block", "hook of a stage", "another stage", "kernel of 5"),
    *("groups", "groups in a 1x1", "groups in a projection", "groups in conv5"),
    *("hook of the trunk", "hook of the pooling of the stem", "hook of the RPN's head"),
}
PLACES = {
    "hook of an identity": "trunk.layer2.1",
    "hook of the stem": "trunk",
    "dilated stem": "trunk",
    "another activation of the stem": "trunk",
    "hook of the RPN's convolution": "rpn.head",
    "adapter in the RPN": "rpn.head",
    "groups in the RPN": "rpn.head",
    "hook of conv5": "roi_heads",
    "hook of the stage of conv5": "roi_heads",
    "hook of a block of conv5": "roi_heads",
    "hook of the pooler": "roi_heads",
    "kernel of 5 in conv5": "roi_heads",
    "groups in a 1x1 of conv5": "roi_heads",
    "groups in the projection of conv5": "roi_heads",
    "hook of an identity of conv5": "roi_heads roi_heads.res5.layer4.1",
    "another block of conv5": "roi_heads roi_heads.res5.layer4.1",
    "dilation in conv5": "roi_heads roi_heads.res5.layer4.2",
    "adapter in conv5": "roi_heads roi_heads.res5.layer4.0",
}
REGIONS = [torch.tensor([[5.0, 5, 60, 50], [40, 20, 90, 60]]).double(), torch.tensor([[2.0, 10, 40, 65]]).double()]
PIXELS = torch.randn(2, 3, 49, 80, generator=torch.Generator().manual_seed(0)).double()


def changed(change: Change) -> FasterRCNN:
    model = training_detector()
    torch.manual_seed(5)
    change(model)
    return model


def everything(model: FasterRCNN, x: Tensor) -> Tensor:
    """What each part of the detector gives of images."""
    features = model.trunk(x)
    logits, deltas = model.rpn.head(features)
    regions = model.roi_heads.region_features(features, REGIONS)
    scales = (each / each.detach().abs().max() for each in (features, logits, deltas, regions))
    return torch.cat([each.flatten() for each in scales])


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith(LOG)]


@pytest.mark.parametrize("name", [*CHANGES, *CHANGES_AROUND])
def test_a_changed_network_trains_as_it_is_written(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    change = {**CHANGES, **CHANGES_AROUND}[name]
    plain, twin = changed(change), changed(change).prepare_for_training(PLAIN)
    for _ in range(2):  # what learns from a batch, as live BN does, goes on
        assert_same_step(step(twin, PIXELS, lambda x: everything(twin, x)), step(plain, PIXELS, lambda x: everything(plain, x)))
    messages = said(caplog)
    places = {message.split(" ")[0] for message in messages}
    assert places == (set() if name in SEEN else set(PLACES.get(name, BLOCK).split()))
    assert len(messages) == len(places)
    assert all("trains as it is written" in message for message in messages)


@pytest.mark.parametrize("name", sorted({*CHANGES, *CHANGES_AROUND} - {"quantization stubs"}))
def test_the_changes_change_something(name: str) -> None:
    change = {**CHANGES, **CHANGES_AROUND}[name]
    with torch.no_grad():
        found, expected = (everything_unscaled(model) for model in (changed(change), changed(lambda _: None)))
    assert any(one.shape != other.shape or not torch.allclose(one, other) for one, other in zip(found, expected, strict=True))


def everything_unscaled(model: FasterRCNN) -> tuple[Tensor, ...]:
    features = model.trunk(PIXELS)
    return features, *model.rpn.head(features), model.roi_heads.region_features(features, REGIONS)


def test_an_unchanged_network_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    twin = changed(lambda _: None).prepare_for_training(PLAIN)
    step(twin, PIXELS, lambda x: everything(twin, x))
    assert not said(caplog)


def test_one_changed_block_leaves_the_others_on_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[nn.Module] = []
    for module in (block, regions, rpn_head, trunk):
        written = module.conv_on_rows
        monkeypatch.setattr(
            module,
            "conv_on_rows",
            lambda rows, conv, *rest, w=written, **named: (seen.append(conv), w(rows, conv, *rest, **named))[1],
        )
    twin = changed(CHANGES["adapter"]).prepare_for_training(PLAIN)
    twin.rpn.head(twin.trunk(PIXELS))
    expected = [conv for conv in (*twin.trunk.modules(), *twin.rpn.head.modules()) if isinstance(conv, nn.Conv2d)]
    own = {id(conv) for conv in twin.get_submodule(BLOCK).modules()}
    assert {id(conv) for conv in seen} == {id(conv) for conv in expected} - own


@pytest.mark.filterwarnings("ignore:Full backward hook is firing when gradients are computed with respect to module outputs")
@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
@pytest.mark.parametrize(
    "place", [f"{BLOCK}.conv1", f"{BLOCK}.conv2", "trunk.conv1", "rpn.head.deltas", "roi_heads.res5.layer4.0.conv2"]
)
@pytest.mark.parametrize("early", [True, False])
def test_hooks_are_called_in_every_step(kind: str, place: str, early: bool) -> None:
    plain = training_detector().requires_grad_(True)
    twin = plain.prepare_for_training(PLAIN)  # the hook may come later, where a module is shared
    called: list[object] = []
    register = getattr(plain.get_submodule(place), f"register_{kind}_hook")
    handle = register(lambda module, *tensors: called.append(tensors[0][0] if "back" in kind else module))
    if early:
        twin = plain.prepare_for_training(PLAIN)
    for number in (1, 2):
        step(twin, PIXELS, lambda x: everything(twin, x))
        assert len(called) == number
    if kind == "full_backward_pre":
        assert all(isinstance(gradient, Tensor) and gradient.any() for gradient in called)
    handle.remove()
    step(twin, PIXELS, lambda x: everything(twin, x))
    assert len(called) == 2


@pytest.fixture
def global_hook() -> Iterator[list[nn.Module]]:
    called: list[nn.Module] = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: called.append(module))
    yield called
    handle.remove()


def test_a_hook_of_all_modules_is_called_for_all(global_hook: list[nn.Module]) -> None:
    plain = training_detector()
    twin = plain.prepare_for_training(PLAIN)
    global_hook.clear()
    found = everything(twin, PIXELS)
    own = [each for each in global_hook if isinstance(each, nn.Conv2d)]
    global_hook.clear()
    assert_near(found, everything(plain, PIXELS), ALGEBRA)
    assert own == [each for each in global_hook if isinstance(each, nn.Conv2d)]
    assert len(own) > 50


def test_what_is_changed_after_the_twin_was_made_counts_where_it_is_shared() -> None:
    for change in (
        at(f"{BLOCK}.conv1", lambda conv: conv.register_forward_hook(doubled)),
        at(f"{BLOCK}.conv2", replaced),
        at("roi_heads.res5.layer4.1.bn2", lambda norm: norm.register_forward_hook(doubled)),
    ):
        plain = training_detector()
        twin = plain.prepare_for_training(PLAIN)
        change(plain)
        assert_same_step(
            step(twin, PIXELS, lambda x, twin=twin: everything(twin, x)),
            step(plain, PIXELS, lambda x, plain=plain: everything(plain, x)),
        )
