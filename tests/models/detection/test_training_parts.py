"""The losses of one part or both, with the RPN's proposals or others, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from plain_task import PlainTask, plain_run
from torch import Tensor

from resdet.config.schema import AnchorConfig, BackboneConfig, DetectorConfig, RoIConfig, RPNConfig
from resdet.data.loading.batches import DetectionBatch
from resdet.engine.optimizer import build_sgd
from resdet.engine.seed import step_seed
from resdet.engine.train_loop import train
from resdet.models.build import build_detector
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.structures import Target, TargetBatch

RPN_LOSSES = {"loss_rpn_cls", "loss_rpn_box"}
ROI_LOSSES = {"loss_roi_cls", "loss_roi_box"}


@pytest.fixture
def detector() -> FasterRCNN:
    return build()


def build(**roi: object) -> FasterRCNN:
    torch.manual_seed(0)
    config = DetectorConfig(
        BackboneConfig("resnet18", width=8),
        freeze_at=0,
        anchors=AnchorConfig(sizes=[16.0, 32.0]),
        rpn=RPNConfig(
            batch_size_per_image=10**6,
            positive_fraction=1.0,
            pre_nms_top_n_train=60,
            post_nms_top_n_train=20,
            pre_nms_top_n_test=60,
            post_nms_top_n_test=5,
        ),
        roi=RoIConfig(**{"batch_size_per_image": 10**6, "positive_fraction": 1.0, **roi}),
    )
    with pytest.warns(UserWarning, match="frozen BN"):
        return build_detector(config, ["a", "b", "c"]).train()


def images(count: int = 2, size: tuple[int, int] = (64, 80)) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(256, (3, *size), dtype=torch.uint8, generator=generator) for _ in range(count)]


def target(*boxes: list[float], ignore: list[bool] | None = None, size: tuple[int, int] = (64, 80)) -> Target:
    flags = torch.tensor(ignore or [False] * len(boxes), dtype=torch.bool)
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Target(rows, torch.arange(len(boxes)) % 3, size, image_id=4, path="p.jpg", ignore=flags)


OBJECTS = [target([4, 4, 30, 30], [40, 20, 75, 60]), target([10, 20, 60, 50])]


def test_the_parts_are_the_halves_of_the_joint_losses(detector: FasterRCNN) -> None:
    joint = detector.losses(images(), OBJECTS)
    assert set(joint) == RPN_LOSSES | ROI_LOSSES
    rpn = detector.losses(images(), OBJECTS, parts=("rpn",))
    roi = detector.losses(images(), OBJECTS, parts=("roi",))
    assert (set(rpn), set(roi)) == (RPN_LOSSES, ROI_LOSSES)
    # batches are larger than what there is, so nothing is drawn by chance
    for name, value in joint.items():
        assert torch.equal({**rpn, **roi}[name], value)


@pytest.mark.parametrize("pooling", ["align", "pool"])
def test_16_bits_train_with_either_pooling(pooling: str) -> None:
    detector = build(pooling=pooling)
    plain = detector.losses(images(), OBJECTS)
    with torch.autocast("cpu", torch.bfloat16):
        losses = detector.losses(images(), OBJECTS)
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(plain[name].item(), rel=0.05, abs=0.01)
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in detector.parameters() if parameter.grad is not None)


def test_proposals_take_the_place_of_the_rpn_s(detector: FasterRCNN) -> None:
    own = [boxes for boxes, _ in detector.propose(images())]
    joint = detector.losses(images(), OBJECTS)
    given = detector.losses(images(), OBJECTS, own)
    assert all(torch.equal(given[name], value) for name, value in joint.items())
    other = [torch.tensor([[0.0, 0, 40, 40]]), torch.zeros(0, 4)]
    changed = detector.losses(images(), OBJECTS, other)
    assert all(torch.equal(changed[name], joint[name]) for name in RPN_LOSSES)
    by_hand = detector.roi_heads.losses(
        features(detector), detector.roi_heads.sample_regions(other, TargetBatch.from_targets(OBJECTS))
    )
    assert all(torch.equal(changed[name], by_hand[name]) for name in ROI_LOSSES)
    alone = detector.losses(images(), OBJECTS, other, parts=("roi",))
    assert all(torch.equal(alone[name], by_hand[name]) for name in ROI_LOSSES)


def features(detector: FasterRCNN) -> Tensor:
    return detector.trunk(torch.stack([detector.pixels.normalize(image) for image in images()]))


def test_with_proposals_the_region_classifier_does_not_ask_the_rpn(
    detector: FasterRCNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector.rpn, "predict", lambda _: pytest.fail("asked"))
    detector.losses(images(), OBJECTS, [torch.zeros(0, 4)] * 2, parts=("roi",))


@pytest.mark.parametrize(
    ("part", "proposals", "trained"),
    [("rpn", None, ("trunk.", "rpn.")), ("roi", [torch.tensor([[0.0, 0, 40, 40]])] * 2, ("trunk.", "roi_heads."))],
)
def test_a_part_sends_gradients_to_itself_and_the_trunk(
    detector: FasterRCNN, part: str, proposals: list[Tensor] | None, trained: tuple[str, ...]
) -> None:
    sum(detector.losses(images(), OBJECTS, proposals, parts=(part,)).values()).backward()
    for name, parameter in detector.named_parameters():
        assert (parameter.grad is not None) == name.startswith(trained), name


def test_what_is_proposed_for_training_is_what_training_sees(detector: FasterRCNN) -> None:
    found = detector.eval().propose(images())
    expected, _ = detector.train().rpn(features(detector), [(64, 80)] * 2)
    assert all(torch.equal(boxes, other) for (boxes, _), other in zip(found, expected, strict=True))
    for boxes, scores in found:
        assert 5 < len(boxes) <= 20
        assert (scores[:-1] >= scores[1:]).all()
        assert not boxes.requires_grad


@pytest.mark.parametrize("parts", [("rpn", "roi"), ("rpn",), ("roi",)])
@pytest.mark.parametrize("ignored", [False, True])
def test_batches_without_objects_have_all_losses_finite_and_connected(
    detector: FasterRCNN, parts: tuple[str, ...], ignored: bool
) -> None:
    nothing = target([0, 0, 80, 64], ignore=[True]) if ignored else target()
    losses = detector.losses(images(), [nothing] * 2, parts=parts)
    assert set(losses) == {name for part in parts for name in (RPN_LOSSES if part == "rpn" else ROI_LOSSES)}
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(value == 0 for name, value in losses.items() if name.endswith("box"))
    sum(losses.values()).backward()
    reached = ("trunk.",) + ("rpn.",) * ("rpn" in parts) + ("roi_heads.",) * ("roi" in parts)
    for name, parameter in detector.named_parameters():
        assert (parameter.grad is not None) == name.startswith(reached), name
        assert parameter.grad is None or parameter.grad.isfinite().all()


def test_an_empty_image_beside_one_with_objects_adds_background_only(detector: FasterRCNN) -> None:
    proposals = [torch.tensor([[40.0, 20, 75, 60]]), torch.tensor([[0.0, 0, 40, 40], [5.0, 5, 20, 20]])]
    regions = detector.roi_heads.sample_regions(proposals, TargetBatch.from_targets([OBJECTS[0], target()]))
    assert [len(boxes) for boxes in regions.boxes] == [3, 2]  # two objects and the proposal that is one; two of background
    assert regions.labels.tolist() == [1, 0, 1, 3, 3]


def test_crowds_and_difficult_objects_are_neither_objects_nor_background(detector: FasterRCNN) -> None:
    truth = TargetBatch.from_targets([target([0, 0, 40, 40], [44, 0, 80, 60], ignore=[False, True])])
    proposals = torch.tensor(
        [
            [0.0, 0, 40, 36],  # the object
            [44.0, 0, 80, 58],  # the ignored one
            [46.0, 10, 60, 30],  # inside the ignored one
            [40.0, 0, 48, 20],  # half in it
            [39.0, 0, 46.9, 20],  # 2.9 / 7.9 in it: background
            [0.0, 44, 30, 64],  # away from both: background
        ]
    )
    regions = detector.roi_heads.sample_regions([proposals], truth)
    chosen = {tuple(box): label for box, label in zip(regions.boxes[0].tolist(), regions.labels.tolist(), strict=True)}
    expected = {tuple(proposals[0].tolist()): 0, (0, 0, 40, 40): 0}  # the object itself is a candidate, the ignored one is not
    expected |= {tuple(proposals[row].tolist()): 3 for row in (4, 5)}
    assert chosen == expected
    # the RPN: of the anchors 32 wide, those with half their area in the ignored object and none on the object stay out
    logits = torch.zeros(1, 4 * 5 * 6)
    losses = {}
    for name, value in (("background", 40.0), ("object", -40.0)):
        losses[name] = detector.rpn.losses(logits + value, torch.zeros(1, 120, 4), detector.rpn.anchors(4, 5), truth)
    assert 0 < losses["background"]["loss_rpn_cls"] < 40
    only_ignored = TargetBatch.from_targets([target([-100, -100, 200, 200], ignore=[True])])
    nothing = detector.rpn.losses(logits + 40, torch.zeros(1, 120, 4), detector.rpn.anchors(4, 5), only_ignored)
    assert nothing["loss_rpn_cls"] == 0


@pytest.mark.parametrize("clip_norm", [0.0, 0.05])
def test_parts_of_a_batch_and_clipping_give_the_step_written_out(clip_norm: float) -> None:
    """One step of 4 images in 2 parts: the gradient is the mean over the parts, and its length is cut."""
    batch = DetectionBatch(images(4), [*OBJECTS, target(), target([4, 4, 30, 30], [0, 0, 80, 64], ignore=[False, True])])
    model, twin = build(batch_size_per_image=8, positive_fraction=0.5), build(batch_size_per_image=8, positive_fraction=0.5)
    seen: list[int] = []

    def step(network: FasterRCNN, part: DetectionBatch) -> dict[str, Tensor]:
        seen.append(len(part))
        return network.losses(part.images, part.targets)

    optimizer = build_sgd(model, lr=1.0, momentum=0.0, weight_decay=0.0)
    task = PlainTask(model, step, lambda _: iter([batch]))
    train(plain_run(task, optimizer, lambda _: 1.0, iterations=1, seed=5, clip_norm=clip_norm, accumulate=2))
    assert seen == [2, 2]

    torch.manual_seed(step_seed(5, 0))
    parameters = list(twin.parameters())
    sums = [torch.zeros_like(parameter) for parameter in parameters]
    for first in (0, 2):
        losses = twin.losses(batch.images[first : first + 2], batch.targets[first : first + 2])
        for total, gradient in zip(sums, torch.autograd.grad(sum(losses.values()) / 2, parameters), strict=True):
            total += gradient
    length = math.sqrt(sum(float(gradient.square().sum()) for gradient in sums))
    scale = min(1.0, clip_norm / length) if clip_norm else 1.0
    assert not clip_norm or scale < 0.5
    for (name, found), parameter, gradient in zip(model.named_parameters(), parameters, sums, strict=True):
        torch.testing.assert_close(found, parameter - scale * gradient, rtol=1e-4, atol=1e-6, msg=name)
