import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from torchvision.models.detection._utils import Matcher as TorchvisionMatcher

from resdet.models.detection import matcher
from resdet.models.detection.matcher import BETWEEN, NEGATIVE, match
from resdet.ops.iou import box_iou


def random_boxes(count: int, generator: torch.Generator) -> torch.Tensor:
    corner = torch.rand(count, 2, generator=generator) * 80
    return torch.cat([corner, corner + 4 + torch.rand(count, 2, generator=generator) * 60], dim=1)


@pytest.fixture(params=[1, 2000, 2**19], ids=["one object a chunk", "some", "all"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects and ignored regions one by one, a few of them together, and all at once."""
    monkeypatch.setattr(matcher, "_OVERLAPS", request.param)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("keep_best", [True, False])
@pytest.mark.parametrize("objects", [1, 3, 70, 150])
def test_equals_torchvision(objects: int, keep_best: bool) -> None:
    generator = torch.Generator().manual_seed(objects)
    anchors, boxes = random_boxes(300, generator), random_boxes(objects, generator)
    theirs = TorchvisionMatcher(0.7, 0.3, allow_low_quality_matches=keep_best)(box_iou(boxes, anchors))
    ours = match(anchors, boxes, fg_iou_thresh=0.7, bg_iou_thresh=0.3, keep_best=keep_best)
    assert torch.equal(ours, theirs)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("keep_best", [True, False])
def test_of_boxes_that_overlap_a_candidate_equally_it_gets_the_first(keep_best: bool) -> None:
    boxes = torch.tensor([[30.0, 30, 40, 40], [0, 0, 10, 10], [0, 0, 10, 10], [0, 10, 10, 20], [30, 30, 40, 40]])
    anchors = torch.tensor([[0.0, 0, 10, 9], [0, 5, 10, 15], [30, 30, 40, 40]])  # the second lies half in each of three
    matches = match(anchors, boxes, fg_iou_thresh=0.3, bg_iou_thresh=0.3, keep_best=keep_best)
    assert matches.tolist() == [1, 1, 0]


def test_by_hand() -> None:
    box = torch.tensor([[0.0, 0, 10, 10]])
    anchors = torch.tensor(
        [
            [0.0, 0, 10, 10],  # IoU 1
            [0.0, 0, 10, 7],  # 0.7: positive, the bound included
            [0.0, 0, 10, 5],  # 0.5: between
            [0.0, 0, 10, 3],  # 0.3: not below 0.3, between
            [0.0, 0, 10, 2],  # 0.2: negative
            [50.0, 50, 60, 60],  # 0
        ]
    )
    matches = match(anchors, box, fg_iou_thresh=0.7, bg_iou_thresh=0.3, keep_best=False)
    assert matches.tolist() == [0, 0, BETWEEN, BETWEEN, NEGATIVE, NEGATIVE]


def test_best_anchors_of_a_box_are_positive_with_ties_and_keep_their_own_box() -> None:
    boxes = torch.tensor([[0.0, 0, 100, 100], [0.0, 0, 20, 20]])
    anchors = torch.tensor([[0.0, 0, 40, 40], [0.0, 0, 40, 40], [60.0, 60, 200, 200]])
    # both copies of the first anchor are the best of both boxes; they overlap the second box more (0.25 against 0.16)
    assert match(anchors, boxes, fg_iou_thresh=0.7, bg_iou_thresh=0.3, keep_best=True).tolist() == [1, 1, NEGATIVE]


def test_no_object_makes_everything_negative() -> None:
    anchors = random_boxes(5, torch.Generator().manual_seed(0))
    for keep_best in (True, False):
        assert (
            match(anchors, torch.zeros(0, 4), fg_iou_thresh=0.5, bg_iou_thresh=0.5, keep_best=keep_best).tolist()
            == [NEGATIVE] * 5
        )


def test_no_candidate() -> None:
    matches = match(torch.zeros(0, 4), torch.tensor([[0.0, 0, 1, 1]]), fg_iou_thresh=0.5, bg_iou_thresh=0.5, keep_best=True)
    assert matches.shape == (0,)


def test_a_box_that_no_anchor_touches_has_no_best() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [20.0, 20, 30, 30]])
    assert (
        match(anchors, torch.tensor([[50.0, 50, 60, 60]]), fg_iou_thresh=0.7, bg_iou_thresh=0.3, keep_best=True).tolist()
        == [NEGATIVE] * 2
    )


def test_ignore_regions_take_negatives_out_but_never_positives() -> None:
    crowd = torch.tensor([[0.0, 0, 50, 50]])
    boxes = torch.tensor([[0.0, 0, 10, 10]])
    anchors = torch.tensor(
        [
            [0.0, 0, 10, 10],  # an object inside the crowd
            [30.0, 30, 40, 40],  # background inside the crowd
            [40.0, 0, 60, 10],  # half of it inside: 0.5 of its own area
            [42.0, 0, 62, 10],  # 0.4 inside
            [80.0, 80, 90, 90],  # outside
        ]
    )
    matches = match(anchors, boxes, fg_iou_thresh=0.7, bg_iou_thresh=0.3, keep_best=False, ignore=crowd)
    assert matches.tolist() == [0, BETWEEN, BETWEEN, NEGATIVE, NEGATIVE]


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("own_candidates", [True, False])
@pytest.mark.parametrize("keep_best", [True, False])
def test_several_images_at_once_are_each_as_if_alone(own_candidates: bool, keep_best: bool) -> None:
    generator = torch.Generator().manual_seed(7)
    objects = [random_boxes(count, generator) for count in (20, 0, 3, 1)]
    crowds = [random_boxes(count, generator) for count in (0, 2, 1, 0)]
    candidates = (
        torch.stack([random_boxes(200, generator) for _ in objects]) if own_candidates else random_boxes(200, generator)
    )
    batched = match(
        candidates,
        pad_sequence(objects, batch_first=True),
        fg_iou_thresh=0.6,
        bg_iou_thresh=0.3,
        keep_best=keep_best,
        ignore=pad_sequence(crowds, batch_first=True),
    )
    assert batched.shape == (4, 200)
    for image, found in enumerate(batched):
        own = candidates[image] if own_candidates else candidates
        expected = match(own, objects[image], fg_iou_thresh=0.6, bg_iou_thresh=0.3, keep_best=keep_best, ignore=crowds[image])
        assert torch.equal(found, expected)
    assert {BETWEEN, NEGATIVE} < set(batched.unique().tolist())
