"""What other toolkits call a tensor, a class, and what resdet calls it.

Legend: S a stage 2 … 5 (conv2_x … conv5_x; torchvision's layer1 … layer4), B a block in it, N a convolution in the block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_NORM = {
    "s": "weight",
    "b": "bias",
    "rm": "running_mean",
    "riv": "running_var",
    "running_mean": "running_mean",
    "running_var": "running_var",
}
_KIND = {"w": "weight", "b": "bias"}
_BLOBS = re.compile(
    r"(?:(?P<stem>(?:res_)?conv1)|(?P<fc>fc1000|pred)|res(?P<S>[2-5])_(?P<B>\d+)_branch(?P<branch>1|2a|2b|2c))"
    r"_(?:bn_(?P<norm>s|b|rm|riv|running_mean|running_var)|(?P<kind>[wb]))"
)
_NESTED = re.compile(
    r"(?:stem\.)?(?P<fc>fc|linear)\.(?P<kind>weight|bias)"
    r"|(?:stem|res(?P<S>[2-5])\.(?P<B>\d+))\.(?P<part>conv(?P<N>[123])|shortcut)\.(?P<rest>(?:norm\.)?\w+)"
)
# Detectron2's names of the layers of a C4 detector that are no part of a residual network
_HEADS = {
    "proposal_generator.rpn_head.conv": "rpn.head.conv",
    "proposal_generator.rpn_head.objectness_logits": "rpn.head.objectness",
    "proposal_generator.rpn_head.anchor_deltas": "rpn.head.deltas",
    "roi_heads.box_predictor.cls_score": "roi_heads.predictor.cls_score",
    "roi_heads.box_predictor.bbox_pred": "roi_heads.predictor.bbox_pred",
}


def from_caffe2(key: str) -> str | None:
    """Torchvision's name of a blob: ``res3_0_branch2b_bn_s`` is ``layer2.0.bn2.weight``; None for no part of a ResNet."""
    match = _BLOBS.fullmatch(key)
    if match is None:
        return None
    norm, kind = match["norm"], match["kind"]
    if match["fc"]:
        return f"fc.{_KIND[kind]}" if kind else None
    if match["stem"]:
        # res_conv1_bn_s beside conv1_w
        if (match["stem"] == "res_conv1") != bool(norm):
            return None
        return f"bn1.{_NORM[norm]}" if norm else f"conv1.{_KIND[kind]}"
    block = f"layer{int(match['S']) - 1}.{match['B']}"
    if match["branch"] == "1":
        return f"{block}.downsample.1.{_NORM[norm]}" if norm else f"{block}.downsample.0.{_KIND[kind]}"
    number = "abc".index(match["branch"][1]) + 1
    return f"{block}.bn{number}.{_NORM[norm]}" if norm else f"{block}.conv{number}.{_KIND[kind]}"


def from_detectron2(key: str) -> str | None:
    """Torchvision's name of a tensor of a ResNet: ``res3.0.conv2.norm.weight`` is ``layer2.0.bn2.weight``; None for others."""
    match = _NESTED.fullmatch(key)
    if match is None:
        return None
    if match["fc"]:
        return f"fc.{match['kind']}"
    block = f"layer{int(match['S']) - 1}.{match['B']}." if match["S"] else ""
    norm, rest = match["rest"].startswith("norm."), match["rest"].removeprefix("norm.")
    if match["part"] == "shortcut":
        return f"{block}downsample.{int(norm)}.{rest}"
    return f"{block}{'bn' if norm else 'conv'}{match['N']}.{rest}"


def head_name(key: str) -> str | None:
    """Resdet's name of a tensor of Detectron2's proposal network or box predictor; None for others."""
    layer, _, kind = key.rpartition(".")
    return f"{_HEADS[layer]}.{kind}" if layer in _HEADS and kind in ("weight", "bias") else None


def to_detectron2(key: str) -> str:
    """Detectron2's name of a tensor of a C4 detector of resdet's."""
    layer, _, kind = key.rpartition(".")
    for theirs, ours in _HEADS.items():
        if layer == ours:
            return f"{theirs}.{kind}"
    part, _, name = key.removeprefix("roi_heads.res5.").removeprefix("trunk.").partition(".")
    if not part.startswith("layer"):  # conv1 and its bn1
        return f"backbone.stem.conv1.{'norm.' if part == 'bn1' else ''}{name}"
    stage = int(part.removeprefix("layer")) + 1
    name = re.sub(r"\.bn(\d)\.", r".conv\1.norm.", name)
    name = name.replace(".downsample.0.", ".shortcut.").replace(".downsample.1.", ".shortcut.norm.")
    return f"{'roi_heads' if stage == 5 else 'backbone'}.res{stage}.{name}"


def detector_name(key: str) -> str:
    """Where a C4 detector of resdet has ``key``, torchvision's name of a ResNet's tensor: conv5_x runs on regions."""
    return f"roi_heads.res5.{key}" if key.startswith("layer4.") else f"trunk.{key}"


def default_names(task: str, count: int) -> list[str] | None:
    """The public class names in label order: ImageNet's 1000, COCO's 80, VOC's 20 in alphabetical order.

    Args:
        task: ``"classification"`` or ``"detection"``.
        count: K, without background.

    Returns:
        K names; for a classifier of another number of classes its labels as text, None for such a detector.
    """
    from torchvision.models import ResNet50_Weights
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights
    from torchvision.models.segmentation import FCN_ResNet50_Weights

    if task == "classification":
        return _categories(ResNet50_Weights.IMAGENET1K_V1.meta) if count == 1000 else [str(label) for label in range(count)]
    known = [FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta, FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta]
    return {len(names): names for names in map(_categories, known)}.get(count)


def _categories(meta: Mapping[str, Iterable[str]]) -> list[str]:
    return [name for name in meta["categories"] if name not in ("__background__", "N/A")]
