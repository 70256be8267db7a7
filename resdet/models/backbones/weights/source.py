"""Whose weights a file holds, as far as it shows: that settles their pixels and the place of a bottleneck's stride."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resdet.models.backbones.weights.evidence import contradicts, input_scale
from resdet.models.backbones.weights.read import WeightsFile
from resdet.structures import PIXEL_CONVENTIONS

# torchvision's classification weights, first and later editions: the hash of a file is part of its name
_TORCHVISION = re.compile(
    r"resnet(18-(5c106cde|f37072fd)|34-(333f7ec4|b627a593)|50-(19c8e357|0676ba61|11ad3fa6)"
    r"|101-(5d3b4d8f|63fe2227|cd907fc2)|152-(b121ed2d|394f9c45|f82ba261))(?![0-9a-f])"
)
# the authors' networks under torchvision's names, as other toolkits call them: resnet50_caffe-788b5fa3.pth, resnet101_msra-…
_AUTHORS = re.compile(r"resnet(50|101|152)[-_](caffe|msra)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class WeightsSource:
    """A public source of weights.

    Attributes:
        name: ``"torchvision"`` or ``"msra"``, the authors; a key of ``PIXEL_CONVENTIONS``.
        scale: the standard deviation of the input by the file's BN statistics; None where the file's name shows the source.
    """

    name: str
    scale: float | None = None

    @property
    def stride_in_1x1(self) -> bool:
        """Where its bottlenecks have their stride."""
        return self.name == "msra"

    @property
    def evidence(self) -> str:
        """What shows the source, to go before "of … weights"."""
        return "its name is that" if self.scale is None else "its BN statistics are"


def find_source(file: WeightsFile) -> WeightsSource | None:
    """The source of a file without a card: by its BN statistics, else by its name; None where nothing shows one."""
    scale = input_scale(file.state)
    if scale is not None:
        return WeightsSource("msra" if contradicts(scale, PIXEL_CONVENTIONS["torchvision"]) else "torchvision", scale)
    names = {"torchvision": _TORCHVISION, "msra": _AUTHORS}
    return next((WeightsSource(name) for name, pattern in names.items() if pattern.search(file.path.name)), None)
