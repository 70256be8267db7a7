import math
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resdet.data.loading.samplers import endless_batches, repeat_factors


def take(count: int, *args: object, **kwargs: object) -> list[list[tuple[int, int]]]:
    return list(islice(endless_batches(*args, **kwargs), count))


def stream(batches: list[list[tuple[int, int]]]) -> list[int]:
    return [index for batch in batches for index, _ in batch]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 1000))
def test_every_epoch_is_a_permutation(count: int, batch: int, seed: int) -> None:
    flat = stream(take(3 * count // batch + 2, count, batch, seed))
    for epoch in range(3):
        assert sorted(flat[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.integers(1, 5), st.integers(0, 100))
def test_groups_are_respected_and_each_is_a_stream_of_permutations(groups: list[int], batch: int, seed: int) -> None:
    batches = take(60, len(groups), batch, seed, groups)
    assert all(len({groups[index] for index, _ in one}) == 1 and len(one) == batch for one in batches)
    for group in set(groups):
        members = [index for index, own in enumerate(groups) if own == group]
        flat = [index for index in stream(batches) if groups[index] == group]
        for start in range(0, len(flat) - len(members) + 1, len(members)):
            assert sorted(flat[start : start + len(members)]) == members


@given(st.integers(1, 30), st.integers(1, 7), st.integers(0, 50), st.booleans())
def test_starting_at_k_is_skipping_k_batches(count: int, batch: int, start: int, grouped: bool) -> None:
    groups = [index % 3 % 2 for index in range(count)] if grouped else None
    assert take(5, count, batch, 1, groups, start) == take(start + 5, count, batch, 1, groups)[start:]


def test_draws_are_unique_and_consecutive() -> None:
    batches = take(20, 7, 3, 0, [0, 1, 0, 1, 0, 1, 0])
    assert [draw for batch in batches for _, draw in batch] == list(range(60))


def test_epochs_and_seeds_differ() -> None:
    flat = stream(take(20, 100, 10, 5))
    assert flat[:100] != flat[100:]
    assert flat != stream(take(20, 100, 10, 6))
    assert flat == stream(take(20, 100, 10, 5))


def test_chosen_indices() -> None:
    assert sorted(stream(take(1, [4, 8, 15], 3, 0))) == [4, 8, 15]


@pytest.mark.parametrize(("indices", "batch", "groups"), [(0, 2, None), ([], 2, None), (3, 0, None), (3, 1, [0, 1])])
def test_wrong_arguments(indices: object, batch: int, groups: list[int] | None) -> None:
    with pytest.raises(ValueError, match="endless_batches needs"):
        endless_batches(indices, batch, 0, groups)


# --------------------------------------------------------------------------------------------------------- repeat factors


def test_repeat_factors_by_hand() -> None:
    # of 8 images: class 0 in all that hold anything, class 1 in two, class 2 in one
    classes = [{0}, {0}, {0}, {0, 1}, {0, 1}, {0, 1, 2}, {0}, set()]
    found = repeat_factors(classes, threshold=0.5)
    rare, rarest = math.sqrt(0.5 / (3 / 8)), math.sqrt(0.5 / (1 / 8))
    assert found == pytest.approx([1, 1, 1, rare, rare, rarest, 1, 1])
    assert repeat_factors(classes, threshold=0.0) == [1.0] * 8
    assert repeat_factors([], threshold=0.5) == []


@given(st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=30), st.floats(0, 1))
def test_repeat_factors_equal_the_definition(classes: list[list[int]], threshold: float) -> None:
    def share(label: int) -> float:
        return sum(label in each for each in classes) / len(classes)

    expected = [max([1.0, *(math.sqrt(threshold / share(label)) for label in each)]) for each in classes]
    assert repeat_factors(classes, threshold) == pytest.approx(expected)


REPEATS = [1.0, 2.0, 1.25, 3.5, 1.0]


@pytest.mark.parametrize("groups", [None, [0, 1, 0, 1, 0]])
def test_images_come_as_often_as_their_factor_says(groups: list[int] | None) -> None:
    epochs = 400
    counts = Counter(stream(take(int(epochs * sum(REPEATS)), 5, 1, 0, groups, repeats=REPEATS)))
    for index, factor in enumerate(REPEATS):
        # the sum over the epochs of one fraction each: five standard deviations, and the epochs at the end
        fraction = factor % 1
        slack = 5 * math.sqrt(epochs * fraction * (1 - fraction)) + 15
        assert counts[index] == pytest.approx(epochs * factor, abs=slack)


def test_whole_factors_make_every_epoch_the_same_multiset() -> None:
    flat = stream(take(8, [10, 20, 30], 3, 7, repeats=[1, 2, 3]))
    for epoch in range(4):
        assert sorted(flat[6 * epoch : 6 * epoch + 6]) == [10, 20, 20, 30, 30, 30]
    assert flat[:6] != flat[6:12]


def test_fractions_are_rounded_anew_each_epoch() -> None:
    counts = {tuple(np.bincount(stream(take(1, 4, 6, seed, repeats=[1.5] * 4)), minlength=4)) for seed in range(20)}
    assert len(counts) > 3
    assert stream(take(30, 4, 6, 3, repeats=[1.5] * 4)) == stream(take(30, 4, 6, 3, repeats=[1.5] * 4))


@given(st.lists(st.floats(1, 4), min_size=1, max_size=20), st.integers(1, 5), st.integers(0, 40), st.booleans())
def test_repeated_images_start_at_k_too(repeats: list[float], batch: int, start: int, grouped: bool) -> None:
    groups = [index % 2 for index in range(len(repeats))] if grouped else None
    whole = take(start + 5, len(repeats), batch, 1, groups, repeats=repeats)
    assert take(5, len(repeats), batch, 1, groups, start, repeats) == whole[start:]


@pytest.mark.parametrize("groups", [None, [0, 1, 1, 0, 1, 0, 0]])
def test_factors_of_one_change_nothing(groups: list[int] | None) -> None:
    assert take(20, 7, 3, 5, groups, repeats=[1.0] * 7) == take(20, 7, 3, 5, groups)


@pytest.mark.parametrize("repeats", [[1.0], [1.0, 0.5, 1.0], [1.0, math.nan, 1.0]])
def test_wrong_repeats(repeats: list[float]) -> None:
    with pytest.raises(ValueError, match="a repeat of at least 1 for each of 3 indices"):
        endless_batches(3, 1, 0, repeats=repeats)
