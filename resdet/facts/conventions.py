"""The text on the pixels and the stride that a file's weights need, measured on the images of a folder."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from resdet.analysis.convention_images import read_sample
from resdet.analysis.convention_subject import Subject, find_subject
from resdet.analysis.conventions import (
    ERRORS,
    RATIO,
    Candidate,
    Measurement,
    Verdict,
    candidates,
    judge,
    measure,
    nearly_equal,
)
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.convert import CONVENTIONS
from resdet.structures import PIXEL_CONVENTIONS

_log = logging.getLogger(__name__)
_LEGENDS = {
    "clarity": "how far predictions tell images apart and are sure, nats, more is better; -: not measured, BN is grossly off",
    "misfit": "of the inputs of BN from its statistics, nats, less is better",
    "imbalance": "of the first BN's scale and shifts, a logarithm, less is better (the statistics were folded)",
    "error": "share misclassified, by the classes that the folder tells",
}


class Conventions(NamedTuple):
    """The conventions that a file's weights may want.

    Attributes:
        text: the table of candidates and the verdict, for people.
        values: the same for programs: "candidates", best first, and the names of the "plausible".
    """

    text: str
    values: dict[str, Any]


def conventions_of(file: WeightsFile, folder: str) -> Conventions:
    """Measure every convention on the images of a folder.

    Raises:
        ConfigError: no such folder, too few images, weights that are not a network of resdet or that show nothing.
        DataError: images or tensors that cannot be read.
    """
    subject = find_subject(file)
    names = (file.card or {}).get("names", [])
    sample = read_sample(folder, subject.short_side, subject.crop, subject.spec.num_classes if subject.classifies else 0, names)
    tried = candidates(subject, CONVENTIONS)
    _log.info("%d conventions, %d images of %d x %d pixels", len(tried), len(sample.images), subject.crop, subject.crop)
    measured = measure(subject, tried, sample)
    verdict = judge(measured)
    head = f"conventions on {len(sample.images)} images of {folder}, {subject.crop}x{subject.crop} pixels:"
    parts = [head, _table(subject, measured), _verdict_text(subject, verdict)]
    plausible = [_named(each.candidate) for each in verdict.plausible]
    values = {"candidates": list(map(_values, sorted(measured, key=_badness))), "plausible": plausible}
    return Conventions("\n".join([*parts, *_advice(file, subject, verdict)]), values)


def _values(measurement: Measurement) -> dict[str, Any]:
    return {
        "stride": _place(measurement.candidate) or None,
        "pixels": list(measurement.candidate.names),
        "clarity": None if measurement.clarity is None else measurement.mean_clarity(),
        "misfit": measurement.misfit,
        "imbalance": measurement.imbalance,
        "error": measurement.error,
    }


def _table(subject: Subject, measured: Sequence[Measurement]) -> str:
    """One row for each candidate, best first, and the meaning of each column."""
    rows = [[_place(each.candidate) or "-", ", ".join(each.candidate.names)] for each in measured]
    columns = {
        "clarity": [None if each.clarity is None else each.mean_clarity() for each in measured],
        "misfit": [each.misfit for each in measured],
        "imbalance": [each.imbalance for each in measured],
        "error": [each.error for each in measured],
    }
    shown = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    width = max(len(names) for _, names in rows) + 2
    order = sorted(range(len(rows)), key=lambda index: _badness(measured[index]))
    lines = [f"{'stride':<8}{'pixels':<{width}}" + "".join(f"{name:>13}" for name in shown)]
    for index in order:
        numbers = "".join(f"{_number(values[index]):>13}" for values in shown.values())
        said = "  its card's" if _is_said(subject, measured[index].candidate) else ""
        lines.append(f"{rows[index][0]:<8}{rows[index][1]:<{width}}{numbers}{said}")
    return "\n".join([*lines, *(f"{name}: {_LEGENDS[name]}" for name in shown)])


def _badness(measurement: Measurement) -> tuple[float, float]:
    bn = measurement.misfit if measurement.misfit is not None else measurement.imbalance
    return -measurement.mean_clarity(), bn or 0.0


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value < 100 else f"{value:.0f}"


def _verdict_text(subject: Subject, verdict: Verdict) -> str:
    best, *rivals = verdict.plausible
    if rivals:
        listed = "; ".join(_named(each.candidate) for each in verdict.plausible)
        strides = {each.candidate.stride_in_1x1 for each in verdict.plausible}
        sure = f", the stride is in the {_place(best.candidate)}" if len(strides) == 1 and None not in strides else ""
        why = "" if subject.classifies else " (without a classifier the order of the colours hardly shows)"
        return f"no candidate stands out{sure}: {listed}{why}"
    reasons = []
    if verdict.errors is not None and verdict.errors >= ERRORS:
        reasons.append(f"its clarity is {verdict.errors:.1f} standard errors above the next")
    if verdict.ratio is not None and verdict.ratio > RATIO:
        reasons.append(f"the next misfit is {verdict.ratio:.3g} times as large")
    return f"plausible: {_named(best.candidate)} ({', '.join(reasons) or 'each other one is behind in one of the measures'})"


def _advice(file: WeightsFile, subject: Subject, verdict: Verdict) -> list[str]:
    """Advice to the user: whether the file's card is right, or the options for a file without a card."""
    best, *rivals = (each.candidate for each in verdict.plausible)
    if subject.pixels is not None:
        if any(_is_said(subject, each) for each in (best, *rivals)):
            return ["its card says so" if not rivals else "what its card says is among them"]
        return ["its card says otherwise"]
    if rivals:
        return []
    name = best.names[0]
    stride = "" if best.stride_in_1x1 is None else f" --stride {_place(best)}"
    lines = [f"to keep it: resdet convert {shlex.quote(str(file.path))} DST.safetensors --pixels {name}{stride}"]
    if name in PIXEL_CONVENTIONS and file.path.suffix != ".pkl":
        place = "" if best.stride_in_1x1 is None else f" model.backbone.stride_in_1x1={str(best.stride_in_1x1).lower()}"
        lines.append(f"in a run:   model.backbone.pixels={name}{place}")
    return lines


def _is_said(subject: Subject, candidate: Candidate) -> bool:
    """Whether a candidate is the convention on the file's card."""
    if subject.pixels is None or not nearly_equal(subject.pixels, candidate.pixels):
        return False
    return candidate.stride_in_1x1 in (None, subject.spec.stride_in_1x1)


def _named(candidate: Candidate) -> str:
    names = candidate.names
    alike = f" (or {', '.join(names[1:])}: too near to tell)" if len(names) > 1 else ""
    place = _place(candidate)
    return f"{f'stride in the {place}, ' if place else ''}pixels {names[0]}{alike}"


def _place(candidate: Candidate) -> str:
    return {None: "", True: "1x1", False: "3x3"}[candidate.stride_in_1x1]
