"""Compares trained networks: the degradation problem, and the shortcut options (paper, sections 4.1 and 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from resdet.analysis.flops import count_parameters
from resdet.analysis.layers import is_plain, weighted_layers
from resdet.analysis.seeds import conclude_differences
from resdet.analysis.wording import joined, percent, percent_with_error, points
from resdet.config import load_config
from resdet.config.schema import ClassificationRunConfig
from resdet.engine.log_file import Log, read_log
from resdet.errors import ConfigError, DataError
from resdet.files import read_json
from resdet.models.backbones.registry import create_backbone

_LAST_SHARE = 0.1  # share of the iterations over which the final training error is averaged


@dataclass(frozen=True)
class TrainedNet:
    """A finished run.

    Attributes:
        name: the name of the network.
        shortcut: A, B, C or none.
        seed: of the run.
        plain: whether it has no shortcuts.
        layers: the number of weighted layers.
        parameters: the number of parameters.
        train_error: share of the training images misclassified in the last tenth of training, in [0, 1]; None where the log
            does not say.
        test_error: top-1 error of the final model, in [0, 1]; None where it was not tested.
        log: its curves: ``steps["error"]``, ``scores["top-1 error"]``.
    """

    name: str
    shortcut: str
    seed: int
    plain: bool
    layers: int
    parameters: int
    train_error: float | None
    test_error: float | None
    log: Log


def final_train_error(log: Log) -> float | None:
    """The mean training error, in [0, 1], over the last tenth of the iterations; None where the log does not say."""
    steps, errors = log.steps.get("error", ([], []))
    first = (1 - _LAST_SHARE) * steps[-1] if steps else 0
    return fmean([error for step, error in zip(steps, errors, strict=True) if step > first]) if steps else None


def read_net(folder: str | Path) -> TrainedNet:
    """Read the run folder of a finished ``train-cls``: ``config.yaml``, ``log.jsonl`` and ``metrics.json``.

    Raises:
        ConfigError: when the folder holds no finished run, or one of another task.
        DataError: when its log or its metrics cannot be read.
    """
    folder = Path(folder)
    missing = [name for name in ("config.yaml", "log.jsonl", "metrics.json") if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{folder}: is no finished run of train-cls: has no {joined(missing)}")
    config = load_config(folder / "config.yaml")
    if not isinstance(config, ClassificationRunConfig):
        raise ConfigError(f"{folder}: must be a run of train-cls, its task is {config.task}")
    metrics = _read_metrics(folder / "metrics.json")
    backbone = config.model.backbone
    with torch.device("meta"):  # only shapes are needed
        resnet = create_backbone(
            backbone.name,
            num_classes=len(metrics["per_class"]),
            shortcut=backbone.shortcut,
            width=backbone.width,
            stride_in_1x1=backbone.stride_in_1x1,
        )
    log = read_log(folder / "log.jsonl")
    return TrainedNet(
        backbone.name,
        resnet.spec.shortcut,
        config.run.seed,
        is_plain(resnet),
        weighted_layers(resnet),
        count_parameters(resnet),
        final_train_error(log),
        metrics["top1_error"],
        log,
    )


def conclude_degradation(nets: Sequence[TrainedNet]) -> str:
    """One line: whether the deepest plain net does worse than the shallowest, the same of residual nets, and who is better.

    Degradation is a *training* error that rises with depth; the test error takes its place where a log has none.
    """
    parts = []
    for kind, family in _families(nets).items():
        by_depth = sorted(family, key=lambda net: net.layers)
        if by_depth and by_depth[0].layers < by_depth[-1].layers:
            parts.append(_compare_depths(kind, by_depth[0], by_depth[-1]))
    plain, residual = ({net.layers: net for net in family} for family in _families(nets).values())
    for layers in sorted(plain.keys() & residual.keys())[-1:]:
        there, here = plain[layers].test_error, residual[layers].test_error
        if there is not None and here is not None:
            verdict = "is better" if here < there else "is no better"
            errors = f"test error {percent(here)} against {percent(there)}"
            parts.append(f"at {layers} layers the residual net {verdict} than the plain one: {errors}")
    return "; ".join(parts) or "nothing to compare: needs two depths of one kind, or a plain and a residual net of one depth"


def conclude_shortcuts(nets: Sequence[TrainedNet]) -> str:
    """One line: the options from best to worst by their mean test error, and which differ by more than the seeds' noise."""
    errors = {
        option: [net.test_error for net in some if net.test_error is not None] for option, some in by_shortcut(nets).items()
    }
    ranked = sorted(((option, some) for option, some in errors.items() if some), key=lambda item: fmean(item[1]))
    if not ranked:
        return "nothing to compare: no test error"
    listed = ", ".join(f"{option} {percent_with_error(some)}" for option, some in ranked)
    text = f"{nets[0].name}: test error by shortcut option, best first: {listed}"
    return f"{text}; {conclude_differences(dict(ranked))}" if len(ranked) > 1 else text


def by_shortcut(nets: Sequence[TrainedNet]) -> dict[str, list[TrainedNet]]:
    """The runs of each shortcut option."""
    return {option: [net for net in nets if net.shortcut == option] for option in sorted({net.shortcut for net in nets})}


def _families(nets: Sequence[TrainedNet]) -> dict[str, list[TrainedNet]]:
    return {"plain": [net for net in nets if net.plain], "residual": [net for net in nets if not net.plain]}


def _compare_depths(kind: str, shallow: TrainedNet, deep: TrainedNet) -> str:
    measure, errors = "training error", (shallow.train_error, deep.train_error)
    if None in errors:
        measure, errors = "test error", (shallow.test_error, deep.test_error)
    first, last = errors
    if first is None or last is None:
        return f"{kind} nets: no error was measured"
    seen = "degradation" if last > first else "no degradation seen"
    return (
        f"{kind} nets: {seen}: {measure} {percent(first)} with {shallow.layers} layers, {percent(last)} with {deep.layers} "
        f"({points(last - first)})"
    )


def _read_metrics(path: Path) -> dict[str, Any]:
    metrics = read_json(path)
    if not isinstance(metrics, dict) or not isinstance(metrics.get("per_class"), dict) or "top1_error" not in metrics:
        raise DataError(f"{path}: must be the metrics of a classifier, has no top1_error and per_class")
    return metrics
