"""``resdet.save``: a network, or what ``load`` returned, as a model file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from resdet.config import config_to_dict
from resdet.config.localization import LocalizerTestConfig
from resdet.config.localization_data import LocalizationDataConfig
from resdet.config.schema import ClassificationDataConfig, DetectionDataConfig
from resdet.errors import ConfigError
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.inference.exported.networks import ExportedNetwork
from resdet.inference.localizer import Localizer
from resdet.inference.runnable import unwrapped
from resdet.models.build.load import unfit
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN, PreparedFasterRCNN
from resdet.models.intact import unusable
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.models.model_file import ModelCard, write_model
from resdet.version import __version__

Network: TypeAlias = FasterRCNN | Classifier | PerClassRPN | RegionLocalizer


def save(model: Network | Detector | ImageClassifier | Localizer, path: str | Path) -> None:
    """Write a model file that ``load`` reads and that predicts the same, atomically.

    Its card says the architecture, the class names, the pixel convention, how pictures are resized, and the options of testing.
    A network alone is tested at the paper's sizes (detectors 600 and 1000, classifiers 256 and 224, CIFAR's 32); to say others,
    save ``Detector(model, short_side=…, max_side=…)`` or ``ImageClassifier(model, short_side=…, crop=…)``.

    Args:
        model: a network of ``create_model``, trained or not, also compiled or wrapped by DataParallel and its like, or what
            ``load`` and its like return. Of a detector that was loaded the tensors are those of its file, for it runs in
            another form.
        path: the file.

    Raises:
        ConfigError: an ensemble, which is several files; an exported file; a network that was put together by hand, of which
            nobody knows the architecture, or that is prepared; one whose layers are no longer those of its architecture; one
            with NaN or infinity; a detector whose file has changed since it was loaded.
        DataError: a detector's file that cannot be read.
        OSError: a folder that cannot be written.
    """
    network, test, options = _parts(model)
    network = unwrapped(network)
    if isinstance(network, ExportedNetwork):
        raise ConfigError(f"save: {network.program.path} is an exported file, which no longer has a model's tensors: copy it")
    if not isinstance(network, Network):
        raise ConfigError(f"save: must be a network of create_model or what load returns, got {type(network).__name__}")
    card = network.card
    if card is None:
        raise ConfigError(
            f"save: this {type(network).__name__} was put together by hand, its architecture is unknown; "
            "networks of create_model and load can be saved"
        )
    if options:
        card = replace(card, architecture={**card.architecture, "test": {**card.architecture["test"], **options}})
    card = replace(
        card,
        names=list(network.names),
        pixels=network.pixels.to_dict(),
        test=test or card.test or _usual_sizes(network),
        provenance=card.provenance or {"resdet": __version__, "torch": torch.__version__},
    )
    write_model(path, _fitting(_tensors(model, network), card), card)


def _parts(
    model: Network | Detector | ImageClassifier | Localizer,
) -> tuple[Network | ExportedNetwork, dict[str, Any], dict[str, Any]]:
    """The network, the sizes of testing, and the options of ``model.test`` that are not the network's own."""
    if isinstance(model, Detector):
        sizes = {"short_side": model.transform.short_side, "max_side": model.transform.max_side}
        extra = model.improvements
        return _only(model.models), sizes, {"refine": extra.refine, "flip": extra.flip, "short_sides": list(extra.short_sides)}
    if isinstance(model, ImageClassifier):
        return model.model, {"short_side": model.transform.short_side, "crop": model.transform.crop}, {}
    if isinstance(model, Localizer):
        views = model.views
        test = LocalizerTestConfig(views.kind, list(views.short_sides), model.proposals, model.nms_thresh, model.vote_iou)
        return _only(list(model.models)), {"crop": views.crop}, config_to_dict(test)  # type: ignore[arg-type]
    return model, {}, {}


def _fitting(tensors: dict[str, Tensor], card: ModelCard) -> dict[str, Tensor]:
    """The tensors as ``load`` wants them: without the names of wrappings, those that the card's network has, and finite."""
    tensors = {re.sub(r"(^|\.)(_orig_mod|module)\.", r"\1", name): tensor for name, tensor in tensors.items()}
    if wrong := unfit(card, tensors):
        raise ConfigError(
            f"save: the network no longer has the architecture that it was made with: {', '.join(wrong[:5])}"
            f"{' …' if len(wrong) > 5 else ''}; make it anew, with other names or options, and fill in what was trained"
        )
    if any(tensor.is_meta for tensor in tensors.values()):
        raise ConfigError("save: its tensors are on the device 'meta', which holds no numbers")
    if problems := unusable(tensors):
        raise ConfigError([f"save: {problem}" for problem in problems])
    return tensors


def _only(models: Sequence[Network | ExportedNetwork]) -> Network | ExportedNetwork:
    if len(models) > 1:
        raise ConfigError(f"save: an ensemble of {len(models)} networks is {len(models)} files, not one")
    return models[0]


def _tensors(model: object, network: Network) -> dict[str, Tensor]:
    if not isinstance(network, PreparedFasterRCNN):
        return network.state_dict()
    if not isinstance(model, Detector) or model.file is None:
        raise ConfigError("save: a prepared detector has its BN folded into other tensors; save the network it was made of")
    return model.file.read()


def _usual_sizes(network: Network) -> dict[str, Any]:
    if isinstance(network, FasterRCNN):
        detection = DetectionDataConfig()
        return {"short_side": detection.test_short_side, "max_side": detection.max_side}
    if not isinstance(network, Classifier):
        return {"crop": LocalizationDataConfig().crop}
    if network.backbone.spec.stem == "cifar":
        return {"short_side": 0, "crop": 32}
    classification = ClassificationDataConfig()
    return {"short_side": classification.test_short_side, "crop": classification.crop}
