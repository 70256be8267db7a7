"""Networks: backbones, the classifier, the detector. Importing them fills the backbone registry."""

from resdet.models.backbones import imagenet  # the registry lists the networks in the order of these lines

# isort: split
from resdet.models.backbones import cifar

__all__ = ["cifar", "imagenet"]
