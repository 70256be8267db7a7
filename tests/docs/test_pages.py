"""What pages say of options, commands, messages and numbers is so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import resdet
from resdet.cli import COMMANDS, command_parser, main
from resdet.config.schema import RUN_CONFIGS
from resdet.data.synthetic.scenes import make_shapes
from resdet.facts.run_files import run_options

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("coming_from.md", "troubleshooting.md", "conventions.md", "evaluation_rules.md", "index.md")
OPTIONS = {option.name for task in RUN_CONFIGS for option in run_options(task)}
SECTIONS = {name.rpartition(".")[0] for name in OPTIONS} | {"data.train"}
RUN_FILE = """
task: detection
from_scratch: true
model: {backbone: {name: resnet18, width: 4}, anchors: {sizes: [16, 32]}}
data:
  train: [{format: coco, root: images/train, annotations: annotations/instances_train.json}]
  val: {format: coco, root: images/val, annotations: annotations/instances_val.json}
  short_side: [64]
  max_side: 96
  test_short_side: 64
  workers: 0
schedule: {iterations: 1, warmup_iterations: 0}
run: {batch: 2, kernels: torch}
output: runs/mine
"""


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def inline_code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", PAGES)
def test_the_options_that_a_page_names_exist(name: str) -> None:
    sections = {section.partition(".")[0].partition("[")[0] for section in SECTIONS if section}
    named = [
        match[1]
        for code in inline_code(page(name))
        for match in re.finditer(r"(?<![\w./])((?:" + "|".join(sections) + r")\.[a-z_][\w.\[\]]*)(?![\w./(])", code)
    ]
    python = ("model.detect", "model.losses", "model.train", "model.eval", "model.safetensors", "data.yaml", "model.state_dict")
    unknown = [each for each in named if each not in OPTIONS | SECTIONS and not each.startswith(python)]
    assert unknown == []


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_that_a_page_names_take_their_arguments(name: str) -> None:
    for code in inline_code(page(name)):
        for command, rest in re.findall(r"resdet ([a-z-]+)((?: [^;]*)?)", code):
            assert command in COMMANDS, code
            known = command_parser(command).format_help()
            assert [flag for flag in re.findall(r"(?<=\s)--[a-z][\w-]*", rest) if flag not in known] == [], code


def test_flags_that_stand_alone_are_some_commands() -> None:
    known = "".join(command_parser(name).format_help() for name in ("train-det", "predict", "eval", "export", "convert"))
    theirs = re.compile(
        r"--(data-path|dataset|batch-size|lr|epochs|momentum|weight-decay|workers|output-dir|aspect|test-only|num-gpus)"
    )
    flags = [flag for code in inline_code(page("coming_from.md")) for flag in re.findall(r"--[a-z][\w-]*", code)]
    assert [
        flag for flag in flags if flag not in known and not theirs.match(flag) and flag not in ("--config-file", "--eval-only")
    ] == []


def test_names_of_the_package_exist() -> None:
    named = {found for name in PAGES for found in re.findall(r"resdet\.(\w+)", " ".join(inline_code(page(name))))}
    assert named - set(resdet.__all__) == set()


def test_the_pixels_of_the_conventions() -> None:
    from resdet.structures.pixels import PIXEL_CONVENTIONS

    rows = dict(re.findall(r"^\| `(torchvision|msra)` \| ([^|]+) \|", page("conventions.md"), re.MULTILINE))
    assert set(rows) == set(PIXEL_CONVENTIONS)
    for name, convention in PIXEL_CONVENTIONS.items():
        assert rows[name].startswith(f"{convention.order} in 0 … {convention.range}")
        numbers = [*convention.mean, *(value for value in convention.std if value != 1)]
        assert [float(each) for each in re.findall(r"\d+\.\d+", rows[name])] == numbers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run file with its data, and files with a mistake each."""
    folder = tmp_path_factory.mktemp("mistakes")
    make_shapes(folder, train=12, val=4, size=96, seed=0)
    (folder / "mine.yaml").write_text(RUN_FILE, encoding="utf-8")
    truth = json.loads((folder / "annotations" / "instances_val.json").read_text(encoding="utf-8"))
    for name, change in (("val", other_name), ("corners", as_corners), ("zero", first_id_zero)):
        changed = json.loads(json.dumps(truth))
        change(changed)
        (folder / f"{name}.json").write_text(json.dumps(changed), encoding="utf-8")
    (folder / "found.json").write_text("[]", encoding="utf-8")
    (folder / "broken.png").write_bytes(next((folder / "images" / "val").iterdir()).read_bytes()[:300])
    torch.save(torch.nn.Linear(2, 2), folder / "pickled.pth")
    return folder


def other_name(truth: dict) -> None:
    truth["categories"][0]["name"] = "Disc"


def as_corners(truth: dict) -> None:
    for each in truth["annotations"]:
        x, y, width, height = each["bbox"]
        each["bbox"] = [x, y, x + width, y + height]


def first_id_zero(truth: dict) -> None:
    truth["annotations"][0]["id"] = 0


TRAIN = ["train-det", "--config", "mine.yaml"]
CHECK = ["data", "check", "--format", "coco", "--root", "images/val", "--annotations"]
# what is run, and how its message begins on the page; the last lines are those of a run that is there already
MESSAGES = [
    ([*CHECK, "corners.json"], 0, "warning: data: 10 of 13 boxes leave"),
    ([*TRAIN, "data.val.annotations=val.json"], 3, "error: val.json: class"),
    (["predict", "--weights", "runs/mine/model.safetensors", "broken.png"], 3, "error: broken.png"),
    ([*TRAIN, "from_scratch=false", "output=runs/a"], 2, "error: option 'model.backbone.weights'"),
    ([*TRAIN], 2, "error: runs/mine holds a run; pass"),
    ([*TRAIN, "--resume", "optimizer.lr=0.5"], 2, "error: runs/mine holds a run of another config"),
    ([*TRAIN, "optimizer.learning_rate=1"], 2, "error: argument"),
    (
        [*TRAIN, "optimizer.lr=1e12", "schedule.iterations=9", "data.val=null", "output=runs/b"],
        1,
        "error: iteration 2: the loss is not",
    ),
    (["eval", "--ground-truth", "zero.json", "--detections", "found.json"], 0, "warning: an annotation has the id 0"),
    (["info", "--weights", "pickled.pth"], 3, "error: pickled.pth"),
]


def as_pattern(line: str) -> str:
    """A line of the page as a pattern: … stands for anything, and pictures have the names of the user's."""
    line = re.sub(r"\b[ab]\.jpg \(image id \d\)", "…", line)
    return ".*".join(map(re.escape, line.split("…")))


@pytest.mark.slow
@pytest.mark.filterwarnings("always")
def test_messages_are_told_as_the_page_has_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    blocks = re.findall(r"^```\n(.*?)^```", page("troubleshooting.md"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert main(TRAIN) == 0
    told = capfd.readouterr().err
    seen = [line for line in lines if line.startswith("warning: frozen BN")]
    assert re.search(as_pattern(seen[0]), told)
    for arguments, status, begin in MESSAGES:
        (line,) = [line for line in lines if line.startswith(begin)]
        assert main(arguments) == status, arguments
        told = capfd.readouterr().err
        assert re.search(as_pattern(line), told), f"{line}\nis told as\n{told}"
        seen.append(line)
    rest = [line for line in lines if line not in seen]
    assert [line[:20] for line in rest] == ["error: val.json: onl", "error: out of memory"]


def score(boxes: list, found: list) -> Callable[[str], float]:
    from resdet.evaluation.coco import evaluate_coco

    truth = {
        "images": [{"id": 1, "width": 500, "height": 500}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for i, box in enumerate(boxes, 1)
        ],
    }
    rows = [{"image_id": 1, "category_id": 1, "bbox": box, "score": value} for box, value in found]
    return evaluate_coco(truth, rows).bbox.__getitem__


BIG, AWAY = [0, 0, 100, 100], [200, 200, 50, 50]
CASES = {
    "one object, one detection with an IoU of exactly 0.5": ([BIG], [([0, 0, 100, 50], 0.9)]),
    "one object, one detection with an IoU of exactly 0.75": ([BIG], [([0, 0, 100, 75], 0.9)]),
    "two objects, one of them found": ([BIG, AWAY], [(BIG, 0.9)]),
    "one object found, and a better scored box where nothing is": ([BIG], [(AWAY, 0.9), (BIG, 0.8)]),
    "nothing of a class annotated": ([], [(BIG, 0.9)]),
}


def test_the_cases_of_the_evaluation_rules() -> None:
    table = page("evaluation_rules.md").partition("Worked by hand:")[2].partition("\n## ")[0]
    rows = {
        case.strip(): numbers
        for case, *numbers in re.findall(r"^\| ([^|]+) \| ([\d.]+|`null`) \| ([\d.]+|`null`) \|", table, re.MULTILINE)
    }
    assert set(rows) == set(CASES)
    for case, numbers in rows.items():
        measured = score(*CASES[case])
        wanted = [float("nan") if number == "`null`" else float(number) for number in numbers]
        assert [measured("AP"), measured("AP50")] == pytest.approx(wanted, abs=1e-4, nan_ok=True), case
