"""Training transforms of torchvision.transforms.v2, by name (``data.transforms``): on an image and its boxes or on a square."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from resdet.errors import ConfigError, DataError, did_you_mean
from resdet.ops.boxes import clip_boxes
from resdet.structures import Target
from resdet.wording import reason_of

# those of v2 that take an RGB picture and its boxes, and give such (ElasticTransform's boxes only roughly, so not that one)
_GEOMETRIC = (
    "CenterCrop",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomIoUCrop",
    "RandomPerspective",
    "RandomResize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomShortestSize",
    "RandomVerticalFlip",
    "RandomZoomOut",
    "Resize",
    "ScaleJitter",
)
_COLOUR = (
    "ColorJitter",
    "GaussianBlur",
    "JPEG",
    "RandomAdjustSharpness",
    "RandomAutocontrast",
    "RandomChannelPermutation",
    "RandomEqualize",
    "RandomGrayscale",
    "RandomInvert",
    "RandomPhotometricDistort",
    "RandomPosterize",
    "RandomSolarize",
)
TRANSFORMS = _GEOMETRIC + _COLOUR
# those for a classifier's square, which has no boxes: they keep its size
SQUARE_TRANSFORMS = ("AugMix", "AutoAugment", "RandAugment", "RandomErasing", "TrivialAugmentWide", *_COLOUR)
# pixels; a box that is thinner after a transform counts as outside the image
_MIN_SIDE = 1.0


@dataclass(frozen=True)
class Augmentation:
    """Transforms of v2, one after the other; without any, nothing changes.

    Randomness is that of the global CPU generators. Boxes are clipped to the image that comes out, and those with a side below
    one pixel are left out, with their labels and flags; an image may so become one without objects.
    """

    transforms: tuple[v2.Transform, ...] = ()

    def __call__(self, image: Image.Image, target: Target, proposals: Tensor) -> tuple[Image.Image, Target, Tensor]:
        """Change an RGB image, its target and its proposals float32 (R, 4), in pixels of the image, alike.

        Raises:
            DataError: naming the image and the transform that cannot be applied to it, a crop larger than it for instance.
        """
        if not self.transforms:
            return image, target, proposals
        size = target.size
        objects, regions = (
            tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size) for boxes in (target.boxes, proposals)
        )
        for transform in self.transforms:
            try:
                image, objects, regions = _apply(transform, image, objects, regions)
            except (ValueError, RuntimeError, ZeroDivisionError) as error:
                raise DataError(f"{target.path}: transform {type(transform).__name__}: {reason_of(error)}") from error
        size = (image.height, image.width)
        boxes, kept = _visible(objects, size)
        target = replace(target, boxes=boxes, labels=target.labels[kept], ignore=target.ignore[kept], size=size)
        return image, target, _visible(regions, size)[0]


def build_augmentation(entries: Sequence[Any], option: str = "data.transforms") -> Augmentation:
    """The transforms that a list of ``{name: …, argument: value, …}``, or of bare names, asks for.

    Raises:
        ConfigError: with every entry that is none, every unknown name and argument, and what torchvision says of the values.
    """
    return Augmentation(_build_all(entries, option, TRANSFORMS, "images and boxes", _try))


def build_square_augmentation(entries: Sequence[Any], option: str = "data.transforms") -> tuple[v2.Transform, ...]:
    """``build_augmentation`` for the square of a classifier, uint8 (3, H, W): one transform after the other; errors alike."""
    return _build_all(entries, option, SQUARE_TRANSFORMS, "squares of images", _try_square)


def _build_all(
    entries: Sequence[Any], option: str, known: Sequence[str], what: str, attempt: Callable[[v2.Transform], None]
) -> tuple[v2.Transform, ...]:
    transforms: list[v2.Transform] = []
    problems: list[str] = []
    for index, entry in enumerate(entries):
        try:
            transforms.append(_build(entry, known, what, attempt))
        except ConfigError as error:
            problems += [f"option '{option}[{index}]': {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return tuple(transforms)


def _build(entry: Any, known: Sequence[str], what: str, attempt: Callable[[v2.Transform], None]) -> v2.Transform:
    values: dict[Any, Any] = {"name": entry} if isinstance(entry, str) else dict(entry) if isinstance(entry, Mapping) else {}
    name = values.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"must be a name of torchvision.transforms.v2 with arguments, {{name: …}}, got {entry!r}")
    if name not in known:
        raise ConfigError(f"{name!r} is no transform for {what}{did_you_mean(name, known)}")
    kind: type[v2.Transform] = getattr(v2, name)
    parameters = inspect.signature(kind).parameters
    problems = [
        f"{name} has no argument {key!r}{did_you_mean(str(key), list(parameters))}" for key in values if key not in parameters
    ]
    required = [key for key, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    problems += [f"{name} needs the argument {key!r}" for key in required if key not in values]
    if problems:
        raise ConfigError(problems)
    try:
        if isinstance(values.get("interpolation"), str):
            values["interpolation"] = InterpolationMode(values["interpolation"])
        transform = kind(**values)
        attempt(transform)
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ConfigError(f"{name}: {' '.join(str(error).split())}; got {values!r}") from error
    return transform


def _try(transform: v2.Transform) -> None:
    """Apply a transform once, because torchvision checks the types of some arguments only at their first use."""
    # it draws overlaps until it meets one, or an option of 1 that asks for none
    if isinstance(transform, v2.RandomIoUCrop) and max(transform.options) < 1:
        raise ValueError("sampler_options must hold a value of at least 1, which leaves the image as it is")
    always = copy.copy(transform)
    if hasattr(always, "p"):
        always.p = 1.0
    boxes = tv_tensors.BoundingBoxes([[8.0, 8.0, 40.0, 40.0]], format="XYXY", canvas_size=(64, 64))
    with torch.random.fork_rng(devices=[]), contextlib.suppress(ValueError, RuntimeError):  # a crop that is too large for 64
        _apply(always, Image.new("RGB", (64, 64)), boxes, boxes)


def _try_square(transform: v2.Transform) -> None:
    """As ``_try``, on a square."""
    always = copy.copy(transform)
    if hasattr(always, "p"):
        always.p = 1.0
    with torch.random.fork_rng(devices=[]):
        always(torch.zeros(3, 64, 64, dtype=torch.uint8))


def _apply(
    transform: v2.Transform, image: Image.Image, objects: tv_tensors.BoundingBoxes, regions: tv_tensors.BoundingBoxes
) -> tuple[Image.Image, tv_tensors.BoundingBoxes, tv_tensors.BoundingBoxes]:
    if isinstance(transform, v2.RandomIoUCrop):
        if not len(objects):  # without objects it would look for an overlap forever
            return image, objects, regions
        # it chooses the window by the objects, and keeps those with their centre inside; proposals have no say in that
        params = transform.make_params([image, objects])
        if params:
            regions = F.crop(regions, params["top"], params["left"], params["height"], params["width"])
        return transform.transform(image, params), transform.transform(objects, params), regions
    # one call for all boxes: a second would draw other random numbers
    count = len(objects)
    image, boxes = transform(image, tv_tensors.wrap(torch.cat([objects, regions]), like=objects))
    return image, tv_tensors.wrap(boxes[:count], like=boxes), tv_tensors.wrap(boxes[count:], like=boxes)


def _visible(boxes: tv_tensors.BoundingBoxes, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    clipped = clip_boxes(boxes.as_subclass(Tensor), size)
    kept = (clipped[:, 2:] - clipped[:, :2] >= _MIN_SIDE).all(1)
    return clipped[kept], kept
