"""Mirror images, ensembles, refinement: what scorers of scorers make of what their members say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tiny_detectors import picture, tiny_detector
from torch import Tensor

from resdet.inference.refinement import refine
from resdet.inference.regions import Ensemble, NetworkScorer, RegionScorer, ScoredRegions, WithMirrorImage

SIZE = (64, 96)


class Scripted:
    """A scorer that proposes what it was given, and scores by a function."""

    def __init__(self, regions: list[list[float]], score: Callable[[Tensor], ScoredRegions]) -> None:
        self.regions = torch.tensor(regions).reshape(-1, 4)
        self.function = score
        self.asked: list[Tensor] = []

    def propose(self) -> Tensor:
        return self.regions

    def score(self, regions: Tensor) -> ScoredRegions:
        self.asked.append(regions)
        return self.function(regions)


def shifted(by: float, score: float = 0.5) -> Callable[[Tensor], ScoredRegions]:
    """One class; every box moves to the right."""
    return lambda regions: ScoredRegions(
        torch.full((len(regions), 1), score), (regions + torch.tensor([by, 0, by, 0]))[:, None]
    )


# -------------------------------------------------------------------------------------------------------------- ensembles


def test_the_union_of_proposals_has_no_region_twice() -> None:
    a, b, c = [0.0, 0, 1, 1], [0.0, 0, 2, 2], [0.0, 0, 3, 3]
    ensemble = Ensemble([Scripted([a, b], shifted(0)), Scripted([b, c], shifted(0)), Scripted([c, a], shifted(0))])
    assert ensemble.propose().tolist() == [a, b, c]
    assert Ensemble([Scripted([], shifted(0)), Scripted([a], shifted(0))]).propose().tolist() == [a]
    assert Ensemble([Scripted([], shifted(0))] * 2).propose().shape == (0, 4)
    # a member's own regions are its own matter
    assert Ensemble([Scripted([a, a], shifted(0))]).propose().tolist() == [a, a]


@pytest.mark.parametrize(
    ("shares", "score", "moved"), [(None, 0.4, 2.0), ([1.0, 1.0], 0.4, 2.0), ([3.0, 1.0], 0.3, 1.0), ([0.5, 1.5], 0.5, 3.0)]
)
def test_the_mean_of_members(shares: list[float] | None, score: float, moved: float) -> None:
    region = torch.tensor([[10.0, 10, 20, 20]])
    found = Ensemble([Scripted([], shifted(0, 0.2)), Scripted([], shifted(4, 0.6))], shares).score(region)
    assert found.scores.tolist() == [[pytest.approx(score)]]
    assert found.boxes.tolist() == [[[10 + moved, 10, 20 + moved, 20]]]
    assert (found.scores.dtype, found.boxes.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize("copies", [1, 2, 3, 7])
@pytest.mark.parametrize("shared", [False, True])
def test_copies_of_one_model_are_the_model_bit_for_bit(copies: int, shared: bool) -> None:
    with torch.no_grad():
        scorer = NetworkScorer(tiny_detector(), picture())
        ensemble = Ensemble([scorer] * copies, [0.1 + 0.3 * index for index in range(copies)] if shared else None)
        regions = scorer.propose()
        assert torch.equal(ensemble.propose(), regions)
        assert len(regions) == 20
        one, several = scorer.score(regions), ensemble.score(regions)
    assert torch.equal(one.scores, several.scores)
    assert torch.equal(one.boxes, several.boxes)


# ------------------------------------------------------------------------------------------------------------ one network


@pytest.mark.parametrize(("pyramid", "passes"), [([], [96]), ([48, 120], [48, 120]), ([48, 96, 120], [48, 96, 120])])
@pytest.mark.parametrize("proposes", [False, True])
def test_the_trunk_runs_once_on_each_size_that_is_looked_at(pyramid: list[int], passes: list[int], proposes: bool) -> None:
    """For regions that are given, as to a mirror image, the image's own size counts only where it is one of the scales."""
    model = tiny_detector()
    widths: list[int] = []
    model.trunk.register_forward_pre_hook(lambda _, inputs: widths.append(inputs[0].shape[-1]))
    with torch.no_grad():
        scorer = NetworkScorer(model, picture(), [picture(height=2 * width // 3, width=width) for width in pyramid])
        regions = scorer.propose() if proposes else torch.tensor([[10.0, 8, 42, 40]])
        for _ in range(2):
            scorer.score(regions)
    assert sorted(widths) == sorted({*passes, *([96] if proposes else [])})


# ----------------------------------------------------------------------------------------------------------- mirror images


def test_the_mirror_image_sees_the_same_region_and_its_box_is_turned_back() -> None:
    mirrored = Scripted([], shifted(4, 0.6))
    both = WithMirrorImage(Scripted([[0, 0, 5, 5]], shifted(2, 0.2)), mirrored, 96)
    found = both.score(torch.tensor([[10.0, 10, 20, 20]]))
    assert mirrored.asked[0].tolist() == [[76, 10, 86, 20]]
    assert found.boxes.tolist() == [[[9, 10, 19, 20]]]  # + 2 on the image, - 4 by the mirror image
    assert found.scores.tolist() == [[pytest.approx(0.4)]]
    assert both.propose().tolist() == [[0, 0, 5, 5]]


def test_a_symmetric_image_gets_the_mean_over_a_region_and_its_mirror_region() -> None:
    """The mirror image of a symmetric image is the image: nothing but regions and boxes is turned."""
    half = picture(width=48)
    image = torch.cat([half, half.flip(-1)], dim=-1)
    with torch.no_grad():
        scorer = NetworkScorer(tiny_detector(), image)
        regions = torch.tensor([[10.0, 8, 42, 40], [30, 12, 66, 60]])  # the second is its own mirror region
        found = WithMirrorImage(scorer, NetworkScorer(scorer.model, image.flip(-1)), 96).score(regions)
        left, right = scorer.score(regions), scorer.score(torch.tensor([[54.0, 8, 86, 40], [30, 12, 66, 60]]))
    x1, y1, x2, y2 = right.boxes.unbind(-1)
    turned = torch.stack([96 - x2, y1, 96 - x1, y2], dim=-1)
    torch.testing.assert_close(found.scores, (left.scores + right.scores) / 2)
    torch.testing.assert_close(found.boxes, (left.boxes + turned) / 2)
    # so the symmetric region's boxes are symmetric
    torch.testing.assert_close(found.boxes[1, :, 0], 96 - found.boxes[1, :, 2])


# -------------------------------------------------------------------------------------------------------------- refinement


def test_refinement_by_hand() -> None:
    """The best class's box, clipped, goes to the scorer again; both rounds are kept, the old first."""
    boxes = torch.tensor([[[0.0, 0, 9, 9], [20, 20, 30, 30]], [[-5, -5, 10, 10], [1, 1, 2, 2]]])
    found = ScoredRegions(torch.tensor([[0.1, 0.2], [0.4, 0.3]]), boxes)
    again = ScoredRegions(torch.tensor([[0.5, 0.6], [0.7, 0.8]]), boxes + 1)
    scorer = Scripted([], lambda _: again)
    joined = refine(scorer, found, SIZE)
    assert scorer.asked[0].tolist() == [[20, 20, 30, 30], [0, 0, 10, 10]]
    assert torch.equal(joined.scores, torch.cat([found.scores, again.scores]))
    assert torch.equal(joined.boxes, torch.cat([found.boxes, again.boxes]))


def test_refinement_on_a_network() -> None:
    model = tiny_detector()
    heads = model.roi_heads
    with torch.no_grad():
        scorer = NetworkScorer(model, picture())
        proposals = scorer.propose()
        joined = refine(scorer, scorer.score(proposals), SIZE)
        features = model.trunk(model.pixels.normalize(picture())[None])
        regions, rounds = proposals, []
        for _ in range(2):
            logits, deltas = heads.predictor(heads.res5(heads.pooler(features, [regions])).mean((2, 3)))
            rounds.append((logits.softmax(1)[:, :3], heads.coder.decode(deltas, regions[:, None])))
            chosen = [rounds[-1][1][row, scores.index(max(scores))] for row, scores in enumerate(rounds[-1][0].tolist())]
            regions = torch.stack(chosen).clamp(min=0).minimum(torch.tensor([96.0, 64, 96, 64]))
            assert (regions[:, 2:] > regions[:, :2]).all()
    assert len(joined.scores) == 2 * len(proposals)
    torch.testing.assert_close(joined.scores, torch.cat([scores for scores, _ in rounds]))
    torch.testing.assert_close(joined.boxes, torch.cat([boxes for _, boxes in rounds]))


@pytest.mark.parametrize(
    "box",
    [
        [float("nan"), 0.0, 9.0, 9.0],
        [0.0, 0.0, float("inf"), 9.0],
        [200.0, 10.0, 210.0, 20.0],  # outside
        [-9.0, 10.0, -1.0, 20.0],
        [5.0, 5.0, 5.0, 9.0],
    ],
)
def test_what_cannot_be_pooled_is_not_refined(box: list[float]) -> None:
    good = [10.0, 10, 20, 20]
    found = ScoredRegions(torch.tensor([[0.5], [0.5]]), torch.tensor([[box], [good]]))
    scorer = Scripted([], shifted(1))
    joined = refine(scorer, found, SIZE)
    expected = [[0.0, 0, 96, 9], good] if box[2] == float("inf") else [good]
    assert scorer.asked[0].tolist() == expected
    assert len(joined.scores) == len(joined.boxes) == 2 + len(expected)


def test_nothing_to_refine() -> None:
    nothing = ScoredRegions(torch.zeros(0, 3), torch.zeros(0, 3, 4))
    scorer: RegionScorer = Scripted(
        [], lambda regions: ScoredRegions(torch.zeros(len(regions), 3), regions[:, None].expand(-1, 3, 4))
    )
    assert refine(scorer, nothing, SIZE).boxes.shape == (0, 3, 4)
