"""The pixel convention of a set of weights: the form of the input numbers that the network expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from resdet.errors import ConfigError

_MOST, _LEAST = 1e6, 1e-6  # of mean and std: beyond them float32 has no sense of a pixel


@dataclass(frozen=True)
class PixelConvention:
    """How RGB bytes become network input: reorder channels, scale to ``[0, range]``, subtract ``mean``, divide by ``std``.

    Attributes:
        order: ``"RGB"`` or ``"BGR"``, the channel order the network sees; ``mean`` and ``std`` are in this order.
        mean: subtracted, in units of ``range``.
        std: divided by, in units of ``range``.
        range: the value of a white pixel, 1 or 255.

    Raises:
        ConfigError: from the constructor, on an unknown order, a range other than 1 and 255, or a mean or std without sense.
    """

    order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    range: float

    def __post_init__(self) -> None:
        problems = []
        if self.order not in ("RGB", "BGR"):
            problems.append(f"pixel convention: 'order' must be RGB or BGR, got {self.order!r}")
        if self.range not in (1, 255):
            problems.append(f"pixel convention: 'range' must be 1 or 255, got {self.range!r}")
        lengths = (len(self.mean), len(self.std))
        if lengths != (3, 3) or not all(-_MOST < value < _MOST for value in (*self.mean, *self.std)) or min(self.std) < _LEAST:
            rule = f"must be 3 numbers below {_MOST:g}, std {_LEAST:g} at least"
            problems.append(f"pixel convention: 'mean' and 'std' {rule}, got {self.mean} and {self.std}")
        if problems:
            raise ConfigError(problems)

    def normalize(self, images: Tensor, mean_image: Tensor | None = None) -> Tensor:
        """Turn RGB uint8 images (..., 3, H, W) in [0, 255] into the float32 input of the network, same shape.

        Args:
            images: the images, on any device.
            mean_image: float32 RGB (3, h, w) in [0, 255], subtracted in place of ``mean``: pixel by pixel where it is of the
                images' size, else its mean colour.
        """
        pixels = images.flip(-3) if self.order == "BGR" else images
        mean = _colour(self.mean, images.device)
        if mean_image is not None:
            mean = (mean_image.flip(-3) if self.order == "BGR" else mean_image) * (self.range / 255)
            if mean.shape[-2:] != images.shape[-2:]:
                mean = mean.mean((-2, -1), keepdim=True)
        return (pixels.to(torch.float32) * (self.range / 255) - mean) / _colour(self.std, images.device)

    def with_mean_of(self, mean_image: Tensor) -> PixelConvention:
        """This convention with the mean colour of ``mean_image``, float32 RGB (3, h, w) in [0, 255], as its mean."""
        return self.with_colours((mean_image.mean((1, 2)) / 255).tolist())

    def with_colours(self, mean: Sequence[float] = (), std: Sequence[float] = ()) -> PixelConvention:
        """This convention with another mean and std, each red, green, blue of pixels in [0, 1]; empty: its own."""
        own = {
            name: tuple(value * self.range for value in (reversed(values) if self.order == "BGR" else values))
            for name, values in (("mean", mean), ("std", std))
            if values
        }
        return replace(self, **own)  # type: ignore[arg-type]

    def describe(self) -> str:
        """A text for people: ``"RGB 0 … 1, mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225"``."""
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{self.order} 0 … {self.range:g}, mean {mean}, std {std}"

    def to_dict(self) -> dict[str, Any]:
        """The convention as JSON-ready values; ``PixelConvention.from_dict`` is the inverse."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PixelConvention:
        """Read what ``to_dict`` wrote; a ConfigError when a key is missing or wrong."""
        try:
            return cls(str(values["order"]), tuple(values["mean"]), tuple(values["std"]), float(values["range"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"pixel convention: needs order, mean, std and range, got {values!r}") from error


def _colour(values: tuple[float, float, float], device: torch.device) -> Tensor:
    """Three numbers as float32 (3, 1, 1), written by the device itself: a copy to a GPU would wait for it."""
    return torch.cat([torch.full((1, 1, 1), value, dtype=torch.float32, device=device) for value in values])


PIXEL_CONVENTIONS: dict[str, PixelConvention] = {
    # torchvision's and timm's ImageNet weights
    "torchvision": PixelConvention("RGB", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 1),
    # the authors' released models (MSRA) follow Caffe: BGR bytes minus the mean, no scaling
    "msra": PixelConvention("BGR", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0), 255),
}
