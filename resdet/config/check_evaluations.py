"""Checks the options of evaluations during training: what they measure, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator

from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig, LocalizationRunConfig
from resdet.errors import did_you_mean

_BOXES = (
    *(f"AP{which}" for which in ("", "50", "75", "s", "m", "l")),
    *(f"AR{which}" for which in ("1", "10", "100", "s", "m", "l")),
)
# the numbers of metrics.json of each task, but for those of single classes and those of validation losses
_NUMBERS = {
    "detection": tuple(f"bbox.{name}" for name in _BOXES),
    "classification": ("top1_error", "top5_error", "ece", "nll"),
    "localization": ("top1_loc_error", "top5_loc_error", "gt_class_loc_error", "top1_error", "top5_error", "mean_iou"),
}


def inconsistent_evaluations(
    config: DetectionRunConfig | ClassificationRunConfig | LocalizationRunConfig,
) -> Iterator[str]:
    """Problems with ``run.val_loss``, ``run.best`` and ``run.early_stopping``."""
    run, alternating = config.run, isinstance(config, DetectionRunConfig) and config.training == "alternating"
    if run.val_loss and isinstance(config, LocalizationRunConfig):
        yield "option 'run.val_loss' is for detectors and classifiers"
    if run.early_stopping and (alternating or not run.eval_every):
        yield (
            "option 'run.early_stopping' needs evaluations: set 'run.eval_every', in iterations, and 'training' joint"
            if alternating
            else f"option 'run.early_stopping' needs evaluations: set 'run.eval_every', in iterations, got {run.eval_every}"
        )
    if not run.best or run.best.startswith("per_class."):
        return
    if run.best.startswith("val_loss."):
        if not run.val_loss:
            yield f"option 'run.best' is {run.best!r}, which 'run.val_loss' must compute: set it to true"
        return
    known = list(_NUMBERS[config.task])
    if isinstance(config, DetectionRunConfig) and config.data.metric != "coco":
        known.append("voc.mAP")
    if run.best not in known:
        yield f"option 'run.best' must be a number of metrics.json{did_you_mean(run.best, known)}, got {run.best!r}"
