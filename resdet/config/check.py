"""Checks a config beyond the types of its values: ranges, choices, and options that go together."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import Any

from resdet.config.check_evaluations import inconsistent_evaluations
from resdet.config.check_networks import inconsistent_network
from resdet.config.schema import (
    ClassificationRunConfig,
    DetectionRunConfig,
    LocalizationRunConfig,
    PerClassRPNConfig,
    RoIConfig,
    RPNConfig,
)
from resdet.errors import near_miss

RunFile = DetectionRunConfig | ClassificationRunConfig | LocalizationRunConfig
_LARGEST = 2**63 - 1  # whole number that a tensor holds


def out_of_range(config: Any, prefix: str = "") -> Iterator[str]:
    """Problems with single values of a dataclass of ``schema``: out of range, not one of the choices, not finite."""
    for field in dataclasses.fields(config):
        name, value = f"{prefix}{field.name}", getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from out_of_range(value, f"{name}.")
            continue
        low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if dataclasses.is_dataclass(item):
                yield from out_of_range(item, f"{name}[{index}].")
            elif choices and item not in choices:
                yield f"option {name!r} must be one of {', '.join(choices)}{near_miss(str(item), choices)}, got {item!r}"
            elif isinstance(item, (int, float)) and not isinstance(item, bool):
                # NaN fails every comparison, so this form counts it as out of range too
                if low is not None and not item >= low:
                    yield f"option {name!r} must be at least {low:g}, got {item!r}"
                elif not item < float("inf"):
                    yield f"option {name!r} must be finite, got {item!r}"
                elif high is not None and item > high:
                    yield f"option {name!r} must be at most {high:g}, got {item!r}"
                elif isinstance(item, int) and item > _LARGEST:
                    yield f"option {name!r} must be at most {_LARGEST:g}, got {item!r}"


def of_other_formats(source: Any, prefix: str, names: Collection[str] | None = None) -> Iterator[str]:
    """The options of a data source that its format does not have, and would silently ignore.

    It checks the options in ``names``, or else all given options without a default (a default was perhaps not set on purpose).
    """
    fields = {field.name: field.metadata for field in dataclasses.fields(source)}
    if source.format not in fields["format"]["choices"]:  # this mistake is reported elsewhere
        return
    if names is None:
        names = [each.name for each in dataclasses.fields(source) if getattr(source, each.name) and not each.default]
    for name in [name for name in fields if name in names]:
        formats, value = fields[name]["formats"], getattr(source, name)
        if formats and source.format not in formats:
            yield f"option '{prefix}{name}' is for the formats {', '.join(formats)}, not {source.format}; got {value!r}"


def inconsistent(config: RunFile) -> Iterator[str]:
    """Problems with values that must go together."""
    yield from _inconsistent_schedule(config)
    yield from inconsistent_network(config)
    for prefix, source in _sources(config):
        yield from of_other_formats(source, prefix)
    if config.run.cuda_graphs and isinstance(config, LocalizationRunConfig):
        yield "option 'run.cuda_graphs' is for classifiers and detectors"
    if isinstance(config, DetectionRunConfig):
        yield from _inconsistent_detection(config)
    elif isinstance(config, LocalizationRunConfig):
        yield from _inconsistent_localization(config)
    else:
        yield from _inconsistent_classification(config)


def _sources(config: RunFile) -> Iterator[tuple[str, Any]]:
    if isinstance(config, DetectionRunConfig):
        yield from ((f"data.train[{index}].", source) for index, source in enumerate(config.data.train))
    else:
        yield "data.train.", config.data.train
    yield "data.val.", config.data.val


def _inconsistent_detection(config: DetectionRunConfig) -> Iterator[str]:
    yield from _inconsistent_overlaps("model.rpn", config.model.rpn)
    yield from _inconsistent_overlaps("model.roi", config.model.roi)
    anchors, data = config.model.anchors, config.data
    lists = (
        ("data.short_side", data.short_side),
        ("model.anchors.sizes", anchors.sizes),
        ("model.anchors.ratios", anchors.ratios),
    )
    test = config.model.test
    if test.short_sides != sorted(set(test.short_sides)):
        yield f"option 'model.test.short_sides' must increase, got {test.short_sides}"
    if config.model.weights and config.model.backbone.weights:
        yield "give either option 'model.weights' or 'model.backbone.weights', got both"
    without = [index for index, source in enumerate(data.train) if not source.proposals]
    if 0 < len(without) < len(data.train):
        yield f"option 'data.train[{without[0]}].proposals' must name a file, as that of the other training sets does"
    for name in ("compile", "checkpoint_activations"):
        if config.run.cuda_graphs and getattr(config.run, name):
            yield f"give either option 'run.cuda_graphs' or 'run.{name}' for a detector, got both"
    if config.training == "alternating":
        yield from _inconsistent_alternating(config)
    for name, values in lists:
        if not values:
            yield f"option {name!r} must not be empty"
    if len(set(data.names)) != len(data.names):
        yield f"option 'data.names' must not name a class twice, got {data.names}"
    if data.val.annotations and not data.val.root:
        yield "option 'data.val.root' must name a folder where 'data.val.annotations' is given"


def _inconsistent_alternating(config: DetectionRunConfig) -> Iterator[str]:
    for name, phase in (("rpn", config.alternating.rpn), ("roi", config.alternating.roi)):
        if phase.milestones != sorted(set(phase.milestones)):
            yield f"option 'alternating.{name}.milestones' must increase, got {phase.milestones}"
        milestones = phase.milestones or config.schedule.milestones
        if phase.iterations and milestones and milestones[-1] >= phase.iterations:
            yield (
                f"option 'alternating.{name}.milestones' must lie below its iterations ({phase.iterations}), got {milestones}"
                + ("" if phase.milestones else ", those of 'schedule.milestones'")
            )
        batch = phase.batch or config.run.batch
        if 1 < config.run.accumulate > batch:
            yield (
                f"option 'run.accumulate' must be at most the batch of 'alternating.{name}' ({batch}), "
                f"got {config.run.accumulate}"
            )
    if config.schedule.policy == "plateau":
        yield "option 'schedule.policy' plateau needs evaluations, which 'training' alternating has at its end only"


def _inconsistent_classification(config: ClassificationRunConfig) -> Iterator[str]:
    for name, pair in (("data.short_side", config.data.short_side), ("data.area", config.data.area)):
        allowed = (0, 2) if name == "data.short_side" else (2,)
        if len(pair) not in allowed or pair != sorted(pair):
            yield f"option {name!r} must be {'[] or ' if 0 in allowed else ''}[lowest, highest], got {pair}"
    for name, alpha in (("mixup", config.regularization.mixup), ("cutmix", config.regularization.cutmix)):
        if 0 < alpha < 1e-3:
            yield f"option 'regularization.{name}' must be 0 or at least 0.001, got {alpha}"
    data, run = config.data, config.run
    if data.resident and (data.short_side or data.lighting or data.crop_from != "short_side"):
        yield (
            "option 'data.resident' is for crops that are neither resized nor coloured: it needs 'data.short_side' [], "
            f"'data.lighting' 0 and 'data.crop_from' short_side, got {data.short_side}, {data.lighting:g} and {data.crop_from}"
        )
    if data.resident and data.transforms:
        yield f"give either option 'data.resident' or 'data.transforms', got both: {data.transforms}"
    if run.batch % data.repeats:
        yield f"option 'data.repeats' must divide 'run.batch' ({run.batch}), got {data.repeats}"
    if run.cuda_graphs and run.accumulate > 1:
        yield f"option 'run.accumulate' must be 1 with 'run.cuda_graphs', which records whole batches, got {run.accumulate}"
    rules = config.regularization
    if run.cuda_graphs and (rules.mixup or rules.cutmix):
        yield (
            "option 'run.cuda_graphs' would repeat one draw for ever: 'regularization.mixup' and 'regularization.cutmix' "
            f"must be 0 with it, got {rules.mixup:g} and {rules.cutmix:g}"
        )
    if config.test.flip and config.test.views != "dense":
        yield f"option 'test.flip' goes with 'test.views' dense, got {config.test.views!r}"


def _inconsistent_localization(config: LocalizationRunConfig) -> Iterator[str]:
    model, pair = config.model, config.data.short_side
    yield from _inconsistent_overlaps("model.rpn", model.rpn)
    if len(pair) not in (0, 2) or pair != sorted(pair):
        yield f"option 'data.short_side' must be [] or [lowest, highest], got {pair}"
    for name, values in (
        ("model.anchors.sizes", model.anchors.sizes),
        ("model.anchors.ratios", model.anchors.ratios),
        ("model.test.short_sides", model.test.short_sides),
    ):
        if not values:
            yield f"option {name!r} must not be empty"
    if model.stage == "rcnn" and not model.weights:
        yield "option 'model.weights' must name a trained per-class RPN where 'model.stage' is rcnn"
    if model.stage == "rpn" and model.weights:
        yield f"option 'model.weights' goes with 'model.stage' rcnn, got {model.weights!r}; an RPN starts from backbone.weights"


def _inconsistent_overlaps(name: str, part: RPNConfig | RoIConfig | PerClassRPNConfig) -> Iterator[str]:
    if part.bg_iou_thresh > part.fg_iou_thresh:
        yield (
            f"option '{name}.bg_iou_thresh' must be at most '{name}.fg_iou_thresh' ({part.fg_iou_thresh}), "
            f"got {part.bg_iou_thresh}"
        )


def _inconsistent_schedule(config: RunFile) -> Iterator[str]:
    schedule = config.schedule
    for name, steps in (("milestones", schedule.milestones), ("milestone_epochs", schedule.milestone_epochs)):
        if steps != sorted(set(steps)):
            yield f"option 'schedule.{name}' must increase, got {steps}"
    if schedule.milestones and schedule.milestone_epochs:
        yield "give either option 'schedule.milestones' or 'schedule.milestone_epochs', got both"
    if schedule.warmup_until_error and schedule.warmup_iterations:
        yield "give either option 'schedule.warmup_iterations' or 'schedule.warmup_until_error', got both"
    if schedule.warmup_until_error and not isinstance(config, ClassificationRunConfig):
        yield "option 'schedule.warmup_until_error' is for classifiers; detectors and localizers have no training error"
    train = config.data.train
    files = train if isinstance(train, list) else train.root  # without any, training and validation have data sets of one's own
    if schedule.policy == "plateau" and not (config.run.eval_every and (config.data.val.root or not files)):
        yield (
            "option 'schedule.policy' plateau needs evaluations: set 'run.eval_every', in iterations, and 'data.val.root', "
            f"got {config.run.eval_every} and {config.data.val.root!r}"
        )
    alternating = isinstance(config, DetectionRunConfig) and config.training == "alternating"  # has its own batches
    if 1 < config.run.accumulate > config.run.batch and not alternating:
        yield f"option 'run.accumulate' must be at most 'run.batch' ({config.run.batch}), got {config.run.accumulate}"
    if config.run.compile and config.run.checkpoint_activations:
        yield "give either option 'run.compile' or 'run.checkpoint_activations', got both: compiled code chooses what it keeps"
    yield from inconsistent_evaluations(config)
    if config.run.ema >= 1:
        yield f"option 'run.ema' must be below 1, got {config.run.ema}"
