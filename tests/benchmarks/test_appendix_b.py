"""The pieces of the GPU's benchmark of appendix B: their order, the joined data, and the differences that they tell."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu"


@pytest.fixture(scope="module")
def imported(script_module: Callable[[str], ModuleType]) -> Iterator[Callable[[str], ModuleType]]:
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield script_module
    for name in {path.stem for path in FOLDER.glob("*.py")} & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.fixture(scope="module")
def plan(imported: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Data of two parts."""
    module = imported("appendix_b_pieces")
    plan = module.Plan(tmp_path_factory.mktemp("plan"), "cpu", None, train=3, val=5, few=3, side=64)
    for split in module.SPLITS:
        for part in range(2):
            module.draw(plan, split, part, 2)
    module.join(plan, 2)
    return plan


@pytest.mark.parametrize(("split", "images"), [("train", 3), ("val", 5), ("few", 3)])
def test_parts_are_joined(plan: Any, split: str, images: int) -> None:
    joined = json.loads(plan.annotations(split).read_text())
    assert [row["id"] for row in joined["images"]] == list(range(1, images + 1))
    assert len({row["id"] for row in joined["annotations"]}) == len(joined["annotations"])
    name = "val" if split == "few" else split
    for row in joined["images"]:
        with Image.open(plan.folder / "data" / row["file_name"]) as picture:
            assert picture.size == (row["width"], row["height"])
        part, file = row["file_name"].split("/")[0], Path(row["file_name"]).name
        own = json.loads((plan.folder / "data" / part / "annotations" / f"instances_{name}.json").read_text())
        (number,) = [each["id"] for each in own["images"] if each["file_name"] == file]
        expected = [each["bbox"] for each in own["annotations"] if each["image_id"] == number]
        assert [each["bbox"] for each in joined["annotations"] if each["image_id"] == row["id"]] == expected


def test_a_gain_is_that_of_the_images_of_both(imported: Callable[[str], ModuleType], plan: Any, tmp_path: Path) -> None:
    """Nothing found before and everything after is 1; what was found on other images does not count."""
    truth = json.loads(plan.annotations("val").read_text())
    found = [
        {**{key: row[key] for key in ("image_id", "category_id", "bbox")}, "score": 0.9}
        for row in truth["annotations"]
        if not row["iscrowd"]
    ]
    few = {row["id"] for row in json.loads(plan.annotations("few").read_text())["images"]}
    inside = [row for row in found if row["image_id"] in few]
    assert inside
    assert len(inside) < len(found)
    for name, rows in (("none", [row for row in found if row["image_id"] not in few]), ("all", inside)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "detections.json").write_text(json.dumps(rows))
    compared = imported("appendix_b_pieces").compared
    ap, ap50, _ = compared(plan.annotations("few"), tmp_path / "none", tmp_path / "all")
    assert (ap.before, ap.after, ap50.change) == (0.0, pytest.approx(1.0), pytest.approx(1.0))
    assert compared(plan.annotations("few"), tmp_path / "all", tmp_path / "all")[0][3:] == (0.0, 0.0)


@pytest.mark.parametrize(
    ("running", "ended", "failed", "expected"),
    [
        ("", "", "", "a"),
        ("a", "", "", None),  # the one that wants to be alone holds back what is later
        ("", "a", "", "alone"),
        ("x", "a", "", None),
        ("alone", "a", "", None),
        ("", "a alone", "", "b"),
        ("", "", "a", "c"),  # what rests on a failure is passed over
    ],
)
def test_the_next_piece(
    imported: Callable[[str], ModuleType], running: str, ended: str, failed: str, expected: str | None
) -> None:
    module = imported("pieces")
    after = {"a": (), "alone": ("a",), "b": ("a",), "c": (), "x": ()}
    pieces = {name: module.Piece(name, list, (), needed, alone=name == "alone") for name, needed in after.items()}
    known = {*running.split(), *ended.split(), *failed.split(), "x"}
    waiting = [piece for name, piece in pieces.items() if name not in known]
    found = module._next(waiting, [pieces[name] for name in running.split()], set(ended.split()), failed.split())
    assert (found.name if found else None) == expected


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("c", "c"),
        ("b", "a alone b"),  # what is needed is, too, and what that needs
        ("a*", "a alone"),
        ("* x", "a alone b c"),
        ("x", ""),
    ],
)
def test_chosen_pieces_bring_what_they_need(imported: Callable[[str], ModuleType], patterns: str, expected: str) -> None:
    module = imported("pieces")
    after = {"a": (), "alone": ("a",), "b": ("alone",), "c": ()}
    pieces = [module.Piece(name, list, (), needed) for name, needed in after.items()]
    assert [piece.name for piece in module.only(pieces, patterns.split())] == expected.split()


def test_a_mean_gain_and_whether_it_may_be_chance(imported: Callable[[str], ModuleType]) -> None:
    rows = [
        {"model": "plain", "seeds": seed, "piece": "both", "against": f"plain {seed} baseline", "AP gain": gain} | ends
        for seed, gain, ends in [
            ("0", 0.02, {"AP low": 0.01, "AP high": 0.03}),
            ("1", 0.01, {"AP low": -0.01, "AP high": 0.03}),
        ]
    ]
    (line,) = imported("appendix_b").summary([{"model": "plain", "seeds": "0", "piece": "training", "s": 1}, *rows])
    assert line == "plain, single, both, against plain, baseline: AP +0.0150; beyond chance in 1 of 2 comparisons"
