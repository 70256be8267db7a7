"""Options, configs and arguments that are wrong."""

from __future__ import annotations

import re

import pytest
import torch
from error_lab import Lab, written
from error_rows import Row, check, no_run_folder, row

from resdet.cli import main

OPTIONS = [
    row(
        "unknown option",
        lambda lab: lab.train_det("optimizer.momentun=0.9"),
        2,
        r"argument 'optimizer\.momentun=0\.9': unknown option 'optimizer\.momentun' \(did you mean 'momentum'\?\)",
        after=no_run_folder,
    ),
    row(
        "unknown option in the file",
        lambda lab: lab.train_det(optimizer__learning_rate=0.1),
        2,
        r"train-det\.yaml: unknown option 'optimizer\.learning_rate' \(known: .*\blr\b.*\)",
    ),
    row("no value", lambda lab: lab.train_det("optimizer.lr"), 2, r"argument 'optimizer\.lr': must look like key\.path=value"),
    row("wrong type", lambda lab: lab.train_det("optimizer.lr=fast"), 2, r"option 'optimizer\.lr' must be a number, got"),
    row("section for a value", lambda lab: lab.train_det(optimizer=3), 2, r"option 'optimizer' must be a mapping, got 3"),
    row("out of range", lambda lab: lab.train_det("data.hflip=2"), 2, r"option 'data\.hflip' must be at most 1, got 2"),
    row("NaN", lambda lab: lab.train_det("optimizer.lr=.nan"), 2, r"option 'optimizer\.lr' must be at least 0, got nan"),
    row("not a choice", lambda lab: lab.train_det("data.metric=voc11"), 2, r"'data\.metric' must be one of coco, voc07, voc10"),
    row(
        "two problems at once",
        lambda lab: lab.train_det("optimizer.lr=fast", run__bach=2),
        2,
        r"train-det\.yaml: unknown option 'run\.bach' \(did you mean 'batch'\?\)",
        r"argument 'optimizer\.lr=fast': option 'optimizer\.lr' must be a number",
    ),
    row(
        "two values out of range",
        lambda lab: lab.train_cls("run.batch=0", "schedule.milestones=[5, 3]"),
        2,
        r"option 'run\.batch' must be at least 1, got 0",
        r"option 'schedule\.milestones' must increase, got \[5, 3\]",
    ),
    row("missing config", lambda lab: ["train-det", "--config", "coco_r5o"], 2, r"'coco_r5o': no such file.*'coco_r50'"),
    row(
        "config that is not YAML",
        lambda lab: ["train-det", "--config", str(written(lab.folder / "bad.yaml", b"task: [detection\n"))],
        2,
        r"bad\.yaml: not YAML: .*line",
    ),
    row(
        "config of the other trainer",
        lambda lab: ["train-cls", *lab.train_det()[1:]],
        2,
        r"train-det\.yaml: 'task' is detection; its command is train-det",
    ),
    row("unknown command", lambda lab: ["trian-det"], 2, r"unknown command 'trian-det' \(did you mean 'train-det'\?\)"),
    row(
        "unknown backbone",
        lambda lab: lab.train_det("model.backbone.name=resnet51"),
        2,
        r"unknown backbone 'resnet51' \(did you mean 'resnet5[02]?'\?\)|unknown backbone 'resnet51' \(did you mean 'resnet",
        after=no_run_folder,
    ),
    row(
        "unknown device",
        lambda lab: [*lab.train_det(), "--device", "tpu"],
        2,
        r"device must be auto, cpu, cuda, cuda:N or mps, got 'tpu'",
    ),
    row("device of torch, not of ours", lambda lab: [*lab.eval(), "--device", "meta"], 2, r"device must be auto, .*got 'meta'"),
    row(
        "16 bits of a classifier",
        lambda lab: [*lab.eval(config=lab.classifier / "config.yaml"), "--precision", "bf16"],
        2,
        r"--precision and --compile go with a detection config, 'task' is classification",
    ),
    row("eval without anything", lambda lab: ["eval"], 2, r"eval needs --config.*or --ground-truth and --detections"),
    row(
        "16 bits of a results file",
        lambda lab: [*lab.score("{}", "[]"), "--precision", "bf16"],
        2,
        r"--precision: has no effect on results files: leave out",
    ),
    row(
        "what a results file cannot have",
        lambda lab: [*lab.score("{}", "[]"), "--report", "--weights", "a.pth", "data.workers=0"],
        2,
        r"--report, --weights, data.workers=0: have no effect on results files: leave out",
    ),
    row(
        "eval of half a pair",
        lambda lab: ["eval", "--detections", "x.json"],
        2,
        r"--ground-truth and --detections go together, got --detections",
    ),
]


@pytest.mark.parametrize("mistake", OPTIONS, ids=lambda mistake: mistake.name)
def test_wrong_options(mistake: Row, lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    check(mistake, lab, capfd)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["train_det", "train_cls", "eval"])
def test_a_gpu_that_is_not_there(command: str, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*getattr(lab, command)(), "--device", "cuda"]) == 2
    assert re.search(r"error: device 'cuda': torch sees no CUDA device", capsys.readouterr().err)
    assert no_run_folder(lab)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["predict", "picture.jpg"], "required: --weights"),
        (["train-loc"], "required: --config"),
        (["eval", "--evaluator", "mine"], "invalid choice: 'mine'"),
        (["eval", "--resume"], "unrecognized arguments: --resume"),
    ],
)
def test_wrong_usage(arguments: list[str], rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert rule in capsys.readouterr().err.splitlines()[-1]
