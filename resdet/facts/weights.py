"""Facts about a weights or model file."""

from __future__ import annotations

from dataclasses import asdict

from resdet.inference.exported.program import Program
from resdet.models.backbones.weights.evidence import input_scale
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.backbones.weights.report import describe_keys


def exported_facts(program: Program) -> dict[str, object]:
    """The facts of an exported file, from its metadata."""
    facts = program.facts
    return {
        "file": program.path,
        "exported": f"{facts.precision}, {'takes pictures of any size' if facts.resizes else 'takes resized pictures'}",
        **asdict(program.card),
    }


def weights_facts(file: WeightsFile) -> dict[str, object]:
    """The facts on a model file's card; for other weights, the facts that their names and BN statistics show."""
    facts: dict[str, object] = {
        "file": file.path,
        "tensors": f"{len(file.state)}, {sum(value.numel() for value in file.state.values()):,} numbers",
    }
    if file.card is not None:
        return {**facts, **file.card}
    scale = input_scale(file.state)
    return {
        **facts,
        **({"of the file": "; ".join(file.notes)} if file.notes else {}),
        "looks like": describe_keys(file.state),
        "classes": len(file.state["fc.bias"]) if "fc.bias" in file.state else "no classifier",
        "input": "unknown, no BN statistics" if scale is None else f"standard deviation about {scale:.3g}, by conv1's BN",
    }
