"""Run files and their bases."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from resdet.config import find_config, load_config
from resdet.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def told(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (problem,) = caught.value.problems
    return problem


def test_base_is_merged_under_the_file_and_lists_are_replaced(tmp_path: Path) -> None:
    text = "task: detection\noptimizer: {lr: 1, momentum: 0.5}\nschedule: {milestones: [1, 2, 3]}"
    write(tmp_path / "base.yaml", text)
    config = load_config(write(tmp_path / "run.yaml", "base: base.yaml\noptimizer: {lr: 2}\nschedule: {milestones: [9]}"))
    assert (config.optimizer.lr, config.optimizer.momentum) == (2, 0.5)
    assert config.schedule.milestones == [9]
    assert config.output == "runs/run"


def test_a_base_may_have_a_base(tmp_path: Path) -> None:
    """Each is looked for beside the file that names it; the nearest file that gives an option has its way."""
    write(tmp_path / "far" / "c.yaml", "task: detection\noptimizer: {lr: 1, momentum: 0.1}\nrun: {seed: 1, batch: 7}")
    write(tmp_path / "far" / "b.yaml", "base: c\noptimizer: {lr: 2}\nrun: {seed: 2}")
    write(tmp_path / "a.yaml", "base: far/b.yaml\noptimizer: {lr: 3}")
    config = load_config(write(tmp_path / "run.yaml", "base: a\noutput: there"))
    assert (config.optimizer.lr, config.optimizer.momentum) == (3, 0.1)
    assert (config.run.seed, config.run.batch, config.output) == (2, 7, "there")


def test_a_base_is_a_file_beside_or_a_shipped_name(tmp_path: Path) -> None:
    run = write(tmp_path / "run.yaml", "base: coco_r50\noptimizer: {lr: 2}")
    assert load_config(run).model.backbone.name == "resnet50"
    write(tmp_path / "coco_r50.yaml", "base: coco_r101")  # beside goes before shipped
    assert load_config(run).model.backbone.name == "resnet101"
    write(tmp_path / "coco_r50", "task: detection\nmodel: {backbone: {name: resnet18}}")  # as it is spelled, before completed
    assert load_config(run).model.backbone.name == "resnet18"


def test_a_file_with_a_shipped_one_s_name_may_be_based_on_that(tmp_path: Path) -> None:
    assert load_config(write(tmp_path / "coco_r101.yaml", "base: coco_r101")).model.backbone.name == "resnet101"


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_circle_is_shown(tmp_path: Path, names: list[str]) -> None:
    for name, base in zip(names, [*names[1:], names[0]], strict=True):
        write(tmp_path / f"{name}.yaml", f"base: {base}.yaml\ntask: detection")
    shown = " → ".join(str(tmp_path / f"{name}.yaml") for name in [*names, names[0]])
    assert told(tmp_path / "a.yaml") == f"{tmp_path / names[-1]}.yaml: 'base' leads in a circle: {shown}"


def test_a_circle_that_the_file_only_leads_to(tmp_path: Path) -> None:
    write(tmp_path / "b.yaml", "base: c")
    write(tmp_path / "c.yaml", "base: b")
    assert told(write(tmp_path / "a.yaml", "base: b")).endswith(
        "leads in a circle: " + " → ".join(f"{tmp_path / name}.yaml" for name in "abcb")
    )


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("[x]", "'base' must be a file name, got ['x']"),
        ("3", "'base' must be a file name, got 3"),
        ("absent.yaml", "'base': config 'absent.yaml': no such file (known: "),
        ("coco_r51", "'base': config 'coco_r51': no such file (did you mean 'coco_r50'?)"),
        ("x" * 5000, "'base': config 'xxx"),
        ("''", "'base': config '': no such file"),
        ("broken", "broken.yaml: not YAML: "),
    ],
)
def test_a_base_that_cannot_be_read(tmp_path: Path, base: str, message: str) -> None:
    write(tmp_path / "broken.yaml", "task: [")
    middle = write(tmp_path / "middle.yaml", f"base: {base}")
    problem = told(write(tmp_path / "run.yaml", "base: middle"))
    assert problem.startswith(f"{tmp_path}/{message}" if base == "broken" else f"{middle}: {message}")


def test_a_problem_names_the_file_that_has_it(tmp_path: Path) -> None:
    base = write(tmp_path / "base.yaml", "task: detection\nmodle: {}\nrun: {batch: 1}")
    run = write(tmp_path / "run.yaml", "base: base\nrun: {batch: two}")
    with pytest.raises(ConfigError) as caught:
        load_config(run)
    first, second = caught.value.problems
    assert first == f"{base}: unknown option 'modle' (did you mean 'model'?)"
    assert second == f"{run}: option 'run.batch' must be a whole number, got 'two'"


def test_find_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configs: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config("coco_r50") == configs / "coco_r50.yaml"
    assert find_config("coco_r50.yaml") == configs / "coco_r50.yaml"
    (tmp_path / "configs").mkdir()
    local = write(tmp_path / "configs" / "coco_r50.yaml", "")
    assert find_config("coco_r50").samefile(local)
    given = write(tmp_path / "run.yaml", "")
    assert find_config(given) == given
    with pytest.raises(ConfigError, match=r"config 'coco_r5': no such file \(did you mean 'coco_r50'\?\)"):
        find_config("coco_r5")
    with pytest.raises(ConfigError, match=r"config 'nnn.*: no such file"):
        find_config("n" * 5000)


# a base's validation set, that of the file, and what becomes of them; the options of each format are those of docs/data.md
COCO = "{format: coco, root: a, annotations: a.json, keep_difficult: true, images: few.txt}"
CHANGES = [
    (COCO, "{format: voc, root: b, split: val}", ("voc", "b", "", "val", True)),
    (COCO, "{format: yolo, root: b, split: val}", ("yolo", "b", "", "val", False)),
    (COCO, "{format: yolo, root: b, split: val, annotations: b.yaml}", ("yolo", "b", "b.yaml", "val", False)),
    (COCO, "{root: b}", ("coco", "b", "a.json", "", True)),
    (COCO, "{format: coco, root: b}", ("coco", "b", "a.json", "", True)),
    ("{root: a, annotations: a.json}", "{format: voc, split: val}", ("voc", "a", "", "val", False)),
    ("{format: voc, root: a, split: x}", "{format: imagenet_det, root: b}", ("imagenet_det", "b", "", "x", False)),
    ("{format: voc, root: a, split: x}", "{format: coco, root: b, annotations: b.json}", ("coco", "b", "b.json", "", False)),
]


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_another_format_leaves_the_base_s_options_behind(
    tmp_path: Path, before: str, after: str, expected: tuple[object, ...]
) -> None:
    write(tmp_path / "base.yaml", f"task: detection\ndata: {{val: {before}}}")
    write(tmp_path / "middle.yaml", "base: base.yaml")
    run = write(tmp_path / "run.yaml", f"base: middle\ndata: {{val: {after}}}")
    options = [f"data.val.{name}={value}" for name, value in reversed(yaml.safe_load(after).items())]
    # as the file says it, on the command line, and there option by option with the format last
    for config in (
        load_config(run),
        *(load_config(tmp_path / "middle.yaml", given) for given in ([f"data.val={after}"], options)),
    ):
        val = config.data.val
        assert (val.format, val.root, val.annotations, val.split, val.keep_difficult) == expected


def test_an_option_that_the_file_gives_is_not_left_behind(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "task: detection\ndata: {val: {root: a, annotations: a.json}}")
    problem = told(write(tmp_path / "run.yaml", "base: base\ndata: {val: {format: voc, split: x, annotations: b.json}}"))
    assert "option 'data.val.annotations' is for the formats coco, yolo, " in problem
    assert ", not voc; got 'b.json'" in problem


def test_sources_of_the_other_tasks_change_their_format_too(tmp_path: Path) -> None:
    train = "{root: a, annotations: boxes, solution: s.csv, blacklist: b.txt}"
    write(tmp_path / "loc.yaml", f"task: localization\ndata: {{train: {train}}}")
    config = load_config(write(tmp_path / "run.yaml", "base: loc\ndata: {train: {format: tiny_imagenet, root: t}}"))
    source = config.data.train
    assert (source.root, source.annotations, source.solution, source.blacklist) == ("t", "", "", "")
    # both formats know splits: that of the base stays
    write(
        tmp_path / "cls.yaml", "task: classification\ndata: {val: {format: imagenet, root: a, split: val, annotations: v.csv}}"
    )
    source = load_config(write(tmp_path / "run.yaml", "base: cls\ndata: {val: {format: shards, root: s}}")).data.val
    assert (source.root, source.split, source.annotations) == ("s", "val", "")


@pytest.mark.parametrize("task", ["detection", "classification", "localization"])
@pytest.mark.parametrize("nothing", ["null", "", "~"])
def test_a_validation_set_may_be_switched_off(tmp_path: Path, task: str, nothing: str) -> None:
    form = {"detection": "voc", "classification": "imagenet", "localization": "tiny_imagenet"}[task]
    write(tmp_path / "base.yaml", f"task: {task}\ndata: {{val: {{format: {form}, root: a, split: val}}}}")
    off = load_config(write(tmp_path / "run.yaml", f"base: base\ndata:\n  val: {nothing}\n")).data.val
    assert off == load_config(write(tmp_path / "none.yaml", f"task: {task}")).data.val
    assert not off.root
    for text in ("data.val=null", "data.val="):
        assert load_config(tmp_path / "base.yaml", [text]).data.val == off
