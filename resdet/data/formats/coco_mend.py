"""Rows of an instances file as some programs write them, brought to COCO's form where only one thing can be meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from resdet.data.formats.annotations import DatasetBuilder

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]*)?")


class Mender:
    """Changes rows in place, and counts what it changes as notes of the builder. What it does not know stays as it is.

    It is asked only where a row breaks a rule. Categories come first, then images, then annotations.
    """

    def __init__(self, builder: DatasetBuilder) -> None:
        self._builder = builder
        self._image_ids: dict[str, int] = {}

    def categories(self, rows: list[Any], annotations: Sequence[Any]) -> None:
        """Ids as integers; of categories of one name, those that no annotation uses are taken out of ``rows``.

        Roboflow writes such a one as the root of the others.
        """
        for row in filter(_is_row, rows):
            self._integer(row, "id", "category")
        used = _used(annotations)
        named: dict[str, list[dict[str, Any]]] = {}
        for row in filter(_is_row, rows):
            if isinstance(row.get("name"), str) and isinstance(row.get("id"), int):
                named.setdefault(row["name"], []).append(row)
        for same in (same for same in named.values() if len({row["id"] for row in same}) == len(same) > 1):
            kept = [row for row in same if row["id"] in used] or same[-1:]
            if len(kept) > 1:
                continue
            for row in same:
                if row is not kept[0]:
                    self._note("categories without objects have the name of another and are left out", "category", row)
                    rows.remove(row)

    def root(self, rows: list[Any], annotations: Iterable[Any]) -> None:
        """Take the category out of ``rows`` that no annotation uses and that is above all others: Roboflow writes one."""
        known = [row for row in rows if _is_row(row)]
        for row in known:
            others = [other for other in known if other is not row]
            above = bool(others) and all(other.get("supercategory") == row.get("name") for other in others)
            free = above and row.get("supercategory") in (None, "", "none") and _hashable(row.get("id"))
            if free and _as_integer(row["id"]) not in _used(annotations):
                self._note("categories without objects are above all others and are left out", "category", row)
                rows.remove(row)

    def images(self, rows: Sequence[Any]) -> None:
        """Ids and sides as integers; where an id is a text that is no number, all are numbered from 1 on."""
        images = [row for row in rows if _is_row(row)]
        for row in images:
            for key in ("id", "height", "width"):
                self._integer(row, key, "image")
        ids = [row.get("id") for row in images]
        texts = [str(value) for value in ids if isinstance(value, (int, str))]
        if any(isinstance(value, str) for value in ids) and len(set(texts)) == len(ids):
            self._image_ids = {text: number for number, text in enumerate(texts, 1)}
            for row in images:
                self._note("image ids are no numbers, and are replaced by 1, 2, …", "image", row)
                row["id"] = self._image_ids[str(row["id"])]

    def annotations(self, rows: Sequence[Any]) -> None:
        """Ids as integers, made where they are missing or texts; numbers as numbers."""
        rows = [row for row in rows if _is_row(row)]
        for row in rows:
            for key in ("id", "image_id", "category_id"):
                self._integer(row, key, "annotation")
            image = row.get("image_id")
            if self._image_ids and isinstance(image, (int, str)):
                row["image_id"] = self._image_ids.get(str(image), image)
            for key in ("area", "iscrowd", "difficult"):
                if isinstance(row.get(key), str) and _NUMBER.fullmatch(row[key]):
                    self._note(f"annotations have {key!r} as text", "annotation", row)
                    row[key] = float(row[key])
            box = row.get("bbox")
            if isinstance(box, list) and any(isinstance(value, str) for value in box):
                numbers = [float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value for value in box]
                if not any(isinstance(value, str) for value in numbers):
                    self._note("annotations have a 'bbox' of texts", "annotation", row)
                    row["bbox"] = numbers
        self._number(rows)

    def _number(self, rows: Sequence[dict[str, Any]]) -> None:
        """Give ids to the annotations that have none, or a text."""
        highest = max((row["id"] for row in rows if _is_integer(row.get("id"))), default=0)
        for place, row in enumerate(rows):
            if row.get("id") is None or isinstance(row["id"], str):
                what = "have no id" if row.get("id") is None else "have a text as id"
                self._builder.note(
                    f"annotations {what}, and are numbered", f"{self._builder.source}: annotation at position {place}"
                )
                highest += 1
                row["id"] = highest

    def _integer(self, row: dict[str, Any], key: str, kind: str) -> None:
        value = row.get(key)
        if not _is_integer(value) and _is_integer(_as_integer(value)):
            self._note(
                f"{kind} rows have {key!r} as {'text' if isinstance(value, str) else 'a fraction (1.0 for 1)'}", kind, row
            )
            row[key] = _as_integer(value)

    def _note(self, what: str, kind: str, row: dict[str, Any]) -> None:
        self._builder.note(what, f"{self._builder.source}: {kind} id {row.get('id')!r:.40}")


def outline_box(outline: Any) -> list[float] | None:
    """The box ``x, y, width, height`` around polygons or a run-length mask, in continuous pixels; None where it is neither."""
    try:
        if isinstance(outline, dict):
            return _box_of_runs(outline)
        polygons = outline if isinstance(outline[0], list) else [outline]
        xs = [float(x) for polygon in polygons for x in polygon[::2]]
        ys = [float(y) for polygon in polygons for y in polygon[1::2]]
        return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    except (TypeError, ValueError, LookupError, ArithmeticError):
        return None


def _box_of_runs(mask: dict[str, Any]) -> list[float] | None:
    """The box of a mask whose runs of 0 and 1 in turn go down its columns, ``size`` being height and width."""
    height = int(mask["size"][0])
    counts = mask["counts"]
    left = top = right = bottom = None
    start = 0
    for number, count in enumerate(_decoded(counts) if isinstance(counts, str) else map(int, counts)):
        last = start + count - 1
        if number % 2 and count > 0:
            first_row, last_row = (start % height, last % height) if start // height == last // height else (0, height - 1)
            left = start // height if left is None else left
            right = last // height
            top = first_row if top is None else min(top, first_row)
            bottom = last_row if bottom is None else max(bottom, last_row)
        start += count
    if left is None or right is None or top is None or bottom is None:
        return None
    return [float(left), float(top), float(right - left + 1), float(bottom - top + 1)]


def _decoded(text: str) -> list[int]:
    """The runs in COCO's compressed form: 5 bits a character from 48 on, and a sixth for "goes on".

    From the fourth run on it holds the difference to the run two before.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        bits = character - 48
        value |= (bits & 31) << shift
        shift += 5
        if shift > 60:
            raise ValueError("a run of more pixels than an image has")
        if bits & 32:
            continue
        if bits & 16:  # negative
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts


def _is_row(row: Any) -> bool:
    return isinstance(row, dict)


def _used(annotations: Iterable[Any]) -> set[Any]:
    """The categories of annotations; of ids as text or 1.0 the integers."""
    ids = (row.get("category_id") for row in annotations if _is_row(row))
    return {_as_integer(value) for value in ids if _hashable(value)}


def _hashable(value: Any) -> bool:
    return isinstance(value, (int, float, str))


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _as_integer(value: Any) -> Any:
    """The integer that a whole float or a text means; anything else as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value
