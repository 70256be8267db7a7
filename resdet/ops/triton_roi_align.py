"""RoIAlign of a channels-last map on a GPU, by Triton: in the map's own number format, summed in float32; forward alone.

The same samples as torchvision's RoIAlign with ``aligned=True``: half a position is taken off, a bin has ``sampling_ratio``
samples a side, or, where that is not positive, as many as it covers positions, rounded up; a sample more than one position
outside the map counts as zero, and nearer ones are moved to its border.

Legend: N images, R regions, C channels, (H, W) the map, (h, w) the bins of a region.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_CHANNELS = 128  # of a program


def roi_align(
    features: Tensor, boxes: Tensor, image: Tensor, size: tuple[int, int], scale: float, sampling_ratio: int
) -> Tensor:
    """Pool regions of maps.

    Args:
        features: float32, bfloat16 or float16 (N, C, H, W); it is copied unless it is channels last.
        boxes: float32 (R, 4) ``xyxy``, pixels of the image.
        image: int64 (R,), the image that each lies in.
        size: (h, w).
        scale: positions of the map a pixel.
        sampling_ratio: samples of a bin on each side; 0 or less: by the region's size.

    Returns:
        (R, C, h, w), channels last, in the dtype of ``features``.
    """
    features = features.contiguous(memory_format=torch.channels_last)
    _, channels, height, width = features.shape
    pooled = features.new_empty(len(boxes), *size, channels)
    if pooled.numel():
        block = min(_CHANNELS, triton.next_power_of_2(channels))
        programs = len(boxes) * size[0] * triton.cdiv(channels, block)
        with torch.cuda.device_of(features):
            _pool[(programs,)](
                features, boxes.contiguous(), image.contiguous(), pooled, float(scale), sampling_ratio, channels, height, width,
                size[0], size[1], triton.next_power_of_2(size[1]), block, enable_fp_fusion=False,
            )  # fmt: skip
    return pooled.permute(0, 3, 1, 2)


@triton.jit
def _border(place: tl.tensor, length: tl.tensor) -> tl.tensor:
    """Of samples at these places: the position before, the one after, how far behind the first, and whether they count."""
    counts = (place >= -1.0) & (place <= length)
    inside = tl.where(counts, tl.maximum(place, 0.0), 0.0)
    low = tl.minimum(inside.to(tl.int32), length - 1)
    far = tl.where(low >= length - 1, 0.0, inside - low)
    return low, tl.minimum(low + 1, length - 1), far, counts


@triton.jit(do_not_specialize=["sampling_ratio", "height", "width"])  # compiled once for maps of all sizes
def _pool(
    features: tl.tensor,
    boxes: tl.tensor,
    image: tl.tensor,
    pooled: tl.tensor,
    scale: tl.tensor,
    sampling_ratio: tl.tensor,
    channels: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    down: tl.constexpr,
    across: tl.constexpr,
    columns: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """One row of bins of a region, and a block of channels."""
    parts = tl.cdiv(channels, block)
    program = tl.program_id(0)
    row = program // parts % down
    region = (program // parts // down).to(tl.int64)
    channel = program % parts * block + tl.arange(0, block)
    column = tl.arange(0, columns)
    mine = (column < across)[:, None] & (channel < channels)[None, :]

    left = tl.load(boxes + region * 4) * scale - 0.5
    top = tl.load(boxes + region * 4 + 1) * scale - 0.5
    bin_width = tl.div_rn(tl.load(boxes + region * 4 + 2) * scale - 0.5 - left, across * 1.0)
    bin_height = tl.div_rn(tl.load(boxes + region * 4 + 3) * scale - 0.5 - top, down * 1.0)
    samples_x, samples_y = sampling_ratio, sampling_ratio
    if sampling_ratio <= 0:
        samples_x, samples_y = tl.ceil(bin_width).to(tl.int32), tl.ceil(bin_height).to(tl.int32)

    own = features + tl.load(image + region) * height * width * channels
    total = tl.zeros([columns, block], tl.float32)
    i = 0
    while i < samples_y:
        y = top + row * bin_height + tl.div_rn((i + 0.5) * bin_height, samples_y * 1.0)
        y_low, y_high, y_far, y_counts = _border(y, height)
        above = own + y_low.to(tl.int64) * width * channels
        below = own + y_high.to(tl.int64) * width * channels
        j = 0
        while j < tl.where(y_counts, samples_x, 0):
            x = left + column * bin_width + tl.div_rn((j + 0.5) * bin_width, samples_x * 1.0)
            x_low, x_high, x_far, x_counts = _border(x, width)
            counts = mine & x_counts[:, None]
            first = x_low[:, None] * channels + channel[None, :]
            second = x_high[:, None] * channels + channel[None, :]
            far = x_far[:, None]
            upper_left = tl.load(above + first, counts, 0.0).to(tl.float32)
            upper_right = tl.load(above + second, counts, 0.0).to(tl.float32)
            lower_left = tl.load(below + first, counts, 0.0).to(tl.float32)
            lower_right = tl.load(below + second, counts, 0.0).to(tl.float32)
            total = tl.fma((1 - y_far) * (1 - far), upper_left, total)
            total = tl.fma((1 - y_far) * far, upper_right, total)
            total = tl.fma(y_far * (1 - far), lower_left, total)
            total = tl.fma(y_far * far, lower_right, total)
            j += 1
        i += 1
    total = tl.div_rn(total, tl.maximum(samples_x * samples_y, 1).to(tl.float32))
    place = ((region * down + row) * across + column)[:, None] * channels + channel[None, :]
    tl.store(pooled + place, total.to(pooled.dtype.element_ty), mine)
