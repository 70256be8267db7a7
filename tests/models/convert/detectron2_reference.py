"""Detectron2's inference with a Faster R-CNN C4 model, restated on a state dict in its own names.

Nothing of resdet is used. The conventions, one by one:

* size: the shorter side becomes 800, then both shrink if the longer exceeds 1333; ``int(x + 0.5)`` at the end only;
* pixels: the BGR bytes are resized by PIL's bilinear filter, then the mean is taken off and divided by the standard deviation;
* padding: none, the C4 backbone asks for no divisibility and there is one image;
* anchors: offset 0, so around pixel (16 x, 16 y); size by size, each with the ratios (height / width) in turn; not rounded;
* box deltas: decoded in float32, log scales at most log(1000 / 16); weights 1 1 1 1 in the RPN and 10 10 5 5 on regions;
* proposals: the 6000 best logits, decoded, clipped, those of no width or height dropped, NMS at 0.7, the best 1000;
* regions: RoIAlign 14x14 with the half-pixel correction and as many samples as a bin has pixels, res5, mean over 7x7;
* scores: softmax with the background last; a score must exceed 0.05; boxes are clipped before that;
* detections: NMS at 0.5 within each class, the best 100; then scaled by width and height, clipped, empty ones dropped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.ops import batched_nms, roi_align

State = Mapping[str, Tensor]
SCALE_CLAMP = math.log(1000.0 / 16)


@dataclass(frozen=True)
class Settings:
    """What a config may change; what it has by itself is above."""

    short_edge: int = 800
    max_size: int = 1333
    rgb: bool = False
    sizes: tuple[float, ...] = (32, 64, 128, 256, 512)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    rpn_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    pre_nms: int = 6000
    post_nms: int = 1000
    rpn_thresh: float = 0.7
    min_size: int = 0
    aligned: bool = True
    resolution: int = 14
    sampling: int = 0
    box_weights: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0)
    score_thresh: float = 0.05
    nms_thresh: float = 0.5
    most: int = 100


OWN = Settings()


def output_shape(height: int, width: int, short_edge: int, max_size: int) -> tuple[int, int]:
    scale = short_edge * 1.0 / min(height, width)
    if height < width:
        new_height, new_width = short_edge * 1.0, scale * width
    else:
        new_height, new_width = scale * height, short_edge * 1.0
    longest = max(new_height, new_width)
    if longest > max_size:
        scale = max_size * 1.0 / longest
        new_height, new_width = new_height * scale, new_width * scale
    return int(new_height + 0.5), int(new_width + 0.5)


def network_input(image: Image.Image, mean: list[float], std: list[float], settings: Settings = OWN) -> Tensor:
    bgr = np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, :: 1 if settings.rgb else -1])
    height, width = output_shape(*bgr.shape[:2], settings.short_edge, settings.max_size)
    resized = np.asarray(Image.fromarray(bgr).resize((width, height), Image.Resampling.BILINEAR))
    pixels = torch.from_numpy(resized.astype("float32").transpose(2, 0, 1).copy())
    return ((pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1))[None]


def conv_norm(state: State, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    x = F.conv2d(x, state[f"{name}.weight"], None, stride, padding)
    norm = {part: state[f"{name}.norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias")}
    return F.batch_norm(x, **norm, training=False, eps=1e-5)


def stage(state: State, name: str, x: Tensor, stride: int, stride_in_1x1: bool) -> Tensor:
    blocks = 1 + max(int(key[len(name) + 1 :].split(".")[0]) for key in state if key.startswith(f"{name}."))
    for block in range(blocks):
        at, step = f"{name}.{block}", stride if block == 0 else 1
        out = F.relu(conv_norm(state, f"{at}.conv1", x, step if stride_in_1x1 else 1))
        out = F.relu(conv_norm(state, f"{at}.conv2", out, 1 if stride_in_1x1 else step, 1))
        out = conv_norm(state, f"{at}.conv3", out)
        shortcut = conv_norm(state, f"{at}.shortcut", x, step) if block == 0 else x
        x = F.relu(out + shortcut)
    return x


def trunk(state: State, x: Tensor, stride_in_1x1: bool) -> Tensor:
    x = F.max_pool2d(F.relu(conv_norm(state, "backbone.stem.conv1", x, 2, 3)), 3, 2, 1)
    for name, stride in (("res2", 1), ("res3", 2), ("res4", 2)):
        x = stage(state, f"backbone.{name}", x, stride, stride_in_1x1)
    return x


def anchors(height: int, width: int, settings: Settings) -> Tensor:
    cell = []
    for size in settings.sizes:
        for ratio in settings.ratios:
            w = math.sqrt(size**2.0 / ratio)
            h = ratio * w
            cell.append([-w / 2.0, -h / 2.0, w / 2.0, h / 2.0])
    return torch.tensor(
        [
            [x0 + 16 * j, y0 + 16 * i, x1 + 16 * j, y1 + 16 * i]
            for i in range(height)
            for j in range(width)
            for x0, y0, x1, y1 in cell
        ]
    )


def apply_deltas(deltas: Tensor, boxes: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Deltas (N, 4 k) on boxes (N, 4)."""
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    x, y = boxes[:, 0] + 0.5 * w, boxes[:, 1] + 0.5 * h
    dx, dy, dw, dh = (deltas[:, k::4] / weights[k] for k in range(4))
    cx, cy = dx * w[:, None] + x[:, None], dy * h[:, None] + y[:, None]
    pw = torch.exp(dw.clamp(max=SCALE_CLAMP)) * w[:, None]
    ph = torch.exp(dh.clamp(max=SCALE_CLAMP)) * h[:, None]
    return torch.stack([cx - 0.5 * pw, cy - 0.5 * ph, cx + 0.5 * pw, cy + 0.5 * ph], dim=-1).reshape(deltas.shape)


def clip(boxes: Tensor, height: float, width: float) -> Tensor:
    x, y = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)


def nonempty(boxes: Tensor, threshold: float = 0.0) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0] > threshold) & (boxes[:, 3] - boxes[:, 1] > threshold)


def rpn_outputs(state: State, features: Tensor) -> tuple[Tensor, Tensor]:
    head = "proposal_generator.rpn_head"
    hidden = F.relu(F.conv2d(features, state[f"{head}.conv.weight"], state[f"{head}.conv.bias"], padding=1))
    logits = F.conv2d(hidden, state[f"{head}.objectness_logits.weight"], state[f"{head}.objectness_logits.bias"])
    deltas = F.conv2d(hidden, state[f"{head}.anchor_deltas.weight"], state[f"{head}.anchor_deltas.bias"])
    _, _, height, width = logits.shape
    return logits[0].permute(1, 2, 0).flatten(), deltas[0].view(-1, 4, height, width).permute(2, 3, 0, 1).reshape(-1, 4)


def proposals(state: State, features: Tensor, height: int, width: int, settings: Settings = OWN) -> Tensor:
    logits, deltas = rpn_outputs(state, features)
    boxes = apply_deltas(deltas, anchors(*features.shape[-2:], settings), settings.rpn_weights)
    scores, best = logits.topk(min(settings.pre_nms, len(logits)))
    boxes = clip(boxes[best], height, width)
    keep = nonempty(boxes, settings.min_size)
    boxes, scores = boxes[keep], scores[keep]
    levels = torch.zeros(len(boxes), dtype=torch.int64)
    return boxes[batched_nms(boxes, scores, levels, settings.rpn_thresh)[: settings.post_nms]]


def box_outputs(
    state: State, features: Tensor, regions: Tensor, stride_in_1x1: bool, settings: Settings = OWN
) -> tuple[Tensor, Tensor]:
    pooled = roi_align(
        features, [regions], settings.resolution, 1 / 16, sampling_ratio=settings.sampling, aligned=settings.aligned
    )
    average = stage(state, "roi_heads.res5", pooled, 2, stride_in_1x1).mean(dim=[2, 3])
    head = "roi_heads.box_predictor"
    return (
        F.linear(average, state[f"{head}.cls_score.weight"], state[f"{head}.cls_score.bias"]),
        F.linear(average, state[f"{head}.bbox_pred.weight"], state[f"{head}.bbox_pred.bias"]),
    )


@torch.no_grad()
def detect(
    state: State,
    image: Image.Image,
    *,
    mean: list[float],
    std: list[float],
    stride_in_1x1: bool = True,
    settings: Settings = OWN,
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (N, 4) in pixels of the image, scores (N,) and classes (N,), best first."""
    x = network_input(image, mean, std, settings)
    height, width = x.shape[-2:]
    features = trunk(state, x, stride_in_1x1)
    regions = proposals(state, features, height, width, settings)
    logits, deltas = box_outputs(state, features, regions, stride_in_1x1, settings)
    scores = logits.softmax(dim=-1)[:, :-1]
    count = scores.shape[1]
    boxes = clip(apply_deltas(deltas, regions, settings.box_weights).reshape(-1, 4), height, width)
    boxes = boxes.view(len(regions), -1, 4)  # one for each class, or one for all
    mask = scores > settings.score_thresh
    classes = mask.nonzero()[:, 1]
    boxes = boxes.expand(-1, count, -1)[mask]
    scores = scores[mask]
    keep = batched_nms(boxes, scores, classes, settings.nms_thresh)[: settings.most]
    boxes, scores, classes = boxes[keep], scores[keep], classes[keep]
    scale = torch.tensor([image.width / width, image.height / height]).repeat(2)
    boxes = clip(boxes * scale, image.height, image.width)
    there = nonempty(boxes)
    return boxes[there], scores[there], classes[there]
