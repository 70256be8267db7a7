"""Refuses to train a deep detector from random numbers unless that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resdet.config.schema import DetectionRunConfig
from resdet.errors import ConfigError
from resdet.models.backbones.registry import backbone_spec
from resdet.models.backbones.weights import find_weights
from resdet.models.backbones.weights.published import PUBLISHED_WEIGHTS

if TYPE_CHECKING:
    from resdet.config.check import RunFile

# those of ResNet-18
_DEEP = 8


def check_pretrained(config: RunFile) -> None:
    """Raise a ConfigError for a detector of ResNet-18's depth or more without pretrained weights and without ``from_scratch``.

    Its BN is frozen (paper, appendix A) at statistics that nothing has measured, so every block adds to the size of the
    features: after eight of them the losses are in the millions.
    """
    if not isinstance(config, DetectionRunConfig) or config.from_scratch:
        return
    model, name = config.model, config.model.backbone.name
    if model.weights or model.backbone.weights or sum(backbone_spec(name).layers) < _DEEP:
        return
    found = None if model.backbone.width else find_weights(name)
    ways = [f"model.backbone.weights={found} begins with weights that are here"] if found else []
    if not found and not model.backbone.width and name in PUBLISHED_WEIGHTS:
        ways.append(f"`resdet weights download {name}` fetches some")
    ways.append("from_scratch=true trains it all the same")
    raise ConfigError(
        f"option 'model.backbone.weights' is empty: with random weights and frozen BN a detector on {name} diverges, or learns "
        f"next to nothing; {'; '.join(ways)}"
    )
