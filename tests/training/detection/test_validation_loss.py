"""The losses on a validation set are those of training, averaged over the images, and the same at every call."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_detectors import tiny_detector

from resdet.data.dataset import subset
from resdet.data.formats.coco import read_coco
from resdet.data.loading.views import DetectionView
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.training.detection.validation_loss import validation_loss

NAMES = ["loss_rpn_cls", "loss_rpn_box", "loss_roi_cls", "loss_roi_box"]
# every anchor and every region enters the losses, so that nothing is drawn
ALL: dict[str, Any] = {
    "rpn": {"batch_size_per_image": 10_000, "positive_fraction": 1.0, "post_nms_top_n_train": 30},
    "roi": {"batch_size_per_image": 500, "positive_fraction": 1.0},
}


@pytest.fixture
def view(tiny_coco: Any) -> DetectionView:
    return DetectionView(read_coco(tiny_coco.images, tiny_coco.annotations), DetectionTestTransform(64, 96))


def test_it_is_the_mean_of_the_images_losses_in_training(view: DetectionView) -> None:
    model = tiny_detector(names=["box", "disk"], **ALL).train()
    found = validation_loss(model, view, 0, seed=3)
    assert model.training
    model.eval()
    with torch.no_grad():
        each = [model.losses([image], [target]) for image, target, _, _ in (view._sample(i, 0) for i in range(len(view)))]
    expected = {name: torch.stack([losses[name] for losses in each]).double().mean() for name in NAMES}
    assert list(found) == ["loss", *NAMES]
    for name in NAMES:
        assert found[name] == pytest.approx(float(expected[name]), rel=1e-6)
    assert found["loss"] == pytest.approx(sum(found[name] for name in NAMES), rel=1e-12)


def test_what_is_drawn_depends_on_seed_and_image_alone(view: DetectionView) -> None:
    model = tiny_detector(names=["box", "disk"], rpn={"batch_size_per_image": 8}, roi={"batch_size_per_image": 4})
    torch.manual_seed(5)
    first = validation_loss(model, view, 0, seed=3)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1)), "the generator is as it was"
    assert validation_loss(model, view, 0, seed=3) == first
    assert validation_loss(model, view, 0, seed=4) != first
    one, two = (
        validation_loss(model, DetectionView(subset(view.dataset, rows), view.transform), 0, seed=3) for rows in ([0], [0, 1])
    )
    rest = {name: 2 * two[name] - one[name] for name in NAMES}
    assert all(value >= 0 for value in rest.values())  # image 0 drew the same in both
