"""From a weights file of another toolkit to resdet's tensors, and what must be known to run them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from resdet.errors import ConfigError, DataError
from resdet.models.backbones.registry import backbone_spec
from resdet.models.backbones.spec import BackboneSpec
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.backbones.weights.report import describe_keys, stem_width
from resdet.models.backbones.weights.wrappings import is_torchvision_detector
from resdet.models.convert.affine import fill_statistics, fold_biases
from resdet.models.convert.convention import assumed_of_detector, assumed_parts, check_pixels, find_convention
from resdet.models.convert.detector_heads import check_anchors, fitted_heads
from resdet.models.convert.find_settings import own_settings
from resdet.models.convert.names import detector_name, from_caffe2, from_detectron2, head_name
from resdet.models.convert.settings import DetectorSettings
from resdet.models.convert.torchvision_detector import from_torchvision
from resdet.models.convert.variants import OTHER_HEADS, detector_differences, is_old_detector, network_differences
from resdet.models.wrong_files import part_of
from resdet.structures import PixelConvention
from resdet.wording import first_few

SCHEMES = ("torchvision", "timm", "caffe2", "detectron2")


@dataclass(frozen=True)
class Conversion:
    """A converted model, all but its class names.

    Attributes:
        scheme: whose names the file has: torchvision, caffe2 or detectron2.
        task: classification, detection, or backbone for a residual network without a classifier.
        spec: the backbone, as the registry builds it.
        width: channels of its first stage; 0 for the network's own.
        stride_in_1x1: where its bottlenecks have their stride.
        pixels: its pixel convention.
        num_classes: K, without background; 0 for a backbone.
        state: tensors under the names of resdet's model of that task.
        ignored: names of the file that no part of the model needs.
        filled: those of ``state`` that the file lacks: BN statistics that are the identity.
        assumed: what neither the caller nor the file says: "pixels", "stride".
        settings: of a detector: what is known of it beside its tensors; None: it is none.
    """

    scheme: str
    task: str
    spec: BackboneSpec
    width: int
    stride_in_1x1: bool
    pixels: PixelConvention
    num_classes: int
    state: dict[str, Tensor]
    ignored: tuple[str, ...]
    filled: tuple[str, ...]
    assumed: tuple[str, ...]
    settings: DetectorSettings | None = None


def convert_weights(
    file: WeightsFile,
    *,
    scheme: str = "auto",
    pixels: PixelConvention | None = None,
    stride_in_1x1: bool | None = None,
    settings: DetectorSettings | None = None,
) -> Conversion:
    """Rename a file's tensors, and find out what network they are and what input they want.

    Args:
        file: of ``read_weights``, without a card.
        scheme: whose names the file has, one of ``SCHEMES``; auto: by the names.
        pixels: its pixel convention; None: the source's, see ``docs/weights.md``.
        stride_in_1x1: where its bottlenecks have their stride; None: where the source has it.
        settings: of a detector, of ``find_settings``; None: those that its toolkit has by itself.

    Raises:
        ConfigError: a file of resdet's own, names of another or of no known source, another network than resdet has, BN
            statistics that contradict the source's convention, or tensors that contradict the settings.
        DataError: tensors that are no parameters of any network.
    """
    if file.card is not None:
        raise ConfigError(f"{file.path}: is a resdet model file already")
    scheme = _identify(file, scheme)
    settings = settings or own_settings(file)
    named, heads, ignored = _RENAMERS[scheme](file, settings)
    _check_parameters(file, named | heads)
    if scheme == "caffe2":
        named = fold_biases(file, named)
    filled = fill_statistics(named) if scheme == "caffe2" else ()
    spec, width = _recognize(file, named)
    if scheme != "torchvision" and (spec.groups, spec.base_width) != (1, 64):
        raise ConfigError(
            f"{file.path}: a {spec.name} of {scheme}'s wants other pixels than its ResNets; only torchvision's is read"
        )
    assumed = assumed_parts(file, scheme, spec, pixels, stride_in_1x1)
    place: Callable[[str], str] = str
    if settings is not None:
        assumed = assumed_of_detector(file, pixels, stride_in_1x1) if settings.assumed else ()
        check_anchors(file, heads, settings)
        heads, num_classes = fitted_heads(file, heads, settings)
        task, place = "detection", detector_name
        pixels, stride_in_1x1 = _said(file, spec, settings, pixels, stride_in_1x1)
    elif "fc.weight" in named:
        task, num_classes, place = "classification", len(named["fc.weight"]), "backbone.{}".format
    else:
        task, num_classes = "backbone", 0
    pixels, stride = find_convention(file, scheme, named, pixels, stride_in_1x1)
    state = {place(key): value for key, value in named.items()} | heads
    names = tuple(map(place, filled))
    return Conversion(scheme, task, spec, width, stride, pixels, num_classes, state, ignored, names, assumed, settings)


def _said(
    file: WeightsFile, spec: BackboneSpec, settings: DetectorSettings, pixels: PixelConvention | None, stride: bool | None
) -> tuple[PixelConvention | None, bool | None]:
    """The pixels and the stride that the caller says, else those of the settings, which must fit the file.

    Raises:
        ConfigError: the file says other pixels or has another depth.
    """
    said = settings.facts.get("backbone", spec.name)
    if said != spec.name:
        raise ConfigError(f"{settings.path}: says a {said}, {file.path} holds a {spec.name}: of another model?")
    if settings.pixels is not None:
        check_pixels(file, settings.pixels, f"{settings.path}")
    return pixels or settings.pixels, settings.stride_in_1x1 if stride is None else stride


def _identify(file: WeightsFile, wanted: str) -> str:
    """Whose names the file has.

    Raises:
        ConfigError: none that is known, or another's than ``wanted``.
    """
    marks = {
        "torchvision": r"(conv1\.weight|conv1\.0\.weight)$",
        "caffe2": r"conv1_w$",
        "detectron2": r"(stem\.conv1\.|backbone\.stem\.|backbone\.bottom_up\.|proposal_generator\.|roi_heads\.)",
    }
    found = [scheme for scheme, mark in marks.items() if any(re.match(mark, key) for key in file.state)]
    if is_torchvision_detector(file.state):
        found = ["torchvision"]
    if len(found) != 1:
        names = ", ".join(list(file.state)[:3])
        raise ConfigError(
            f"{file.path}: names like {' and '.join(found) if found else 'no source that is known'} ({names}, …); "
            f"resdet convert reads {', '.join(SCHEMES)}{part_of(file.path)}"
        )
    asked = "torchvision" if wanted == "timm" else wanted  # timm has torchvision's names
    if asked not in ("auto", found[0]):
        raise ConfigError(f"{file.path}: --from {wanted}, but its names are {found[0]}'s ({next(iter(file.state))}, …)")
    return found[0]


# the residual network under torchvision's names, a detector's other layers under resdet's, and the keys that are ignored
Parts = tuple[dict[str, Tensor], dict[str, Tensor], tuple[str, ...]]


def _rename_torchvision(file: WeightsFile, settings: DetectorSettings | None) -> Parts:
    if settings is None:
        return dict(file.state), {}, ()
    anchors = settings.architecture["anchors"]
    ignored = tuple(key for key in file.state if key.endswith("num_batches_tracked"))  # detectors freeze BN
    kept = {key: value for key, value in file.state.items() if key not in ignored}
    network, heads = from_torchvision(kept, len(anchors["sizes"]), len(anchors["ratios"]))
    unknown = [key for key in network if not re.match(r"(conv1|bn1|layer[1-4])\.", key)]
    if unknown:
        raise ConfigError(f"{file.path}: holds what is no part of Faster R-CNN on C4: {first_few(unknown, 4)}")
    return network, heads, ignored


def _rename_caffe2(file: WeightsFile, _settings: DetectorSettings | None) -> Parts:
    ignored = tuple(key for key in file.state if key.endswith("_momentum") or key in ("lr", "model_iter", "weight_order"))
    kept = {key: value for key, value in file.state.items() if key not in ignored}
    if is_old_detector(list(kept)):
        raise ConfigError(f"{file.path}: a detector of Detectron's, with boxes of another kind; only its backbones are read")
    return _renamed(file, kept, from_caffe2), {}, ignored


def _rename_detectron2(file: WeightsFile, _settings: DetectorSettings | None) -> Parts:
    ignored = tuple(
        key for key in file.state if re.fullmatch(r"pixel_(mean|std)|.*\.cell_anchors\.\d+|.*num_batches_tracked", key)
    )
    kept = {key: value for key, value in file.state.items() if key not in ignored}
    if not any(key.startswith(("backbone.", "roi_heads.", "proposal_generator.")) for key in kept):
        return _renamed(file, kept, from_detectron2), {}, ignored
    differences = detector_differences(list(kept))
    if differences:
        hint = " (--boxes-only leaves the rest)" if set(differences) <= set(OTHER_HEADS.values()) else ""
        raise ConfigError(
            f"{file.path}: a Detectron2 model with {', '.join(differences)}; only Faster R-CNN on C4 is converted{hint}"
        )
    heads = {name: value for key, value in kept.items() if (name := head_name(key))}
    network = {re.sub(r"^(backbone|roi_heads)\.", "", key): value for key, value in kept.items() if not head_name(key)}
    return _renamed(file, network, from_detectron2), heads, ignored


_RENAMERS: Mapping[str, Callable[[WeightsFile, DetectorSettings | None], Parts]] = {
    "torchvision": _rename_torchvision,
    "caffe2": _rename_caffe2,
    "detectron2": _rename_detectron2,
}


def _renamed(file: WeightsFile, state: Mapping[str, Tensor], name: Callable[[str], str | None]) -> dict[str, Tensor]:
    unknown = [key for key in state if name(key) is None]
    if unknown:
        raise ConfigError(f"{file.path}: holds what is no part of a ResNet: {first_few(unknown, 4)}")
    renamed = {str(name(key)): value for key, value in state.items()}
    if len(renamed) < len(state):
        raise ConfigError(
            f"{file.path}: {len(state) - len(renamed)} of its tensors have a second name, a second classifier perhaps"
        )
    return renamed


def _check_parameters(file: WeightsFile, state: Mapping[str, Tensor]) -> None:
    """Check what is presumed of every tensor hereafter.

    Raises:
        DataError: one without a dimension or an element, or of no floating numbers.
    """
    problems = [
        f"{file.path}: {key} must hold floating numbers, at least one in at least one dimension, "
        f"got {value.dtype} of shape {tuple(value.shape)}"
        for key, value in state.items()
        if not (value.is_floating_point() and value.ndim and value.numel()) and not key.endswith("num_batches_tracked")
    ]
    if problems:
        raise DataError(problems)


def _recognize(file: WeightsFile, state: Mapping[str, Tensor]) -> tuple[BackboneSpec, int]:
    """The network that the tensors are, at its own width, and their width (0: its own).

    Raises:
        ConfigError: it is none; says what differs.
    """
    differences = network_differences(state)
    network = describe_keys(state)
    if differences:
        raise ConfigError(f"{file.path}: {network} with {'; '.join(differences)}: no network of resdet's")
    try:
        spec = backbone_spec(network)
    except ConfigError as error:
        raise ConfigError(f"{file.path}: looks like {network}; `resdet info` lists the networks that resdet has") from error
    width = stem_width(state)
    return spec, 0 if width == spec.width else width
