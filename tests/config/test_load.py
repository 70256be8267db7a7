from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from resdet.config import config_from_dict, config_to_dict, config_to_yaml, load_config
from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig, OptimizerConfig
from resdet.errors import ConfigError


def _write(folder: Path, text: str, name: str = "run.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _problems(path: Path | str, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return caught.value.problems


def test_defaults_fill_what_the_file_leaves_out(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path, "task: detection\noptimizer: {lr: 0.5}", "mine.yaml"))
    assert isinstance(config, DetectionRunConfig)
    assert config.optimizer == OptimizerConfig(lr=0.5)
    assert config.model.anchors.ratios == [0.5, 1.0, 2.0]
    assert config.output == "runs/mine"
    assert isinstance(load_config(_write(tmp_path, "task: classification")), ClassificationRunConfig)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("optimizer.lr=1e-3", "optimizer.lr", 0.001),
        ("optimizer.lr=2", "optimizer.lr", 2.0),
        ("schedule.milestones=[5, 7]", "schedule.milestones", [5, 7]),
        ("model.anchors.sizes=[8]", "model.anchors.sizes", [8.0]),
        ("data.skip_empty=false", "data.skip_empty", False),
        ("data.val.root=a=b", "data.val.root", "a=b"),
        ("output=2024", "output", "2024"),
        ("data.names=[cat, dog]", "data.names", ["cat", "dog"]),
        ("model.backbone.pixels=msra", "model.backbone.pixels", "msra"),
    ],
)
def test_overrides(override: str, path: str, value: object) -> None:
    node: object = load_config("coco_r50", [override])
    for key in path.split("."):
        node = getattr(node, key)
    assert node == value
    assert type(node) is type(value)


def test_overrides_reach_into_lists_and_come_last() -> None:
    overrides = ["data.train[0].root=elsewhere", "optimizer.lr=3", "optimizer.lr=4"]
    config = load_config("coco_r50", overrides)
    assert isinstance(config, DetectionRunConfig)
    assert config.data.train[0].root == "elsewhere"
    assert config.data.train[0].annotations.endswith("instances_train2017.json")
    assert config.optimizer.lr == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.momentun=1", r"unknown option 'optimizer\.momentun' \(did you mean 'momentum'\?\)"),
        ("optimzer.lr=1", r"unknown option 'optimzer' \(did you mean 'optimizer'\?\)"),
        ("optimizer={lt: 1}", r"unknown option 'optimizer\.lt' \(known: .*lr"),
        ("model.rpn.foo=3", r"unknown option 'model\.rpn\.foo'"),
        ("optimizer.lr=abc", r"option 'optimizer\.lr'.*abc"),
        ("optimizer.lr=true", r"option 'optimizer\.lr'.*True"),
        ("optimizer.lr=", r"option 'optimizer\.lr'.*got ''$"),
        ("optimizer.lr=-1", r"option 'optimizer\.lr' must be at least 0, got -1"),
        ("optimizer.lr=nan", r"option 'optimizer\.lr' must be at least 0, got nan"),
        ("optimizer.lr=.inf", r"option 'optimizer\.lr' must be .*got inf"),
        ("data.hflip=2", r"option 'data\.hflip' must be at most 1, got 2"),
        ("schedule.iterations=1.5", r"option 'schedule\.iterations'.*1\.5"),
        ("schedule.milestones=5", r"option 'schedule\.milestones'.*5"),
        ("schedule.milestones=[5, 5]", r"option 'schedule\.milestones' must increase, got \[5, 5\]"),
        ("schedule.milestones=[0, 5]", r"option 'schedule\.milestones' must be at least 1, got 0"),
        ("model.rpn=3", r"option 'model\.rpn'.*3"),
        (
            "model.roi.bg_iou_thresh=0.9",
            r"'model\.roi\.bg_iou_thresh' must be at most 'model\.roi\.fg_iou_thresh' \(0\.5\), got 0\.9",
        ),
        ("model.backbone.pixels=msar", r"must be one of auto, torchvision, msra \(did you mean 'msra'\?\), got 'msar'"),
        (
            "data.train[0].format=cooc",
            r"option 'data\.train\[0\]\.format' must be one of coco, voc, yolo, .* \(did you mean 'coco'\?\)",
        ),
        ("data.train[3].root=x", r"option 'data\.train\[3\]\.root'"),
        ("data.short_side=[]", r"option 'data\.short_side' must not be empty"),
        ("task=classification", r"option 'task' must be one of detection.*got 'classification'"),
        ("foo", "must look like key.path=value"),
        ("=3", "must look like key.path=value"),
    ],
)
def test_bad_overrides_are_refused_and_named(override: str, message: str) -> None:
    (problem,) = _problems("coco_r50", override)
    assert re.search(message, problem), problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: [", "not YAML"),
        ("task: detection\ntask: detection", "not YAML"),
        ("- task", "must be a mapping of option names to values, got list"),
        ("model: {}", "'task' must be one of classification, detection, localization, got None"),
        ("task: detect", "'task' must be one of classification, detection, localization, got 'detect'"),
        ("task: detection\nmodle: {}", r"unknown option 'modle' \(did you mean 'model'\?\)"),
        (
            "task: detection\nmodel: {rpn: {batch_size_per_imgae: 3}}",
            r"unknown option 'model\.rpn\.batch_size_per_imgae' \(did you mean 'batch_size_per_image'\?\)",
        ),
        ("task: detection\nmodel: 3", "option 'model' must be a mapping, got 3"),
        ("task: detection\ndata: {train: {root: x}}", r"option 'data\.train' must be a list of mappings"),
        ("task: detection\ndata: {train: [{rot: x}]}", r"unknown option 'data\.train\[0\]\.rot' \(did you mean 'root'\?\)"),
        ("task: detection\nrun: {batch: two}", r"option 'run\.batch'.*two"),
        ("task: classification\ndata: {short_side: [256]}", r"must be \[\] or \[lowest, highest\], got \[256\]"),
        ("task: classification\ndata: {short_side: [480, 256]}", r"must be \[\] or \[lowest, highest\]"),
        ("task: [detection]", r"'task' must be one of classification, detection, localization, got \['detection'\]"),
        ("3", "must be a mapping of option names to values, got a single value"),
        ("run: &r {batch: *r}", "not YAML"),
        ("run: {batch: !!int x}", "not YAML"),
        ("run: {batch: " + "9" * 5000 + "}", "not YAML"),
    ],
)
def test_bad_files_are_refused_and_named(tmp_path: Path, text: str, message: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(path) in caught.value.problems[0]
    assert "\n" not in caught.value.problems[0]


def test_a_binary_file_is_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    assert "not YAML" in _problems(path)[0]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = _write(tmp_path, "task: detection\nmodle: {}\nrun: {batch: two, sede: 1}")
    problems = _problems(path, "optimizer.lt=1", "foo")
    assert len(problems) == 5
    path = _write(tmp_path, "task: detection\nrun: {batch: 0, seed: -1}\nmodel: {roi: {bg_iou_thresh: 0.9}}")
    assert len(_problems(path)) == 3


def test_what_is_left_open_is_told_of_every_option(tmp_path: Path) -> None:
    text = (
        "task: detection\noutput: ${nowhere}\nrun: {batch: '???', seed: '${output}'}\n"
        "data: {names: [a, '${x}'], transforms: ['${data}']}"
    )
    problems = _problems(_write(tmp_path, text))
    assert [re.sub(r".*option '(.*?)'.*", r"\1", problem) for problem in problems] == [
        "data.names[1]",
        "data.transforms[0]",
        "run.batch",
        "run.seed",
        "output",
    ]
    assert "option 'run.batch' is left open (???) and must be given" in problems[2]
    assert "nowhere" in problems[4]


def test_an_interpolation_is_the_other_option_s_value(tmp_path: Path) -> None:
    text = "task: detection\nschedule: {milestones: '${alternating.rpn.milestones}'}\nalternating: {rpn: {milestones: [3]}}"
    assert load_config(_write(tmp_path, text)).schedule.milestones == [3]


def test_to_yaml_and_back(tmp_path: Path) -> None:
    config = load_config("voc07_r101", ["optimizer.lr=0.3", "data.names=[a, 'no', '3', é]"])
    again = load_config(_write(tmp_path, config_to_yaml(config)))
    assert again == config


def test_to_dict_and_back() -> None:
    config = load_config("demo_det")
    values = config_to_dict(config)
    assert config_from_dict(DetectionRunConfig, values) == config
    assert yaml.safe_load(config_to_yaml(config)) == values
    values["run"]["batch"] = 0
    values["optimizer"]["lt"] = 1
    with pytest.raises(ConfigError, match=r"unknown option 'optimizer\.lt'"):
        config_from_dict(DetectionRunConfig, values)
    del values["optimizer"]["lt"]
    with pytest.raises(ConfigError, match=r"'run\.batch' must be at least 1, got 0"):
        config_from_dict(DetectionRunConfig, values)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("schedule.milestones=[3] schedule.milestone_epochs=[1]", "give either option 'schedule.milestones' or"),
        ("schedule.milestone_epochs=[2,1] schedule.milestones=[]", "'schedule.milestone_epochs' must increase"),
        ("schedule.warmup_iterations=5 schedule.warmup_until_error=0.8", "give either option 'schedule.warmup_iterations' or"),
        ("schedule.policy=plateau run.eval_every=0", "plateau needs evaluations: set 'run.eval_every'"),
        ("schedule.policy=plateau data.val.root=", "plateau needs evaluations: .* got 5005 and ''"),
        ("regularization.mixup=1e-320", "'regularization.mixup' must be 0 or at least 0.001"),
        ("schedule.epochs=1e300", "'schedule.epochs' must be at most"),
        ("schedule.policy=plato", "'schedule.policy' must be one of steps, plateau, cosine"),
        ("run.accumulate=1000", r"'run.accumulate' must be at most 'run.batch' \(256\), got 1000"),
        ("run.ema=1", "'run.ema' must be below 1"),
        (
            "run.compile=true run.checkpoint_activations=true",
            "give either option 'run.compile' or 'run.checkpoint_activations'",
        ),
        ("data.area=[0.5]", r"'data.area' must be \[lowest, highest\], got \[0.5\]"),
        ("data.area=[0.9,0.5]", r"'data.area' must be \[lowest, highest\]"),
        ("test.flip=true", "'test.flip' goes with 'test.views' dense, got 'center'"),
    ],
)
def test_options_that_do_not_go_together(override: str, message: str) -> None:
    (problem,) = _problems("imagenet_r50", *override.split())
    assert re.search(message, problem), problem


def test_a_detector_has_no_training_error_to_wait_for() -> None:
    (problem,) = _problems("coco_r50", "schedule.warmup_until_error=0.8", "schedule.warmup_iterations=0")
    assert "'schedule.warmup_until_error' is for classifiers" in problem


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["run.accumulate=4", "run.batch=8", "alternating.rpn.batch=2"], r"batch of 'alternating\.rpn' \(2\), got 4"),
        (
            ["alternating.roi.iterations=500"],
            r"'alternating\.roi\.milestones' must lie below its iterations \(500\), got \[240000\]",
        ),
        (["alternating.rpn.milestones=[9,3]"], r"'alternating\.rpn\.milestones' must increase"),
        (["run.accumulate=4", "run.batch=2", "alternating.rpn.batch=8", "alternating.roi.batch=8"], ""),
    ],
)
def test_the_phases_of_alternating_training_have_rules_of_their_own(overrides: list[str], message: str) -> None:
    arguments = ["training=alternating", *overrides]
    if not message:
        assert load_config("coco_r50", arguments).alternating.rpn.batch == 8
        return
    with pytest.raises(ConfigError, match=message):
        load_config("coco_r50", arguments)
