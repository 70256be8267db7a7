"""From a path of one's own to a detector's run: finds the data, splits them, times a step, and chooses the options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from resdet.config.schema import DetectionRunConfig, DetectionSourceConfig
from resdet.data.dataset import DetectionDataset, concatenate
from resdet.data.finding import Finding
from resdet.data.found import FoundData, find_data
from resdet.data.inspection.anchors import Scale, anchor_findings
from resdet.data.inspection.boxes import convention_findings
from resdet.data.sources.detection import build_dataset, read_sources
from resdet.data.splitting import split_source
from resdet.training.durations import spelled
from resdet.training.plan import choose
from resdet.training.plan.draft import Draft
from resdet.training.plan.facts import DataFacts, facts_of
from resdet.training.plan.run import STARTING, Plan, machine, named_classes
from resdet.training.plan.timing import Timing, time_detection

MODELS = ("r18", "r50", "r101")
# passes over the training images after which a fine-tuned detector no longer gains, on a guess: more would be refused anyway
_EPOCHS = 100

_FEW = 10  # objects; fewer that are small are no reason for another size


def plan_detection(
    path: str | Path,
    *,
    device: torch.device,
    output: str | Path | None = None,
    model: str | None = None,
    budget: float = 1800.0,
    overrides: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> Plan:
    """Plan the training of a detector on the data below ``path``.

    Args:
        path: what ``find_data`` takes.
        device: the device to train on; its steps are timed.
        output: the run folder, into which the lists of a split are written; None: ``runs/<name of the data>``.
        model: r18, r50 or r101; None: r18 on a CPU, r50 on a GPU.
        budget: seconds that training and evaluation may take.
        overrides: ``key.path=value`` strings that replace what the plan chooses.
        say: called with each sentence of the plan as soon as it is known.

    Raises:
        ConfigError, DataError: with every problem of the path, the data, the options or the weights.
    """
    draft = Draft(path, output, what="detector", model=model, models=MODELS, device=device, overrides=overrides, say=say)
    train, val, dataset, images = _parts(find_data(path), draft.folder, draft.tell)
    facts = facts_of(dataset)
    draft.tell(f"train: {facts.images} images, {facts.objects} objects of {named_classes(facts.classes)}")
    draft.fixed |= {"data.train": train, "data.val": val, "data.names": list(dataset.names)}
    options, timing = _sized(facts, dataset, device, budget, images, draft.config)
    config = draft.config({**options, **_schedule(facts, draft.config(options), timing, budget, images)})
    for line in _described(config, timing, images, device):
        draft.tell(line)
    for doubt in doubts(config, dataset):
        draft.tell(f"note:  {doubt}")
    return Plan(config, draft.lines)


def doubts(config: DetectionRunConfig, dataset: DetectionDataset) -> list[Finding]:
    """What makes half an hour of training a waste: boxes in another convention, or too small for the size that was chosen."""
    small = [found for found in anchor_findings(dataset, Scale.of(config.data, config.model)) if found.count >= _FEW]
    return convention_findings(dataset) or small


def _parts(
    found: FoundData, folder: Path, tell: Callable[[str], None]
) -> tuple[list[dict[str, Any]], dict[str, Any], DetectionDataset, int]:
    """The sources for training and for validation as options, the training images, and the number of validation images."""
    tell(f"data:  {found.layout}")
    datasets = read_sources(found.train)
    if found.val is not None:
        dataset = concatenate(datasets)
        images = len(build_dataset([found.val], dataset.names, option="data.val"))
        return [_given(source) for source in found.train], _given(found.val), dataset, images
    largest = max(range(len(datasets)), key=lambda index: len(datasets[index]))
    split = split_source(found.train[largest], datasets[largest], folder / "split")
    train = [split.train if index == largest else source for index, source in enumerate(found.train)]
    tell(f"split: {split.images[0]} images for training, {split.images[1]} for validation; lists in {folder / 'split'}")
    dataset = concatenate(read_sources(train, datasets[0].names))
    return [_given(source) for source in train], _given(split.val), dataset, split.images[1]


def _given(source: DetectionSourceConfig) -> dict[str, Any]:
    """The options of a source that are set."""
    return {name: value for name, value in dataclasses.asdict(source).items() if value}


def _sized(
    facts: DataFacts,
    dataset: DetectionDataset,
    device: torch.device,
    budget: float,
    images: int,
    config_with: Callable[[Mapping[str, Any]], DetectionRunConfig],
) -> tuple[dict[str, Any], Timing]:
    """The options that depend on the size of the picture, and the time of a step with them.

    The size is the wanted one, or the largest smaller one at which there is time for enough steps.
    """
    side = choose.wanted_side(facts)
    while True:
        options = _options(facts, side, device)
        config = config_with(options)
        timing = time_detection(config, dataset, device)
        steps = _time_for_steps(timing, budget, images) / timing.step
        smaller = choose.smaller_side(side)
        if smaller is None or steps >= choose.enough_iterations(facts.images, config.run.batch):
            return options, timing
        side = smaller


def _options(facts: DataFacts, side: int, device: torch.device) -> dict[str, Any]:
    least, most = (32, 128) if device.type == "cpu" else (128, 512)
    return {
        "data.short_side": choose.training_sides(side),
        "data.max_side": choose.longer_side(facts, side),
        "data.test_short_side": side,
        "model.anchors.sizes": choose.anchor_sizes(facts, side),
        "model.anchors.ratios": choose.anchor_ratios(facts),
        "model.roi.batch_size_per_image": choose.regions_an_image(facts, least, most),
    }


def _schedule(facts: DataFacts, config: DetectionRunConfig, timing: Timing, budget: float, images: int) -> dict[str, Any]:
    """The schedule that fits into the time: a tenth of the learning rate from 70 % on, a hundredth from 90 % on."""
    seconds = _time_for_steps(timing, budget, images)
    steps = choose.iterations_within(seconds, timing.step, facts.images, config.run.batch, epochs=_EPOCHS)
    return {
        "schedule.iterations": steps,
        "schedule.milestones": [max(1, round(0.7 * steps)), max(2, round(0.9 * steps))],
        "schedule.warmup_iterations": min(max(steps // 20, 10), 500),
        "run.checkpoint_every": max(10, min(500, steps // 8)),
        "run.log_every": max(1, min(20, steps // 50)),
    }


def _time_for_steps(timing: Timing, budget: float, images: int) -> float:
    return max(budget - STARTING - timing.image * images, 0.2 * budget)


def _described(config: DetectionRunConfig, timing: Timing, images: int, device: torch.device) -> Iterator[str]:
    data, model, schedule = config.data, config.model, config.schedule
    seconds = schedule.iterations * timing.step + images * timing.image + STARTING
    yield (
        f"plan:  {model.backbone.name}, shorter side {data.test_short_side}, {schedule.iterations:,} steps of "
        f"{config.run.batch} images, about {spelled(seconds)} on {machine(device)} ({timing.step:.2g} s a step)"
    )
    yield (
        f"       anchors {', '.join(f'{size:g}' for size in model.anchors.sizes)} by {len(model.anchors.ratios)} aspect "
        f"ratios, {model.roi.batch_size_per_image} regions an image, learning rate {config.optimizer.lr:g}, "
        f"stages fixed: {model.freeze_at}"
    )
    yield f"       all of it is in {Path(config.output) / 'config.yaml'}, the run file for the next time"
