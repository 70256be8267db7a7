"""Checks the options of networks, and what follows from them for a run."""

from __future__ import annotations

from collections.abc import Iterator

from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig, LocalizationRunConfig


def inconsistent_network(config: DetectionRunConfig | ClassificationRunConfig | LocalizationRunConfig) -> Iterator[str]:
    """Problems with ``model.backbone``, and with ``regularization.stochastic_depth``."""
    backbone = config.model.backbone
    for name, colour in (("mean", backbone.mean), ("std", backbone.std)):
        if len(colour) not in (0, 3):
            yield f"option 'model.backbone.{name}' must be [] or [red, green, blue], got {colour}"
    if not isinstance(config, ClassificationRunConfig):
        if backbone.norm != "batch":
            yield f"option 'model.backbone.norm' {backbone.norm} is for classifiers: detectors and localizers need BN to freeze"
        return
    if backbone.norm != "batch" and (config.recompute_bn or config.run.sync_bn):
        name = "recompute_bn" if config.recompute_bn else "run.sync_bn"
        yield f"option {name!r} needs BN, 'model.backbone.norm' is {backbone.norm}"
    if backbone.mean and config.data.mean_image:
        yield "give either option 'model.backbone.mean' or 'data.mean_image', got both"
    for name, given in (("run.compile", config.run.compile), ("run.cuda_graphs", config.run.cuda_graphs)):
        if given and config.regularization.stochastic_depth:
            yield f"give either option 'regularization.stochastic_depth' or {name!r}, got both: every step has other blocks"
