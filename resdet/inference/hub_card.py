"""The README of a model on the Hugging Face Hub, written from its card."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import yaml

from resdet.models.model_file import ModelCard

_PIPELINES = {"detection": "object-detection", "classification": "image-classification", "localization": "object-detection"}
_USES = {
    "detection": '.predict("photo.jpg", score_thresh=0.5)',
    "classification": '.predict("photo.jpg")',
    "localization": '.predict("photo.jpg", classes=[0])',
}
_LISTED = 200  # classes


def readme(card: ModelCard, repository: str) -> str:
    """Metadata for the Hub, what the model is, how to use it, and its classes; Markdown in which no name is markup."""
    backbone = card.architecture.get("backbone")
    network = str(backbone.get("name", "?")) if isinstance(backbone, dict) else "?"
    tags = ["resdet", "pytorch", *([network] if network != "?" else [])]
    head = {"library_name": "resdet", "tags": tags}
    if card.task in _PIPELINES:
        head["pipeline_tag"] = _PIPELINES[card.task]
    facts = {"task": card.task, "backbone": network, "classes": len(card.names), **_flat("test", card.test)}
    facts |= {**_flat("pixels", card.pixels), **_flat("", card.provenance)}
    rows = [f"| {_text(name)} | {_text(value)} |" for name, value in facts.items()]
    names = [_text(name) for name in card.names[:_LISTED]]
    more = f", … {len(card.names) - _LISTED} more" if len(card.names) > _LISTED else ""
    use = _USES.get(card.task)
    example = f'```python\nimport resdet\n\nresdet.load("hf://{repository}"){use}\n```'
    if not use:
        example = (
            f"```\nhf download {repository} model.safetensors --local-dir .    # model.backbone.weights of a run file\n```"
        )
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {_text(repository.partition('/')[2])}",
        f"A {_text(card.task)} model of resdet on a {_text(network)}.",
        example,
        "\n".join(["| | |", "|---|---|", *rows]),
        f"## Classes\n{', '.join(names)}{more}" if names else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix} {name}".strip(): value for name, value in values.items() if isinstance(value, (str, int, float, list))}


def _text(value: object) -> str:
    """A value as one line of Markdown that shows it and does nothing else."""
    line = html.escape(" ".join(str(value).split()), quote=False)
    for sign in "\\`*_[]|#~":
        line = line.replace(sign, f"\\{sign}")
    return line
