"""The pixels that another toolkit's weights want, and the place of their stride: by what is given, said and known."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from resdet.errors import ConfigError, DataError
from resdet.models.backbones.spec import BackboneSpec
from resdet.models.backbones.weights.evidence import contradicts, expected_scale, input_scale
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.backbones.weights.source import find_source
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

_NO_STD = (1.0, 1.0, 1.0)
CONVENTIONS: dict[str, PixelConvention] = {
    **PIXEL_CONVENTIONS,
    "detectron": PixelConvention("BGR", (102.9801, 115.9465, 122.7717), _NO_STD, 255),
    "detectron2": PixelConvention("BGR", (103.53, 116.28, 123.675), _NO_STD, 255),
    # of no public source above, but met: OpenCV's channels under torchvision's numbers, TensorFlow's habits, Caffe's in RGB
    "torchvision_bgr": PixelConvention("BGR", (0.406, 0.456, 0.485), (0.225, 0.224, 0.229), 1),
    "unit": PixelConvention("RGB", (0.0, 0.0, 0.0), _NO_STD, 1),
    "symmetric": PixelConvention("RGB", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1),
    "msra_rgb": PixelConvention("RGB", (123.68, 116.779, 103.939), _NO_STD, 255),
}


def find_convention(
    file: WeightsFile, scheme: str, state: Mapping[str, Tensor], pixels: PixelConvention | None, stride: bool | None
) -> tuple[PixelConvention, bool]:
    """The pixel convention and the stride: those that are given, else what the file says, else the source's.

    Raises:
        ConfigError: no convention is given, and the BN statistics or the file's name contradict the source's.
    """
    scale = input_scale(state)
    source = find_source(file) if scheme == "torchvision" else None
    if pixels is None:
        if scale is None and source is not None and source.name != scheme:
            raise ConfigError(
                f"{file.path}: {source.evidence} of the authors' weights under {scheme}'s names: say what it is, "
                "--pixels msra --stride 1x1 if it is that"
            )
        stated = _stated_pixels(file)
        pixels = stated or CONVENTIONS[{"caffe2": "detectron"}.get(scheme, scheme)]
        if scheme == "detectron2" and stated is None and scale is not None and contradicts(scale, pixels):
            pixels = CONVENTIONS["torchvision"]  # its other ImageNet weights; what its zoo is made of has no statistics
        if scale is not None and contradicts(scale, pixels):
            raise ConfigError(
                f"{file.path}: its BN statistics belong to input of standard deviation {scale:.3g}, {scheme}'s weights have "
                f"{expected_scale(pixels):.3g}: say what it is, for the authors' weights --pixels msra --stride 1x1"
            )
    return pixels, pixels.range == 255 if stride is None else stride


def assumed_parts(
    file: WeightsFile, scheme: str, spec: BackboneSpec, pixels: PixelConvention | None, stride: bool | None
) -> tuple[str, ...]:
    """What neither the caller nor the file says: "pixels", "stride".

    Users of every toolkit write torchvision's names; other names tell whose weights they are.
    """
    if scheme != "torchvision" or find_source(file) is not None:
        return ()
    asked = {"pixels": pixels is None, "stride": stride is None and spec.block == "bottleneck"}
    return tuple(name for name, is_open in asked.items() if is_open)


def _stated_pixels(file: WeightsFile) -> PixelConvention | None:
    """What a Detectron2 file says of its pixels; None where it says nothing.

    Raises:
        ConfigError: it says something that is not known: the order of the colours cannot be told then.
        DataError: it says something else than three numbers.
    """
    if "pixel_mean" not in file.state or "pixel_std" not in file.state:
        return None
    mean, std = (file.state[key].flatten().float() for key in ("pixel_mean", "pixel_std"))
    if len(mean) != 3 or len(std) != 3:
        raise DataError(f"{file.path}: pixel_mean and pixel_std must be 3 numbers each, got {len(mean)} and {len(std)}")
    for known in (CONVENTIONS["detectron2"], CONVENTIONS["torchvision"]):
        unit = 255 / known.range
        if torch.allclose(mean, unit * torch.tensor(known.mean), atol=0.01) and torch.allclose(
            std, unit * torch.tensor(known.std), atol=0.01
        ):
            return known
    raise ConfigError(f"{file.path}: pixel_mean {mean.tolist()} and pixel_std {std.tolist()} are not known: give --pixels")
