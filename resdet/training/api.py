"""``resdet.train`` and ``resdet.evaluate``: the commands as Python functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resdet.config import load_config
from resdet.data.own import IndexedDataset, is_own
from resdet.distributed.join import joined
from resdet.engine.run import Hook, Run
from resdet.engine.run_folder import set_aside
from resdet.engine.task import Results
from resdet.errors import ConfigError
from resdet.inference.device import Device, select_device
from resdet.training.evaluate import EvaluationOptions, evaluate_files
from resdet.training.how import How
from resdet.training.plan import parse_budget, planned_run
from resdet.training.plan.run import run_folder
from resdet.training.train import train_config


def train(
    config: str | Path | None = None,
    *,
    data: Mapping[str, Any] | str | Path | None = None,
    output: str | Path | None = None,
    device: Device = "auto",
    resume: bool = False,
    restart: bool = False,
    change: Mapping[str, Any] | None = None,
    accept_data_change: bool = False,
    hooks: Sequence[Hook] = (),
    task: str | None = None,
    model: str | Mapping[str, Any] | None = None,
    budget: str | None = None,
    **options: Any,
) -> Run:
    """Train the network that a run file describes, evaluate it, and leave a run folder.

    Args:
        config: a run file, or the name of a shipped one: ``"coco_r50"``. None: a run is planned for ``data``, which is a path,
            as ``resdet train-det --data`` and ``resdet train-cls --data`` do.
        data: the path of your own data: a folder, an annotation file, a list of images, a data.yaml or an archive. With a
            config: options of the section ``data``, where ``"train"`` and ``"val"`` may also be a
            ``torch.utils.data.Dataset`` with RGB images and class names in its attribute ``classes``. For a detector its items
            are ``(image, {"boxes": xyxy in pixels, "labels": 0 … K-1})``, for a classifier ``(image, label)``.
        output: the run folder; None: that of the config.
        device: auto, cpu, cuda or mps, or a torch.device.
        resume: continue the run in the folder.
        restart: move a run that is in the folder aside, to the next free name, and begin anew.
        change: options that are different from here on when the run is resumed, such as ``{"schedule.iterations": 20000}``.
        accept_data_change: let a resumed run go on with other training images than it began with.
        hooks: your own hooks, in addition to those that log, evaluate and save.
        task: for a planned run: ``"detection"`` or ``"classification"``; None: a detector where there are annotations of
            boxes, else a classifier.
        model: for a planned run: ``"r18"``, ``"r50"`` or, of a detector, ``"r101"``; None: r18 on a CPU, r50 on a GPU. A
            mapping has options of the section ``model``.
        budget: for a planned run: how long training may take; None: ``"30min"``.
        options: other sections and options, such as ``optimizer={"lr": 0.01}`` or ``**{"run.batch": 4}``.

    Returns:
        The finished run: ``run.metrics``, ``run.model``, ``run.folder``.

    Raises:
        ConfigError, DataError, TrainingError, Interrupted: see ``resdet.errors``; files written so far stay.
    """
    device = str(device)
    if isinstance(model, Mapping):
        options, model = {**options, "model": model}, None
    if change and not resume:
        raise ConfigError("train: 'change' changes a run that goes on: give resume=True with it")
    if restart and resume:
        raise ConfigError("train: 'restart' begins anew and 'resume' goes on: give one of them")
    changes = list(_overrides(change or {}))
    changed = [text.partition("=")[0] for text in changes]
    how = How(resume=resume, hooks=hooks, change=changed, accept_data=accept_data_change)
    with joined(device) as ranks:
        # processes that torchrun starts again go on
        resume, restart = resume or ranks.restarted, restart and not ranks.restarted
        if isinstance(data, (str, Path)):
            if config is not None:
                raise ConfigError(
                    "train: 'data' is a path, which goes without a config; with one, give its options as a mapping"
                )
            if restart:
                ranks.once(lambda: set_aside(run_folder(data, output)))
            chosen = ranks.once(
                lambda: planned_run(
                    data,
                    task=task,
                    device=select_device(device),
                    output=output,
                    model=model,
                    budget=parse_budget(budget or "30min"),
                    overrides=[*_overrides(options), *changes],
                    resume=resume,
                )
            )
            return train_config(chosen, device, how)
        if config is None or any(value is not None for value in (task, model, budget)):
            raise ConfigError("train: give a config, or 'data' as a path, with which alone 'task', 'model' and 'budget' go")
        given = _section(data)
        own = {part: given.pop(part) for part in ("train", "val") if is_own(given.get(part))}
        overrides = [*(_without_files(config, own) if own else ()), *_overrides({**options, "data": given}), *changes]
        described = load_config(config, overrides)
        if output is not None:
            described.output = str(output)
        if restart:
            ranks.once(lambda: set_aside(described.output))
        return train_config(described, device, how, own or None)


def evaluate(
    config: str | Path,
    weights: str | Path | Sequence[str | Path] | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    how: EvaluationOptions | None = None,
    **options: Any,
) -> Results:
    """Evaluate a model file, or several together, on the validation set of a run file.

    Args:
        config: a run file, or the name of a shipped one; a finished run has ``config.yaml`` in its folder.
        weights: model files; None: ``model.safetensors`` in the config's output folder.
        data: options of the section ``data``, where ``"val"`` may also be a ``torch.utils.data.Dataset``, as for ``train``.
        output: the folder for metrics, detections and pictures; None: ``eval`` in the config's output folder.
        how: the device, the precision and so on.
        options: other sections and options, as for ``train``.

    Raises:
        ConfigError, DataError: files that do not fit the config or each other, and every problem of the data.
    """
    given = _section(data)
    own = given.pop("val") if is_own(given.get("val")) else None
    chosen = load_config(config, list(_overrides({**options, "data": given})))
    files = [weights] if isinstance(weights, (str, Path)) else list(weights or [Path(chosen.output) / "model.safetensors"])
    folder = Path(output) if output is not None else Path(chosen.output) / "eval"
    return evaluate_files(chosen, [str(file) for file in files], folder, how or EvaluationOptions(), own)


def _section(data: Any) -> dict[str, Any]:
    """The options of ``data``, which a config is beside."""
    if data is not None and not isinstance(data, Mapping):
        raise ConfigError(f"'data' must be a mapping beside a config, such as {{'short_side': [480]}}, got {data!r:.80}")
    return dict(data or {})


def _overrides(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """``key.path=value`` of every option, values as JSON, which is YAML."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _overrides(value, f"{prefix}{name}.")
            continue
        try:
            yield f"{prefix}{name}={json.dumps(value, ensure_ascii=False, default=_plain)}"
        except TypeError as error:
            raise ConfigError(f"option '{prefix}{name}': {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"must be a number, a text, or a list or mapping of these, got {value!r:.80}")


def _without_files(config: str | Path, own: Mapping[str, IndexedDataset]) -> Iterator[str]:
    """Overrides that remove the files from a config, because training uses other data."""
    yield "data.train=[]" if load_config(config).task == "detection" else "data.train.root="
    yield "data.val=null"
    if "train" not in own:
        raise ConfigError("data: 'val' is a data set of one's own, 'train' must be one, too")
