"""Values that are not what an option takes."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
import yaml

from resdet.config import config_from_dict, load_config
from resdet.config.schema import RUN_CONFIGS, DetectionRunConfig
from resdet.errors import ConfigError

NOT_FINITE = [float("nan"), float("inf")]
HUGE = 10**400
# of every kind of value, none that the type takes
WRONG: dict[Any, list[Any]] = {
    bool: ["maybe", "", None, 1.5, [], [True], {}, {"a": 1}, b"x"],
    int: ["two", "", None, 1.5, True, [], [1], {}, {"a": 1}, b"x", *NOT_FINITE],
    float: ["two", "", None, True, HUGE, [], [0.5], {}, {"a": 1}, b"x"],
    str: [None, [], ["a"], {}, {"a": 1}, b"x"],
    list[int]: [3, 1.5, "abc", "", None, True, {}, {"a": 1}, ["a"], [None], [1.5], [[1]], [{}], [{"a": 1}]],
    list[float]: [3, 1.5, "abc", "", None, True, {}, {"a": 1}, ["a"], [None], [True], [HUGE], [[1]], [{}]],
    list[str]: [3, 1.5, "abc", "", None, True, {}, {"a": 1}, [None], [["a"]], [{}], [{"a": 1}]],
    list[Any]: [3, 1.5, "abc", "", None, True, {}, {"name": "RandomIoUCrop"}],
}
NO_SECTION = [3, 1.5, True, "abc", [], [{}], [{"format": "coco"}]]
NO_LIST_OF_SECTIONS = [3, True, "abc", "", None, {}, {"format": "coco", "root": "a"}, [3], [None], [[]], [{}, "a"]]
WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list[int]: "a list of whole numbers, such as [8, 16]",
    list[float]: "a list of numbers, such as [0.5, 1]",
    list[str]: "a list of strings, such as [cat, dog]",
    list[Any]: "a list, such as [{name: RandomIoUCrop}]",
}


def options(section: type[Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every option of a section with its type, sections themselves and what is in them."""
    types = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        kind = types[field.name]
        yield (*path, field.name), kind
        if dataclasses.is_dataclass(kind):
            yield from options(typing.cast("type[Any]", kind), (*path, field.name))


def leaves(task: str) -> list[tuple[tuple[str, ...], Any]]:
    return [(path, kind) for path, kind in options(RUN_CONFIGS[task]) if kind in WRONG and path != ("task",)]


def set_in(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *sections, option = path
    for section in sections:
        values = values.setdefault(section, {})
    values[option] = value


def problems(path: Path, values: dict[str, Any]) -> list[str]:
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert all(problem.startswith(f"{path}: ") and "\n" not in problem for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


@pytest.mark.parametrize("task", sorted(RUN_CONFIGS))
def test_a_wrong_value_of_every_option_is_told_by_its_name(task: str, tmp_path: Path) -> None:
    for turn in range(max(map(len, WRONG.values()))):
        values: dict[str, Any] = {"task": task}
        given = {path: (kind, WRONG[kind][turn % len(WRONG[kind])]) for path, kind in leaves(task)}
        for path, (_, value) in given.items():
            set_in(values, path, value)
        told = set(problems(tmp_path / "run.yaml", values))
        for path, (kind, value) in given.items():
            start = f"option {'.'.join(path)!r} must be {WORDS[kind]}, got "
            assert any(problem.startswith(start) for problem in told), (start, value)
        assert len(told) == len(given)


@pytest.mark.parametrize("task", sorted(RUN_CONFIGS))
def test_what_is_no_section_is_told_by_its_name(task: str, tmp_path: Path) -> None:
    sections = [path for path, kind in options(RUN_CONFIGS[task]) if dataclasses.is_dataclass(kind)]
    assert ("data", "val") in sections
    for depth in range(1, max(map(len, sections)) + 1):
        for value in [*NO_SECTION, None, ""]:
            values: dict[str, Any] = {"task": task}
            # nothing is a validation set: none
            given = [path for path in sections if len(path) == depth and (path != ("data", "val") or value not in (None, ""))]
            for path in given:
                set_in(values, path, value)
            told = problems(tmp_path / "run.yaml", values)
            assert sorted(told) == sorted(f"option {'.'.join(path)!r} must be a mapping, got {value!r}" for path in given)


@pytest.mark.parametrize("value", NO_LIST_OF_SECTIONS)
def test_what_is_no_list_of_sections_is_told_how_it_is_written(value: Any, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "run.yaml", {"task": "detection", "data": {"train": value}})
    assert problem == f"option 'data.train' must be a list of mappings, such as [{{format: coco}}], got {value!r}"


def test_a_wrong_value_in_a_list_of_sections_is_told_by_its_place(tmp_path: Path) -> None:
    train = [{"root": "a"}, {"root": [1], "keep_difficult": "maybe", "rot": 1}]
    assert problems(tmp_path / "run.yaml", {"task": "detection", "data": {"train": train}}) == [
        "option 'data.train[1].root' must be a string, got [1]",
        "option 'data.train[1].keep_difficult' must be true or false, got 'maybe'",
        "unknown option 'data.train[1].rot' (did you mean 'root'?)",
    ]


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "run.yaml", {"task": "detection", "run": {"batch": ["x" * 1000]}})
    assert len(problem) < 200
    assert problem.endswith("…")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("data.train[0]=5", r"option 'data\.train' must be a list of mappings"),
        ("data.train[0]={rot: 1}", r"unknown option 'data\.train\[0\]\.rot' \(did you mean 'root'\?\)"),
        ("data.train[5].root=x", r"option 'data\.train\[5\]\.root' names no place of a list; got 'x'"),
        ("data.train[99999999999999999999].root=", r"option 'data\.train\[9+\]\.root' names no place"),
        ("data.train[0][0]=2", r"option 'data\.train\[0\]\[0\]' names no place"),
        ("data.trian[0].root=1", r"unknown option 'data\.trian' \(did you mean 'train'\?\)"),
        ("model.anchors.sizes[9]=7", r"option 'model\.anchors\.sizes\[9\]' names no place"),
        ("model.anchors.sizes[0]=x", r"option 'model\.anchors\.sizes' must be a list of numbers.*'x'"),
        ("model.anchors.sizes[0].x=7", r"option 'model\.anchors\.sizes\[0\]\.x' names no place"),
        ("run.batch[0]=3", r"option 'run\.batch\[0\]' names no place"),
        ("model[0]=3", r"option 'model\[0\]' names no place"),
        ("data.train[=x", "must look like key.path=value"),
        ("data..names=x", "must look like key.path=value"),
        ("data.names[x]=y", "must look like key.path=value"),
        ("run.batch=" + "9" * 5000, r"option 'run\.batch' must be a whole number, got '9+…"),
        ("run.batch=!!int abc", r"option 'run\.batch' must be a whole number, got '!!int abc'"),
        ("output=${", r"option 'output': "),
    ],
)
def test_overrides_that_name_nothing(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("coco_r50", [text])
    (problem,) = caught.value.problems
    assert re.fullmatch(f"{told}.*", problem.removeprefix(f"argument {text!r}: ")), problem


def test_overrides_of_places_in_lists() -> None:
    texts = ["model.anchors.sizes[1]=7", "data.train[-1]={root: b}", "data.transforms=[{name: RandomIoUCrop, p: 1}]"]
    config = load_config("coco_r50", [*texts, "data.transforms[0].p=0.5", "data.train[0].images=few.txt"])
    assert isinstance(config, DetectionRunConfig)
    assert config.model.anchors.sizes == [32, 7, 128, 256, 512]
    (source,) = config.data.train
    assert (source.root, source.images) == ("b", "few.txt")
    assert source.annotations.endswith("instances_train2017.json")
    assert config.data.transforms == [{"name": "RandomIoUCrop", "p": 0.5}]


# values of any kind at any option: a config, or a ConfigError
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=3)
    | st.sampled_from(["${run}", "???"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=60)
def test_any_value_anywhere(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    task = data.draw(st.sampled_from(sorted(RUN_CONFIGS)))
    values: dict[str, Any] = {"task": task}
    for path in data.draw(st.lists(st.sampled_from([path for path, _ in options(RUN_CONFIGS[task])]), min_size=1, max_size=3)):
        try:
            set_in(values, path, data.draw(ANY))
        except (TypeError, AttributeError):  # below a value that was drawn before
            continue
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    with contextlib.suppress(ConfigError):
        load_config(file)


@pytest.mark.parametrize("value", [3, None, [], {"sizes": {"a": 1}}, {"sizes": None}])
def test_a_dict_of_a_model_file_is_checked_alike(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"option 'model.anchors(\.sizes)?' must be "):
        config_from_dict(DetectionRunConfig, {"model": {"anchors": value}})
