"""The pixels that another toolkit's weights want, and the place of their stride: by what is given, said and known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def assumed_of_detector(file: WeightsFile, pixels: PixelConvention | None, stride: bool | None) -> tuple[str, ...]:
    """What of "pixels" and "stride" neither the caller nor the tensors of a detector without a config say."""
    asked = {"pixels": pixels is None and "pixel_mean" not in file.state, "stride": stride is None}
    return tuple(name for name, is_open in asked.items() if is_open)


def known_convention(mean: Sequence[float], std: Sequence[float]) -> PixelConvention | None:
    """Detectron2's or torchvision's convention with these numbers for bytes, to 0.01; None for another."""
    for known in (CONVENTIONS["detectron2"], CONVENTIONS["torchvision"]):
        unit = 255 / known.range
        pairs = [*zip(mean, known.mean, strict=True), *zip(std, known.std, strict=True)]
        if all(abs(here - unit * there) <= 0.01 for here, there in pairs):
            return known
    return None


def check_pixels(file: WeightsFile, said: PixelConvention, source: str) -> None:
    """A ConfigError when a Detectron2 file says other pixels than a convention; ``source`` is who says that."""
    stated = _stated(file)
    unit = 255 / said.range
    wanted = [unit * number for number in (*said.mean, *said.std)]
    if stated and any(abs(here - there) > 0.01 for here, there in zip((*stated[0], *stated[1]), wanted, strict=True)):
        raise ConfigError(
            f"{file.path}: pixel_mean {stated[0]}, pixel_std {stated[1]}; {source} says {said.describe()}: of another model?"
        )


def _stated_pixels(file: WeightsFile) -> PixelConvention | None:
    """The convention that a Detectron2 file says; None where it says nothing.

    Raises:
        ConfigError: it says something that is not known: the order of the colours cannot be told then.
        DataError: it says something else than three numbers.
    """
    stated = _stated(file)
    if stated is None:
        return None
    known = known_convention(*stated)
    if known is None:
        raise ConfigError(f"{file.path}: pixel_mean {stated[0]} and pixel_std {stated[1]} are not known: give --pixels")
    return known


def _stated(file: WeightsFile) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation of bytes that a Detectron2 file holds."""
    if "pixel_mean" not in file.state or "pixel_std" not in file.state:
        return None
    mean, std = (file.state[key].flatten().tolist() for key in ("pixel_mean", "pixel_std"))
    if len(mean) != 3 or len(std) != 3:
        raise DataError(f"{file.path}: pixel_mean and pixel_std must be 3 numbers each, got {len(mean)} and {len(std)}")
    return mean, std
