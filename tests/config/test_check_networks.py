"""Options of networks that do not go together, or not with a run."""

from __future__ import annotations

import pytest

from resdet.config.check import inconsistent
from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig, LocalizationRunConfig

RunFile = ClassificationRunConfig | DetectionRunConfig | LocalizationRunConfig

CASES = [
    (
        ClassificationRunConfig,
        {"model.backbone.mean": [0.5]},
        "'model.backbone.mean' must be [] or [red, green, blue], got",
    ),
    (DetectionRunConfig, {"model.backbone.std": [0.5] * 4}, "'model.backbone.std' must be [] or [red, green, blue]"),
    (DetectionRunConfig, {"model.backbone.norm": "none"}, "'model.backbone.norm' none is for classifiers"),
    (LocalizationRunConfig, {"model.backbone.norm": "fixup"}, "'model.backbone.norm' fixup is for classifiers"),
    (ClassificationRunConfig, {"model.backbone.norm": "none", "recompute_bn": 100}, "'recompute_bn' needs BN"),
    (ClassificationRunConfig, {"model.backbone.norm": "none", "run.sync_bn": True}, "'run.sync_bn' needs BN"),
    (
        ClassificationRunConfig,
        {"model.backbone.mean": [0.5] * 3, "data.mean_image": "compute"},
        "either option 'model.backbone.mean' or 'data.mean_image'",
    ),
    (
        ClassificationRunConfig,
        {"regularization.stochastic_depth": 0.5, "run.cuda_graphs": True},
        "either option 'regularization.stochastic_depth' or 'run.cuda_graphs'",
    ),
    (
        ClassificationRunConfig,
        {"regularization.stochastic_depth": 0.5, "run.compile": True},
        "either option 'regularization.stochastic_depth' or 'run.compile'",
    ),
]


@pytest.mark.parametrize(("kind", "options", "problem"), CASES)
def test_what_does_not_go_together(kind: type[RunFile], options: dict[str, object], problem: str) -> None:
    config = kind()
    for name, value in options.items():
        *parents, last = name.split(".")
        part: object = config
        for parent in parents:
            part = getattr(part, parent)
        setattr(part, last, value)
    assert [each for each in inconsistent(config) if problem in each]


@pytest.mark.parametrize("kind", [ClassificationRunConfig, DetectionRunConfig, LocalizationRunConfig])
def test_the_defaults_go_together(kind: type[RunFile]) -> None:
    assert not [each for each in inconsistent(kind()) if "backbone" in each or "stochastic" in each]
