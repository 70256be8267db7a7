"""Reading an instances file in pieces, held against ``json.loads`` of the whole."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resdet.data.formats import coco_stream
from resdet.data.formats.coco_stream import Annotations, read_instances

SOUND = {"id": 3, "image_id": 1, "category_id": 2, "bbox": [1, 2.5, 3, 4], "iscrowd": 1, "area": 7}
PIECES = [(1, 0, 1), (7, 3, 2), (1 << 22, 1 << 18, 10_000)]

numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
rows = st.lists(
    st.builds(lambda key: {**SOUND, "id": key}, st.integers(0, 99))
    | st.fixed_dictionaries({**{key: st.just(value) for key, value in SOUND.items()}, "id": values})
)


def read(path: Path, text: str, pieces: tuple[int, int, int]) -> Any:
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("_CHUNK", "_ENOUGH", "_BLOCK"), pieces, strict=True):
            patch.setattr(coco_stream, name, value)
        return read_instances(path, lambda entry: entry)


def _without_flag(row: Any) -> Any:
    return {key: value for key, value in row.items() if key != "difficult"} if isinstance(row, dict) else row


def plain(found: Any) -> Any:
    """With annotations as a list, without the flag that columns add."""
    if isinstance(found, dict) and isinstance(found.get("annotations"), (Annotations, list)):
        found["annotations"] = [_without_flag(row) for row in found["annotations"]]
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.dictionaries(st.sampled_from(["images", "info", "categories", ""]), values, max_size=3),
    annotations=rows | values,
    pieces=st.sampled_from(PIECES),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_any_object(
    tmp_path: Path,
    content: dict[str, Any],
    annotations: Any,
    pieces: tuple[int, int, int],
    indent: int | None,
    ascii_only: bool,
) -> None:
    content["annotations"] = annotations
    try:
        text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(content)
    assert plain(read(tmp_path / "a.json", text, pieces)) == json.loads(text)


@pytest.mark.parametrize("pieces", PIECES)
def test_every_broken_end(tmp_path: Path, pieces: tuple[int, int, int]) -> None:
    text = json.dumps({"images": [{"id": 1}], "n": 12, "annotations": [SOUND, SOUND]})
    for length in range(0, len(text), 1 if pieces[0] > 7 else 5):
        assert read(tmp_path / "a.json", text[:length], pieces) is None, text[:length]
    assert read(tmp_path / "a.json", text + " \n", pieces) is not None


@pytest.mark.parametrize(
    "text",
    ["[]", "1", "{} 1", '{"a": 1,}', '{"a": [1,]}', '{"a": [,1]}', "{1: 2}", '{"a" 1}', '{"a": [1 2]}', '{"annotations": [,]}'],
)
def test_what_is_no_object_in_json(tmp_path: Path, text: str) -> None:
    for pieces in PIECES:
        assert read(tmp_path / "a.json", text, pieces) is None


def test_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"a": "ä"}'.encode("utf-8-sig"))
    assert read_instances(path, dict) == {"a": "ä"}
    for encoding in ("utf-16", "latin-1"):
        path.write_bytes('{"a": "ä"}'.encode(encoding))
        assert read_instances(path, dict) is None
    path.write_text("[" * 100_000)
    assert read_instances(path, dict) is None


@pytest.mark.parametrize("place", range(5))
def test_one_row_that_is_not_sound_makes_a_list_of_all(tmp_path: Path, place: int) -> None:
    annotations: list[Any] = [{**SOUND, "id": number} for number in range(5)]
    found = read(tmp_path / "a.json", json.dumps({"annotations": annotations}), (7, 3, 2))["annotations"]
    assert isinstance(found, Annotations)
    assert len(found) == 5
    annotations[place] = {**SOUND, "bbox": "1 2 3 4"}
    found = read(tmp_path / "a.json", json.dumps({"annotations": annotations}), (7, 3, 2))["annotations"]
    assert isinstance(found, list)
    assert [_without_flag(row) for row in found] == annotations


def test_sound_together() -> None:
    some = Annotations()
    assert some.sound_together({"image_id": set(), "category_id": set()})
    assert some.add([SOUND, {**SOUND, "id": 4, "image_id": 9, "area": None}])
    assert not some.add([{**SOUND, "id": "x"}])
    assert [row.get("area") for row in some] == [7.0, None]
    assert some.sound_together({"image_id": {1, 9}, "category_id": {2, 3}})
    assert not some.sound_together({"image_id": {1}, "category_id": {2}})
    assert not some.sound_together({"image_id": {1, 9}, "category_id": {3}})
    assert some.add([SOUND])
    assert not some.sound_together({"image_id": {1, 9}, "category_id": {2}})


def test_it_takes_less_memory_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_stream, "_CHUNK", 1 << 13)
    monkeypatch.setattr(coco_stream, "_ENOUGH", 1 << 12)
    monkeypatch.setattr(coco_stream, "_BLOCK", 100)
    path = tmp_path / "a.json"
    rows = [{**SOUND, "id": number, "segmentation": [[0.5] * 200]} for number in range(1000)]
    path.write_text(json.dumps({"annotations": rows}))
    tracemalloc.start()
    try:
        found = read_instances(path, lambda entry: {key: value for key, value in entry.items() if key != "segmentation"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert len(found["annotations"]) == 1000
    # 66 bytes a row in columns that grow by an eighth, a block of dicts of a kilobyte, and pieces of the text, copied
    assert peak < path.stat().st_size / 3
