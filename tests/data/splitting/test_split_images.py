"""Splits: shares, classes, groups, seeds."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resdet.data.splitting.groups import groups_of, split_groups


@given(
    st.lists(st.tuples(st.integers(0, 12), st.sets(st.integers(0, 4), max_size=3)), min_size=2, max_size=60),
    st.floats(0.05, 0.6),
    st.integers(0, 5),
)
def test_every_image_is_in_one_part_and_every_group_too(images: list[tuple[int, set[int]]], share: float, seed: int) -> None:
    groups, classes = [group for group, _ in images], [labels for _, labels in images]
    train, val = split_groups(groups, classes, share, seed)
    assert sorted(train + val) == list(range(len(images)))
    assert train == sorted(train)
    assert not {groups[index] for index in train} & {groups[index] for index in val}
    if len(set(groups)) > 1:
        assert train
        assert val
    assert split_groups(groups, classes, share, seed) == (train, val)


def test_each_class_has_its_share_in_both_parts() -> None:
    rng = np.random.default_rng(0)
    classes = [set(np.flatnonzero(rng.random(4) < (0.9, 0.4, 0.1, 0.05)).tolist()) for _ in range(600)]
    _, val = split_groups(range(600), classes, 0.2)
    total, held = (Counter(label for index in part for label in classes[index]) for part in (range(600), val))
    for label, count in total.items():
        assert abs(held[label] - 0.2 * count) <= max(1.5, 0.05 * count), (label, count, held[label])
    assert abs(len(val) - 120) <= 6


def test_a_class_of_one_image_stays_in_training_and_a_class_of_four_is_validated() -> None:
    classes = [{0} for _ in range(50)] + [{1}] + [{2} for _ in range(4)]
    for seed in range(10):
        train, val = split_groups(range(55), classes, 0.2, seed)
        assert 50 in train
        assert 1 <= sum(index > 50 for index in val) <= 2


@pytest.mark.parametrize("seed", range(8))
def test_where_all_classes_are_small_the_one_validated_is_not_lost_to_training(seed: int) -> None:
    labels = [0, 1, 1, 2]
    train, val = split_groups(range(4), [{label} for label in labels], 0.2, seed)
    assert [labels[index] for index in val] == [1]
    assert {labels[index] for index in train} == {0, 1, 2}


def test_another_seed_takes_other_images() -> None:
    parts = {tuple(split_groups(range(100), [{0}] * 100, 0.2, seed)[1]) for seed in range(5)}
    assert len(parts) == 5
    assert {len(part) for part in parts} == {20}


def test_a_group_larger_than_the_share_stays_in_training() -> None:
    groups = [0] * 60 + list(range(1, 41))
    _, val = split_groups(groups, [{0}] * 100, 0.2)
    assert 15 <= len(val) <= 25
    assert min(val) >= 60


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_cannot_be_split(count: int) -> None:
    assert split_groups(range(count), [{0}] * count) == (list(range(count)), [])


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (["a/x.jpg", "b/x.jpg"], False),
        (["IMG_0001.jpg", "IMG_0002.jpg"], False),
        (["cat_jpg.rf.0123456789abcdef.jpg", "cat_jpg.rf.fedcba9876543210.jpg"], True),
        (["cat.jpg", "cat_flip.png"], True),
        (["walk_frame_001.jpg", "walk_frame_900.jpg", "other.jpg"], True),
        (["a/frame001.jpg", "b/frame001.jpg"], False),
        (["frame_0.jpg", "frame_1.jpg", "x.jpg"], True),
    ],
)
def test_variants_of_a_photo_and_frames_of_a_video_are_one_group(names: list[str], same: bool) -> None:
    groups = groups_of([Path(name) for name in names], range(len(names)))
    assert (groups[0] == groups[1]) == same
    if len(names) > 2:
        assert groups[2] != groups[0]


def test_images_that_look_alike_are_one_group_through_others() -> None:
    """a is like b, and b is a variant of c: all three stay together."""
    groups = groups_of([Path("a.jpg"), Path("b.jpg"), Path("b_copy.jpg"), Path("d.jpg")], [0, 0, 2, 3])
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_a_single_video_is_cut_into_pieces_of_following_frames() -> None:
    paths = [Path(f"v_frame_{number}.jpg") for number in range(100)]
    groups = groups_of(paths, range(100))
    assert len(set(groups)) == 10
    assert sum(first != second for first, second in itertools.pairwise(groups)) == 9
    assert len(split_groups(groups, [{0}] * 100, 0.2)[1]) == 20
