"""Whole runs in their folders by several processes: one writes, all know, and the number of processes may change."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from coco_files import CocoFiles
from in_ranks import ended_ranks, in_ranks
from safetensors.torch import load_file
from shared_training import CPU, Pictures, classifier_options, detector_options

from resdet.config import config_from_dict
from resdet.config.schema import RUN_CONFIGS
from resdet.distributed.ranks import Ranks
from resdet.engine.run import Hook, Run
from resdet.training.how import How
from resdet.training.start import train_task
from resdet.training.train import build_task, train_config

STEPS = 6
FILES = {"config.yaml", "log.jsonl", "state.pt", "model.safetensors", "best.safetensors", "metrics.json", "predictions.npz"}


def options(folder: Path, **run: Any) -> dict[str, Any]:
    values = classifier_options(batch=8, eval_every=3, checkpoint_every=2, log_every=1, ema=0.9, **run)
    return {**values, "schedule": {"iterations": STEPS}, "output": str(folder), "recompute_bn": 8}


class Ending(Hook):
    """Asks its process to stop after a step, as a scheduler does."""

    def __init__(self, rank: int, iteration: int) -> None:
        self.rank = rank
        self.iteration = iteration

    def after_step(self, run: Run) -> None:
        if run.ranks.rank == self.rank and run.iteration == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)


def run(ranks: Ranks, values: dict[str, Any], resume: bool = False, hook: Hook | None = None) -> tuple[dict[str, Any], float]:
    own = {"train": Pictures(), "val": Pictures()} if values["task"] == "classification" else None
    config = config_from_dict(RUN_CONFIGS[values["task"]], values)
    done = train_config(config, "cpu", How(resume=resume, hooks=[hook] if hook else []), own)
    return done.metrics, done.score


def log(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    clocked = ("time", "data_time", "eta", "memory")
    return [{name: value for name, value in line.items() if name not in clocked} for line in lines]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same run by one and by two processes."""
    folders = {world: tmp_path_factory.mktemp(f"world{world}") / "run" for world in (1, 2)}
    for world, folder in folders.items():
        found = in_ranks(world, run, options(folder))
        assert all(each == found[0] for each in found)
        assert found[0][0] == {**json.loads((folder / "metrics.json").read_text())}
    return folders


def test_one_process_writes_what_one_alone_would(unbroken: dict[int, Path]) -> None:
    assert {path.name for path in unbroken[2].iterdir()} >= FILES
    names = [
        {path.relative_to(folder) for path in folder.rglob("*") if "tfevents" not in path.name} for folder in unbroken.values()
    ]
    assert names[0] == names[1]
    lines, alone = (log(unbroken[world]) for world in (2, 1))
    assert [line["iteration"] for line in lines] == [line["iteration"] for line in alone]
    for line, expected in zip(lines, alone, strict=True):
        assert line.keys() == expected.keys()
        for name in ("lr", "loss", "loss_cls", "error"):
            if name in expected:
                assert line[name] == pytest.approx(expected[name], rel=1e-3), (line["iteration"], name)


@pytest.mark.parametrize(("asked", "world"), [(0, 2), (1, 2), (1, 1)])
def test_a_run_goes_on_with_any_number_of_processes(unbroken: dict[int, Path], tmp_path: Path, asked: int, world: int) -> None:
    values = options(tmp_path / "run")
    ended = ended_ranks(2, run, values, False, Ending(asked, 3))
    assert [each.status for each in ended] == [130, 130]
    assert "".join(each.errors for each in ended).count("stopped by SIGTERM after iteration 3") == 1
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["iteration"] == 3
    in_ranks(world, run, values, True)
    found, expected = (load_file(folder / "model.safetensors") for folder in (tmp_path / "run", unbroken[2]))
    for name, tensor in expected.items():
        if world == 2:
            assert torch.equal(found[name], tensor), name
        else:
            torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4)
    if world == 2:
        assert log(tmp_path / "run") == log(unbroken[2])


def test_a_used_folder_and_too_small_a_batch_are_told_once(unbroken: dict[int, Path], tmp_path: Path) -> None:
    for values, words in (
        (options(unbroken[1]), "holds a run; pass --resume to continue it"),
        ({**options(tmp_path / "a"), "run": {"batch": 2}}, "'run.batch' must have an image for each of 3 processes, got 2"),
    ):
        ended = ended_ranks(3, run, values)
        assert [each.status for each in ended] == [2, 2, 2]
        told = "".join(each.errors for each in ended)
        assert told.count("error: ") == 1
        assert words in told
    assert not (tmp_path / "a").exists()


def other_weights(ranks: Ranks, values: dict[str, Any]) -> None:
    config = config_from_dict(RUN_CONFIGS["classification"], values)
    task = build_task(config, CPU, own={"train": Pictures()}, ranks=ranks)
    with torch.no_grad():
        next(task.model.parameters()).view(-1)[0] += 1e-6 * ranks.rank
    train_task(config, task, CPU, How(ranks=ranks))


def test_processes_that_begin_with_different_weights(tmp_path: Path) -> None:
    ended = ended_ranks(2, other_weights, options(tmp_path / "run"))
    assert [each.status for each in ended] == [2, 2]
    assert "rank 1 begins with other weights than rank 0" in "".join(each.errors for each in ended)


@pytest.mark.slow
def test_alternating_training(tiny_coco: CocoFiles, tmp_path: Path) -> None:
    """Its proposals are those of every image, once, and each step trains on."""
    folders = {}
    for world in (1, 2):
        values = detector_options(tiny_coco.annotations.parent, log_every=1)
        phases = {"rpn": {"iterations": 3}, "roi": {"iterations": 2}}
        folders[world] = tmp_path / str(world)
        values |= {"training": "alternating", "alternating": phases, "output": str(folders[world])}
        in_ranks(world, run, values)
    for step in ("step1_rpn", "step2_roi", "step3_rpn", "step4_roi"):
        first, expected = (log(folders[world] / step)[0] for world in (2, 1))
        assert first["loss"] == pytest.approx(expected["loss"], rel=1e-3)
    counts = [load_file(folder / "proposals" / "step1_rpn" / "00000.safetensors") for folder in folders.values()]
    assert counts[0].keys() == counts[1].keys()
    for name, tensor in counts[0].items():
        assert len(counts[1][name]) == pytest.approx(len(tensor), abs=2)
