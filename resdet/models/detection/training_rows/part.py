"""What the parts of a twin that compute on rows have in common."""

from __future__ import annotations

import logging

from torch import nn

from resdet.models.backbones.misfit import Same
from resdet.ops.matmul import Matmul

_log = logging.getLogger(__name__)


class TrainingPart(Same, nn.Module):
    """A part that computes by other means what the plain class beside it computes; ``twin`` makes it.

    What it cannot represent (hooks inside, dilation, other modules in place of its convolutions, BN that is not frozen)
    it computes as it is written, and says so once.

    Attributes:
        place: its name in the network.
        matmul: how products are computed; not on a GPU.
        said: whether it has said so.
    """

    place: str
    matmul: Matmul
    said: bool

    def plainly(self, why: str) -> bool:
        """Whether there is something that makes it compute as it is written."""
        if why and not self.said:
            _log.info("%s trains as it is written, which takes longer: %s", self.place, why)
            self.said = True
        return bool(why)
