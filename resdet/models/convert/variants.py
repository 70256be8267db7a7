"""What makes a network another one than those that resdet runs: named, so that a user knows why a file is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.backbones.weights.report import stem_width

# parts of names in torchvision's style, and what they belong to
_MARKS = {
    r".*\.(se|se_module|attn|eca)\.": "attention in its blocks (squeeze-and-excitation and its kin)",
    r".*\.conv2_offset": "deformable convolutions",
    r".*\.conv2\.(conv|radix)": "split attention (ResNeSt)",
    r".*\.convs\.": "multi-scale blocks (Res2Net)",
}
# the beginnings of names in Detectron2's detectors, and of blobs in Detectron's
OTHER_HEADS = {
    r"roi_heads\.mask_head\.": "a mask head (Mask R-CNN)",
    r"roi_heads\.keypoint_head\.": "a keypoint head (Keypoint R-CNN)",
}
_OTHER_DETECTORS = {
    r"backbone\.(bottom_up|fpn_)": "a feature pyramid (FPN)",
    r"backbone\.res5\.": "conv5 in its trunk (DC5)",
    **OTHER_HEADS,
    r"roi_heads\.box_predictor\.\d+\.": "a cascade of box heads (Cascade R-CNN)",
    r"roi_heads\.box_head": "a box head of layers of its own",
    r"head\.": "a one-stage head (RetinaNet)",
    r"sem_seg_head\.": "a segmentation head",
}
_OLD_DETECTOR = re.compile(r"(conv_rpn|rpn_|cls_score|bbox_pred|fpn_|retnet_|mask_fcn|conv5_mask|kps_|fc6|fc7)")


def detector_differences(keys: Sequence[str]) -> list[str]:
    """What a Detectron2 detector has or lacks beside Faster R-CNN on C4; [] for one that is just that."""
    found = [what for pattern, what in _OTHER_DETECTORS.items() if any(re.match(pattern, key) for key in keys)]
    if found:
        return found
    lacking = {"proposal_generator.rpn_head.": "proposal network", "roi_heads.box_predictor.": "box predictor"}
    return [f"no {part} ({prefix}…)" for prefix, part in lacking.items() if not any(key.startswith(prefix) for key in keys)]


def without_other_heads(file: WeightsFile) -> WeightsFile:
    """A Detectron2 detector without the heads that find masks and keypoints in its boxes; its notes say what was left."""
    heads = {key: what for pattern, what in OTHER_HEADS.items() for key in file.state if re.match(pattern, key)}
    kept = {key: value for key, value in file.state.items() if key not in heads}
    return replace(file, state=kept, notes=(*file.notes, *(f"left out: {what}" for what in dict.fromkeys(heads.values()))))


def is_old_detector(keys: Sequence[str]) -> bool:
    """Whether the keys are those of a detector of Detectron's, in Caffe2's naming."""
    return any(_OLD_DETECTOR.match(key) for key in keys)


def network_differences(state: Mapping[str, Tensor]) -> list[str]:
    """How a residual network under torchvision's names differs from those of the registry; [] where it does not seem to."""
    found = [what for pattern, what in _MARKS.items() if any(re.match(pattern, key) for key in state)]
    deep = [state[key] for key in ("conv1.0.weight", "conv1.3.weight", "conv1.6.weight") if key in state]
    averages = any(re.match(r".*\.downsample\.2\.", key) for key in state)
    if deep and not averages:
        found.append("a deep stem of several convolutions, but no average pooling in its shortcuts (ResNet-C, -T)")
    if averages and not deep:
        found.append("average pooling in its shortcuts, but no deep stem")
    widths = [len(weight) for weight in deep]
    if deep and widths != [stem_width(state) // 2] * 2 + [stem_width(state)]:
        found.append(f"a deep stem of {widths} channels instead of half, half and all of the first stage's")
    stem = deep[0] if deep else state.get("conv1.weight")
    if stem is not None and stem.ndim == 4 and stem.shape[1] != 3:
        found.append(f"{stem.shape[1]} input channels instead of 3")
    side = 3 if deep else 7
    if stem is not None and "layer4.0.conv1.weight" in state and stem.shape[-1] != side:
        found.append(f"a first convolution of {stem.shape[-1]}x{stem.shape[-1]} instead of {side}x{side}")
    if "bn1.weight" in state and "bn1.running_var" not in state:
        found.append("norm layers without statistics (group normalization?)")
    return found
