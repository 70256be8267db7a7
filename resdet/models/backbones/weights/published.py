"""Weights that their authors publish, by address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class PublishedWeights:
    """One published weights file.

    Attributes:
        url: its address.
        sha256: the first digits of its SHA-256; "" where none are published.
        detector: whether it holds another toolkit's detector, to be converted before it is of use.
    """

    url: str
    sha256: str = ""
    detector: bool = False

    @property
    def file(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


def _torchvision(name: str, sha256: str) -> PublishedWeights:
    """A file of torchvision; its name carries the first eight digits of its SHA-256, which torch.hub checks too."""
    return PublishedWeights(f"https://download.pytorch.org/models/{name}-{sha256}.pth", sha256)


def _detectron2(path: str) -> PublishedWeights:
    """A file of Detectron2. The six digits in its name are not those of its SHA-256 or of another published sum."""
    return PublishedWeights(f"https://dl.fbaipublicfiles.com/detectron2/COCO-Detection/{path}.pkl", detector=True)


# of torchvision's two editions, the first: trained as in the paper
_TORCHVISION = {
    "resnet18": "f37072fd",
    "resnet34": "b627a593",
    "resnet50": "0676ba61",
    "resnet101": "63fe2227",
    "resnet152": "394f9c45",
    "resnext50_32x4d": "7cdf4587",
    "resnext101_32x8d": "8ba56ff5",
    "wide_resnet50_2": "95faca4d",
    "wide_resnet101_2": "32ee1156",
}
PUBLISHED_WEIGHTS: Mapping[str, PublishedWeights] = MappingProxyType(
    {
        **{name: _torchvision(name, sha256) for name, sha256 in _TORCHVISION.items()},
        "fasterrcnn_r50_c4": _detectron2("faster_rcnn_R_50_C4_3x/137849393/model_final_f97cb7"),
        "fasterrcnn_r101_c4": _detectron2("faster_rcnn_R_101_C4_3x/138204752/model_final_298dad"),
    }
)
# Detectron2's detectors on C4 that nothing here downloads: R_50_C4_1x, and PascalVOC's R_50_C4
_OTHER_DETECTORS = ("model_final_721ade.pkl", "model_final_b1acc2.pkl")


def is_published_detector(path: Path) -> bool:
    """Whether a file has the name of one of Detectron2's own detectors on C4, which all have its own settings."""
    return path.name in (*_OTHER_DETECTORS, *(each.file for each in PUBLISHED_WEIGHTS.values() if each.detector))
