"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from resdet.analysis.training_curves import (
    TrainedNet,
    conclude_degradation,
    conclude_shortcuts,
    final_train_error,
    read_net,
)
from resdet.engine.log_file import Log
from resdet.errors import ConfigError, DataError


def test_the_training_error_is_that_of_the_last_tenth() -> None:
    steps = list(range(10, 201, 10))
    assert final_train_error(Log(steps={"error": (steps, [0.9] * 18 + [0.4, 0.2])})) == pytest.approx(0.3)
    assert final_train_error(Log(steps={"error": ([10], [0.7])})) == 0.7
    assert final_train_error(Log()) is None


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    backbone = {"name": "cifar_resnet8", "width": 4, "shortcut": "B"}
    (folder / "config.yaml").write_text(yaml.safe_dump({"task": "classification", "model": {"backbone": backbone}}))
    lines = [
        {"iteration": 10, "loss": 1.0, "error": 0.6},
        {"iteration": 10, "eval": {"top1_error": 0.5}, "score": 0.5},
        {"iteration": 20, "loss": 0.5, "error": 0.25},
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "metrics.json").write_text(json.dumps({"top1_error": 0.375, "per_class": {"a": {}, "b": {}, "c": {}}}))
    return folder


def test_what_a_run_folder_says(run: Path) -> None:
    net = read_net(run)
    assert (net.name, net.shortcut, net.plain, net.layers) == ("cifar_resnet8", "B", False, 8)
    assert (net.train_error, net.test_error) == (0.25, 0.375)
    assert net.log.scores["top-1 error"] == ([10], [0.5])
    # stem, three blocks of width 4, 8, 16, two projections, each with the scale and shift of its BN; fc for three classes
    stem, stages = 27 * 4 + 8, [(4, 4), (4, 8), (8, 16)]
    blocks = sum(9 * old * new + 9 * new * new + 4 * new for old, new in stages)
    projections = sum(old * new + 2 * new for old, new in stages[1:])
    assert net.parameters == stem + blocks + projections + 16 * 3 + 3


def test_a_folder_that_is_no_finished_run(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no config\.yaml, log\.jsonl and metrics\.json"):
        read_net(tmp_path)
    (run / "metrics.json").write_text("[]")
    with pytest.raises(DataError, match=r"metrics\.json: must be the metrics of a classifier"):
        read_net(run)
    (run / "metrics.json").unlink()
    with pytest.raises(ConfigError, match=r"is no finished run of train-cls: has no metrics\.json"):
        read_net(run)
    (run / "metrics.json").write_text("{}")
    (run / "config.yaml").write_text("task: detection\n")
    with pytest.raises(ConfigError, match="must be a run of train-cls, its task is detection"):
        read_net(run)


def net(layers: int, shortcut: str, train: float | None, test: float | None, seed: int = 0) -> TrainedNet:
    return TrainedNet("net", shortcut, seed, shortcut == "none", layers, 100, train, test, Log())


def test_degradation_is_told_by_the_training_error() -> None:
    nets = [net(56, "none", 0.3, 0.2), net(20, "none", 0.1, 0.3), net(32, "none", 0.9, 0.9)]
    nets += [net(20, "A", 0.1, 0.3), net(56, "A", 0.05, 0.15)]
    assert conclude_degradation(nets) == (
        "plain nets: degradation: training error 10.00 % with 20 layers, 30.00 % with 56 (+20.00 points); "
        "residual nets: no degradation seen: training error 10.00 % with 20 layers, 5.00 % with 56 (-5.00 points); "
        "at 56 layers the residual net is better than the plain one: test error 15.00 % against 20.00 %"
    )


def test_the_opposite_can_be_told() -> None:
    nets = [net(20, "none", 0.3, 0.3), net(56, "none", 0.3, 0.2), net(20, "A", 0.1, 0.1), net(56, "A", 0.2, 0.2)]
    text = conclude_degradation(nets)
    assert text.startswith("plain nets: no degradation seen: ")
    assert "residual nets: degradation: " in text
    assert text.endswith("the residual net is no better than the plain one: test error 20.00 % against 20.00 %")


def test_missing_errors() -> None:
    assert "test error 10.00 % with 20 layers" in conclude_degradation([net(20, "A", None, 0.1), net(56, "A", 0.1, 0.2)])
    assert conclude_degradation([net(20, "A", None, None), net(56, "A", 0.1, None)]) == "residual nets: no error was measured"
    assert conclude_degradation([net(20, "A", 0.1, 0.1)]).startswith("nothing to compare")
    assert conclude_shortcuts([net(20, "A", 0.1, None)]) == "nothing to compare: no test error"


def test_of_one_seed_the_shortcuts_are_ranked_and_nothing_is_concluded() -> None:
    errors = {"A": 0.3, "B": 0.1, "C": 0.2, "none": 0.5}
    assert conclude_shortcuts([net(20, option, 0.1, error) for option, error in errors.items()]) == (
        "net: test error by shortcut option, best first: B 10.00 %, C 20.00 %, A 30.00 %, none 50.00 %; of a single seed: how "
        "large the noise is, and so whether they differ, is unknown"
    )
    assert conclude_shortcuts([net(20, "A", 0.1, 0.3)]) == "net: test error by shortcut option, best first: A 30.00 %"


def test_shortcuts_of_several_seeds_differ_where_the_noise_is_exceeded() -> None:
    errors = {"A": (0.10, 0.11, 0.12), "B": (0.11, 0.12, 0.10), "none": (0.5, 0.51, 0.49)}
    nets = [net(20, option, 0.1, error, seed) for option, some in errors.items() for seed, error in enumerate(some)]
    assert conclude_shortcuts(nets) == (
        "net: test error by shortcut option, best first: A 11.00 ± 0.58 %, B 11.00 ± 0.58 %, none 50.00 ± 0.58 %; A below "
        "none, B below none by more than the noise of the seeds, no other"
    )
