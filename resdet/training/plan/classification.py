"""From a path of one's own to a classifier's run: finds the images, splits them, times a step, and chooses the options."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from resdet.config.schema import ClassificationRunConfig, ClassificationSourceConfig
from resdet.data.formats.folder import FileDataset
from resdet.data.found import FoundClasses, find_classes
from resdet.data.inspection.copies import Part, copy_findings
from resdet.data.inspection.looks import glance_at
from resdet.data.sources.classification import build_classification_dataset
from resdet.data.splitting import parts_given, split_classes, write_parts
from resdet.errors import DataError
from resdet.training.durations import spelled
from resdet.training.plan import choose_classes
from resdet.training.plan.choose import iterations_within
from resdet.training.plan.draft import Draft
from resdet.training.plan.facts import ClassFacts, class_facts_of
from resdet.training.plan.run import STARTING, Plan, machine, named_classes
from resdet.training.plan.timing import Timing, time_classification
from resdet.training.schedule import scaled_rate
from resdet.wording import first_few

MODELS = ("r18", "r50")
# passes over the training images after which a fine-tuned classifier no longer gains, on a guess
_EPOCHS = 60
_SHOWN = 8


def plan_classification(
    path: str | Path,
    *,
    device: torch.device,
    output: str | Path | None = None,
    model: str | None = None,
    budget: float = 1800.0,
    overrides: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> Plan:
    """Plan the training of a classifier on the images below ``path``.

    Args:
        path: what ``find_classes`` takes.
        device: the device to train on; its steps are timed.
        output: the run folder, into which the lists of a split are written; None: ``runs/<name of the data>``.
        model: r18 or r50; None: r18 on a CPU, r50 on a GPU.
        budget: seconds that training and evaluation may take.
        overrides: ``key.path=value`` strings that replace what the plan chooses.
        say: called with each sentence of the plan as soon as it is known.

    Raises:
        ConfigError, DataError: with every problem of the path, the data, the options or the weights.
    """
    draft = Draft(path, output, what="classifier", model=model, models=MODELS, device=device, overrides=overrides, say=say)
    train, val, dataset, images = _parts(find_classes(path), draft.folder, draft.tell)
    facts = class_facts_of(dataset)
    draft.tell(f"train: {facts.images} images of {named_classes(dataset.names)}")
    draft.fixed |= {"data.train": _given(train), "data.val": _given(val)}
    options, timing = _sized(facts, dataset, device, budget, images, draft.untouched().run.batch, draft.config)
    config = draft.config({**options, **_schedule(facts, draft.config(options), timing, budget, images)})
    for line in _described(config, timing, facts, images, device):
        draft.tell(line)
    return Plan(config, draft.lines)


def _parts(
    found: FoundClasses, folder: Path, tell: Callable[[str], None]
) -> tuple[ClassificationSourceConfig, ClassificationSourceConfig, FileDataset, int]:
    """The sources for training and for validation, the training images, and the number of validation images.

    What is odd about their classes is told.
    """
    tell(f"data:  {found.layout}")
    for note in found.notes:
        tell(f"note:  {note}")
    dataset = _read(found.train)
    if len(dataset.names) < 2:
        raise DataError(f"{found.train.root}: has one class, {dataset.names[0]}; a classifier needs two or more")
    if found.val is None:
        train, val, how = _split(found.train, dataset, folder / "split")
        dataset, tests = _read(train), _read(val)
        tell(f"split: {len(dataset)} images for training, {len(tests)} for validation{how}; lists in {folder / 'split'}")
    else:
        train, val, tests = found.train, found.val, _read(found.val)
    if alone := [name for name in tests.names if name not in dataset.names]:
        raise DataError(
            f"{_place(val)}: class {', '.join(alone[:_SHOWN])} is not among the {len(dataset.names)} classes of "
            f"{_place(train)}: a spelling? Rename it, add images of it there, or take it out here"
        )
    parts = [Part(each, look, each is tests) for each, look in zip((dataset, tests), glance_at((dataset, tests)), strict=True)]
    for finding in copy_findings(parts):
        tell(f"note:  {finding}")
    counts, tested = _class_counts(dataset), _class_counts(tests)
    single = [name for name in dataset.names if counts[name] == 1]
    untested = [name for name in dataset.names if not tested[name]]
    if single:
        tell(f"note:  one image to train on: {first_few(single, _SHOWN)}; add some, for one is hardly learnt from")
    if untested:
        shown = first_few(untested, _SHOWN)
        tell(f"note:  no image to validate on: {shown}; how well these are learnt is not measured: add images")
    return train, val, dataset, len(tests)


def _split(
    source: ClassificationSourceConfig, dataset: FileDataset, folder: Path
) -> tuple[ClassificationSourceConfig, ClassificationSourceConfig, str]:
    """Split images as their list says, or else by likeness and class, and say which."""
    if (given := parts_given(source.annotations)) is None:
        return *split_classes(dataset, Path(source.root), folder), ""
    left = len(dataset) - sum(map(len, given))
    others = f", {left} of other parts left out" if left else ""
    return *write_parts(dataset, given, Path(source.root), folder), f", as {Path(source.annotations).name} says{others}"


def _class_counts(dataset: FileDataset) -> Counter[str]:
    return Counter(dataset.names[label] for label in dataset.labels.tolist())


def _read(source: ClassificationSourceConfig) -> FileDataset:
    return cast(FileDataset, build_classification_dataset(source))  # folders and lists are files


def _place(source: ClassificationSourceConfig) -> str:
    return source.annotations or source.root


def _given(source: ClassificationSourceConfig) -> dict[str, Any]:
    """The options of a source that its format has."""
    return {name: value for name, value in dataclasses.asdict(source).items() if value and name != "split"}


def _sized(
    facts: ClassFacts,
    dataset: FileDataset,
    device: torch.device,
    budget: float,
    images: int,
    most: int,
    config_with: Callable[[Mapping[str, Any]], ClassificationRunConfig],
) -> tuple[dict[str, Any], Timing]:
    """The options that depend on the size of the picture, and the time of a step with them.

    The size is the wanted one, or the largest smaller one at which enough steps fit into the time. ``most`` limits the batch.
    """
    fixed = {"run.batch": choose_classes.batch_of(facts, most)}
    batch = config_with(fixed).run.batch

    def options_at(side: int) -> dict[str, Any]:
        return {**fixed, "data.crop": side, "data.test_short_side": choose_classes.side_for_testing(side)}

    side = choose_classes.wanted_crop(facts)
    timing = time_classification(config_with(options_at(side)), dataset, device)
    steps = choose_classes.enough_iterations(facts.images, batch)
    affordable = choose_classes.affordable_crop(side, timing.step, _time_for_steps(timing, budget, images), steps)
    if affordable < side:
        side, timing = affordable, time_classification(config_with(options_at(affordable)), dataset, device)
    return options_at(side), timing


def _schedule(facts: ClassFacts, config: ClassificationRunConfig, timing: Timing, budget: float, images: int) -> dict[str, Any]:
    """The schedule that fits into the time, with some evaluations on the way."""
    seconds = _time_for_steps(timing, budget, images)
    steps = iterations_within(seconds, timing.step, facts.images, config.run.batch, epochs=_EPOCHS)
    every = math.ceil(steps / _evaluations(timing, budget, images))
    return {
        "schedule.iterations": steps,
        "schedule.warmup_iterations": min(max(steps // 20, 5), 500),
        "run.eval_every": every,
        "run.checkpoint_every": min(every, 500),
        "run.log_every": max(1, min(20, steps // 50)),
    }


def _evaluations(timing: Timing, budget: float, images: int) -> int:
    return choose_classes.evaluations_within(budget, timing.image * images)


def _time_for_steps(timing: Timing, budget: float, images: int) -> float:
    return max(budget - STARTING - _evaluations(timing, budget, images) * timing.image * images, 0.2 * budget)


def _described(
    config: ClassificationRunConfig, timing: Timing, facts: ClassFacts, images: int, device: torch.device
) -> Iterator[str]:
    schedule, batch = config.schedule, config.run.batch
    evaluations = math.ceil(schedule.iterations / config.run.eval_every) if config.run.eval_every else 1
    seconds = schedule.iterations * timing.step + evaluations * images * timing.image + STARTING
    side, passes = config.data.crop, schedule.iterations * batch / facts.images
    yield (
        f"plan:  {config.model.backbone.name}, {side} x {side} pixels, {schedule.iterations:,} steps of {batch} images, "
        f"about {spelled(seconds)} on {machine(device)} ({timing.step:.2g} s a step)"
    )
    yield (
        f"       {passes:.1f} passes over the images, learning rate {scaled_rate(config.optimizer, batch):.2g}, "
        f"{evaluations} evaluation{'s' if evaluations != 1 else ''}"
    )
    yield f"       all of it is in {Path(config.output) / 'config.yaml'}, the run file for the next time"
