"""On an Apple GPU: which names mean it, and that all that runs there gives the CPU's results without float64 on it.

The GPU is played (``fake_metal``): its numbers are a CPU's, its refusals its own.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fake_metal import METAL, MetalTensor, metal
from PIL import Image
from plain_task import PlainTask, plain_run
from tiny_detectors import picture, tiny_detector
from tiny_localizers import localizer_config, tiny_localizer
from torch import Tensor, nn

from resdet import system
from resdet.analysis.gradients import measure_gradients
from resdet.analysis.responses import measure_responses
from resdet.data.loading.batches import ClassificationBatch, DetectionBatch
from resdet.engine import hooks, seed
from resdet.engine.optimizer import build_sgd
from resdet.engine.precision import Precision
from resdet.engine.train_loop import train
from resdet.errors import ConfigError
from resdet.inference import device as devices
from resdet.inference.classifier import ImageClassifier, view_probabilities
from resdet.inference.detector import Improvements, detect_image
from resdet.inference.device import select_device
from resdet.inference.load_localizer import make_localizer
from resdet.inference.multi_scale import select_adjacent_scales
from resdet.models.backbones.bn_statistics import recompute_bn_statistics
from resdet.models.backbones.registry import create_backbone
from resdet.models.classifier import Classifier
from resdet.ops.precision import in_float64, number_format
from resdet.ops.voting import box_voting
from resdet.structures import PIXEL_CONVENTIONS, Target

# ----------------------------------------------------------------------------------------------------------------- names


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    devices._say_once.cache_clear()


@pytest.mark.usefixtures("apple")
@pytest.mark.parametrize("name", ["mps", "mps:0"])
@pytest.mark.parametrize(("variable", "said"), [(None, "ends the program"), ("0", "ends the program"), ("1", "runs there too")])
def test_an_apple_gpu_is_taken_when_asked_for_and_what_falls_back_is_said_once(
    name: str, variable: str | None, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    if variable is not None:
        monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", variable)
    with caplog.at_level(logging.INFO, "resdet"):
        assert select_device(name) == select_device(name) == torch.device("mps")
    assert len(caplog.messages) == 1
    assert said in caplog.messages[0]
    assert "float64" in caplog.messages[0]


@pytest.mark.usefixtures("apple")
def test_auto_leaves_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert select_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    ("built", "reason"), [(True, "it needs an Apple GPU and a newer macOS"), (False, "this torch is built without it")]
)
def test_one_that_is_not_there_is_refused(built: bool, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: built)
    with pytest.raises(ConfigError, match=f"^device 'mps': torch sees no Apple GPU on this machine: {reason}$"):
        select_device("mps")


@pytest.mark.parametrize(("platform", "before", "after"), [("darwin", None, "1"), ("darwin", "0", "0"), ("linux", None, None)])
def test_the_commands_let_the_cpu_help(
    platform: str, before: str | None, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {} if before is None else {"PYTORCH_ENABLE_MPS_FALLBACK": before}
    monkeypatch.setattr(system.os, "environ", environment)
    monkeypatch.setattr(sys, "platform", platform)
    system.give_missing_kernels_to_cpu()
    assert environment.get("PYTORCH_ENABLE_MPS_FALLBACK") == after


# --------------------------------------------------------------------------------------------------------------- formats


def test_bfloat16_is_refused_where_macos_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(*_: Any, dtype: torch.dtype, **__: Any) -> Tensor:
        if dtype == torch.bfloat16:
            raise TypeError("BFloat16 is not supported on MPS")
        return torch.empty(1)

    monkeypatch.setattr(torch, "zeros", zeros)
    assert number_format("fp16", METAL) == torch.float16
    assert number_format("fp32", METAL) == torch.float32
    with pytest.raises(ConfigError, match=r"'precision' bf16: mps has no such numbers here .*; fp32 will do"):
        number_format("bf16", METAL)


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps"])
def test_full_precision_asks_for_no_format_of_autocast(kind: str, recwarn: pytest.WarningsRecorder) -> None:
    context = Precision("fp32", torch.device(kind)).autocast()
    assert not context._enabled
    assert context.fast_dtype != torch.float32  # some versions warn of it at every step
    assert not [warning for warning in recwarn if "autocast" in str(warning.message)]


# -------------------------------------------------------------------------------------------------- randomness and memory


def test_randomness_of_the_gpu_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [torch.tensor([7], dtype=torch.uint8)]
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(
        torch, "mps", SimpleNamespace(get_rng_state=lambda: states[-1].clone(), set_rng_state=states.append), raising=False
    )
    with seed.preserved_randomness():
        states.append(torch.tensor([9], dtype=torch.uint8))
    assert [state.item() for state in states] == [7, 9, 7]


def test_memory_is_what_metal_has_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "mps", SimpleNamespace(driver_allocated_memory=lambda: 5 << 20), raising=False)
    assert hooks._peak_memory(METAL) == 5


# ------------------------------------------------------------------------------------------------------------ the player


def test_the_player_refuses_what_metal_does() -> None:
    with metal() as gpu:
        x = torch.arange(6.0, device=gpu).reshape(2, 3)
        assert (x @ x.t()).cpu().tolist() == [[5, 14], [14, 50]]
        for wrong in (
            x.double,
            lambda: torch.zeros(2, dtype=torch.float64, device=gpu),
            lambda: torch.ones(2, dtype=torch.float64).to(gpu),
        ):
            with pytest.raises(TypeError, match="float64"):
                wrong()
        with pytest.raises(RuntimeError, match="at least two"):
            x + torch.ones(2, 3)
        assert in_float64(x).dtype == torch.float64
        assert in_float64(x).tolist() == x.tolist()


# --------------------------------------------------------------------------------------------------------------- results


def close(found: Any, expected: Tensor) -> None:
    found = found.cpu() if isinstance(found, Tensor) else torch.tensor(found)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_votes_and_scales() -> None:
    draw = torch.Generator().manual_seed(0)
    corner = torch.rand(40, 2, generator=draw) * 60
    boxes = torch.cat([corner, corner + 5 + torch.rand(40, 2, generator=draw) * 40], 1)
    scores = torch.rand(40, generator=draw)
    expected = box_voting(boxes[:9], boxes, scores, 0.4)
    levels = [(64, 96), (128, 192), (256, 384)]
    with metal() as gpu:
        found = box_voting(boxes[:9].to(gpu), boxes.to(gpu), scores.to(gpu), 0.4)
        assert isinstance(found, MetalTensor)
        scales = select_adjacent_scales(boxes.to(gpu), (64, 96), levels)
        assert all(isinstance(each, MetalTensor) for each in scales)
    close(found, expected)
    for own, there in zip(select_adjacent_scales(boxes, (64, 96), levels), scales, strict=True):
        assert there.tolist() == own.tolist()


DETECTORS: dict[str, tuple[dict[str, Any], Improvements]] = {
    "plain": ({}, Improvements()),
    "improved": ({"test": {"vote_iou": 0.5, "soft_nms": "linear"}}, Improvements(refine=True, flip=True)),
    "with context": ({"roi": {"context": True}}, Improvements(short_sides=(64, 96))),
}


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("kind", DETECTORS)
def test_detectors(kind: str, prepared: bool) -> None:
    changes, improvements = DETECTORS[kind]
    members = [tiny_detector(number, **changes) for number in range(2)]
    pyramid = [picture(0, 64, 96), picture(1, 96, 144)] if improvements.short_sides else [picture()]
    expected = detect_image(members, picture(), improvements, pyramid=pyramid)
    assert len(expected.scores) > 3
    with metal() as gpu:
        there = [copy.deepcopy(model).to(gpu) for model in members]
        if prepared:
            there = [model.prepare() for model in there]
        found = detect_image(there, picture(), improvements, pyramid=pyramid)
        rows = found.to_coco()
        assert found.draw(Image.new("RGB", (96, 64))).size == (96, 64)
    close([row["score"] for row in rows], expected.scores)
    close(found.boxes, expected.boxes)


def test_localizers() -> None:
    image = Image.fromarray(picture(0, 80, 100).permute(1, 2, 0).numpy())
    test = localizer_config().test
    models = [tiny_localizer(number) for number in range(2)]
    expected = make_localizer([copy.deepcopy(model) for model in models], test, 64).predict(image, ["cat", "emu"])
    with metal() as gpu:
        found = make_localizer([copy.deepcopy(model).to(gpu) for model in models], test, 64).predict(image, ["cat", "emu"])
    close(found.boxes, expected.boxes)
    close(found.scores, expected.scores)


def trained(model: nn.Module, batch: Any, device: torch.device) -> dict[str, Tensor]:
    """The weights after two steps of the training loop, on the CPU."""
    task = PlainTask(model, lambda network, part: network.losses(part.images, part.targets), lambda _: iter([batch, batch]))
    options: dict[str, Any] = {"iterations": 2, "seed": 3, "device": device, "clip_norm": 5.0, "accumulate": 2}
    train(plain_run(task, build_sgd(model, 0.01, 0.9, 1e-4), lambda _: 0.01, **options))
    return {name: value.detach().cpu() for name, value in model.state_dict().items()}


def test_training_of_a_detector() -> None:
    box = torch.tensor([[8.0, 8, 40, 40], [30, 10, 80, 60]])
    targets = [Target(box, torch.tensor([0, 2]), (64, 96), image_id=number, path="p.jpg") for number in range(2)]
    batch = DetectionBatch([picture(number) for number in range(2)], targets, [(64, 96)] * 2)
    detector = tiny_detector(
        0,
        rpn={"pre_nms_top_n_train": 60, "post_nms_top_n_train": 20, "batch_size_per_image": 16},
        roi={"batch_size_per_image": 16},
    ).train()
    own = copy.deepcopy(detector)
    expected = trained(own, batch, torch.device("cpu"))
    with metal() as gpu:
        there = copy.deepcopy(detector).to(gpu)
        found = trained(there, batch, gpu)
    assert any(not torch.equal(expected[name], value) for name, value in detector.state_dict().items())
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5, msg=name)


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(
        create_backbone("resnet18", width=4, num_classes=6), PIXEL_CONVENTIONS["torchvision"], tuple("abcdef")
    ).eval()


def batches(count: int = 2) -> Iterator[Tensor]:
    return (torch.stack([picture(4 * number + place, 48, 48) for place in range(4)]) for number in range(count))


def test_classifiers(classifier: Classifier) -> None:
    image = Image.fromarray(picture(0, 48, 60).permute(1, 2, 0).numpy())
    expected = ImageClassifier(classifier, short_side=40, crop=32).predict(image)
    with metal() as gpu:
        found = ImageClassifier(copy.deepcopy(classifier).to(gpu), short_side=40, crop=32).predict(image)
    assert found.labels == expected.labels
    assert found.scores == pytest.approx(expected.scores, rel=1e-5)


def test_views_of_a_classifier(classifier: Classifier) -> None:
    views = [batch[:, None] for batch in batches()]
    with torch.no_grad():
        expected = view_probabilities(classifier, views)
        with metal() as gpu:
            found = view_probabilities(copy.deepcopy(classifier).to(gpu), views)
    torch.testing.assert_close(found.cpu().double(), expected, rtol=1e-5, atol=1e-6)


def test_statistics_of_bn(classifier: Classifier) -> None:
    with metal() as gpu:
        there = copy.deepcopy(classifier).to(gpu)
        assert recompute_bn_statistics(there, batches()) == 8
        found = {name: value.cpu() for name, value in there.named_buffers()}
    recompute_bn_statistics(classifier, batches())
    for name, value in classifier.named_buffers():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_analyses(classifier: Classifier) -> None:
    labelled = [ClassificationBatch(images, torch.tensor([0, 1, 2, 3]), ("",) * 4) for images in batches()]
    responses, gradients = measure_responses(classifier, batches()), measure_gradients(classifier, labelled)
    with metal() as gpu:
        there = copy.deepcopy(classifier).to(gpu)
        found_responses, found_gradients = measure_responses(there, batches()), measure_gradients(there, labelled)
    for own, other in zip(responses, found_responses, strict=True):
        assert other.deviation == pytest.approx(own.deviation, rel=1e-4)
    for own_gradient, other_gradient in zip(gradients, found_gradients, strict=True):
        assert other_gradient.norm == pytest.approx(own_gradient.norm, rel=1e-3)
