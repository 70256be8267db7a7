from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from resdet.config import config_from_dict, config_to_dict
from resdet.config.schema import RUN_CONFIGS


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field, value


@pytest.mark.parametrize("task", sorted(RUN_CONFIGS))
def test_every_option_is_documented_and_its_default_is_allowed(task: str) -> None:
    config = RUN_CONFIGS[task]()
    assert config.task == task
    for name, field, value in _leaves(config):
        assert field.metadata["text"], f"{name} has no documentation"
        for item in value if isinstance(value, list) else [value]:
            low, high, choices = (field.metadata[key] for key in ("low", "high", "choices"))
            assert low is None or item >= low, name
            assert high is None or item <= high, name
            assert not choices or item in choices, name


@pytest.mark.parametrize("task", sorted(RUN_CONFIGS))
def test_every_number_has_a_range(task: str) -> None:
    for name, field, value in _leaves(RUN_CONFIGS[task]()):
        numbers = [item for item in (value if isinstance(value, list) else [value]) if type(item) in (int, float)]
        assert not numbers or field.metadata["low"] is not None, f"{name} has no lowest value"


@pytest.mark.parametrize("task", sorted(RUN_CONFIGS))
def test_defaults_survive_the_round_trip(task: str) -> None:
    config = RUN_CONFIGS[task]()
    assert config_from_dict(RUN_CONFIGS[task], config_to_dict(config)) == config


@pytest.mark.parametrize("task", sorted(RUN_CONFIGS))
def test_lists_are_not_shared_between_objects(task: str) -> None:
    first, second = RUN_CONFIGS[task](), RUN_CONFIGS[task]()
    for (name, _, one), (_, _, other) in zip(_leaves(first), _leaves(second), strict=True):
        assert not isinstance(one, list) or one is not other, name
