"""Facts about a weights or model file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from resdet.errors import ResdetError
from resdet.inference.exported.program import Program
from resdet.inference.exported.seal import files_of
from resdet.models.backbones.weights.evidence import input_scale
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.backbones.weights.report import describe_keys
from resdet.models.backbones.weights.source import find_source
from resdet.models.convert import Conversion, convert_weights
from resdet.models.convert.find_settings import find_settings


def exported_facts(program: Program) -> dict[str, object]:
    """The facts of an exported file, from its metadata."""
    facts = program.facts
    return {
        "file": program.path,
        "size": _size(*filter(Path.is_file, files_of(program.path))),
        "exported": f"{facts.precision}, {'takes pictures of any size' if facts.resizes else 'takes resized pictures'}",
        **asdict(program.card),
    }


def weights_facts(file: WeightsFile) -> dict[str, object]:
    """The facts on a model file's card; for other weights, what `resdet convert` would take them for, and why."""
    facts: dict[str, object] = {
        "file": file.path,
        "size": _size(file.path),
        "tensors": f"{len(file.state)}, {sum(value.numel() for value in file.state.values()):,} numbers",
    }
    if file.card is not None:
        return {**facts, **file.card}
    scale = input_scale(file.state)
    facts |= {
        **({"of the file": "; ".join(file.notes)} if file.notes else {}),
        "looks like": describe_keys(file.state),
        "classes": file.state["fc.bias"].numel() if "fc.bias" in file.state else "no classifier",
        "input": "unknown, no BN statistics" if scale is None else f"standard deviation about {scale:.3g}, by conv1's BN",
    }
    try:
        return facts | _conversion_facts(file, convert_weights(file, settings=find_settings(file)))
    except ResdetError as error:
        return facts | {"convert": f"refused: {'; '.join(error.problems)}"}


def _conversion_facts(file: WeightsFile, found: Conversion) -> dict[str, object]:
    place = "1x1" if found.stride_in_1x1 else "3x3"
    stride = f", stride in the {place}{_assumed(found, 'stride')}" if found.spec.block == "bottleneck" else ""
    facts: dict[str, object] = {
        "looks like": f"{found.spec.name}{stride}" + (f", width {found.width}" if found.width else ""),
        "classes": found.num_classes or "no classifier",
        "names of": found.scheme,
        "task": found.task,
        "pixels": f"{found.pixels.describe()}: {_evidence(file, found)}",
    }
    if found.settings is not None:
        said = f"of {found.settings.path}" if found.settings.path else "of the published model"
        own = ", ".join(f"{name} {value}" for name, value in found.settings.assumed.items())
        facts["settings"] = f"assumed: {own}" if own else said
    return facts


def _assumed(found: Conversion, part: str) -> str:
    return " (assumed)" if part in found.assumed else ""


def _evidence(file: WeightsFile, found: Conversion) -> str:
    """What shows which pixels the weights want."""
    if found.settings is not None and found.settings.path is not None:
        return f"{found.settings.path} says it"
    if "pixel_mean" in file.state:
        return "the file says it"
    if found.scheme == "torchvision" and (source := find_source(file)):
        return f"{source.evidence} of {source.name}'s weights"
    return "assumed, nothing shows it" if "pixels" in found.assumed else f"its names are {found.scheme}'s"


def _size(*files: Path) -> str:
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
