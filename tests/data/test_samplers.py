from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resdet.data.samplers import endless_batches


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
