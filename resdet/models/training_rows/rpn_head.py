"""The RPN's convolutions in training, on rows."""

from __future__ import annotations

from torch import Tensor

from resdet.models.backbones.misfit import conv_misfit
from resdet.models.detection.rpn import RPNHead
from resdet.models.training_rows.conv import conv_on_rows, tensor_misfit
from resdet.ops.matmul import Matmul


class TrainingRPNHead(RPNHead):
    """An RPN's head of which each convolution, with what follows it, is one step; ``twin`` makes it.

    Attributes:
        matmul: how products are computed.
    """

    matmul: Matmul

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """As the plain head's."""
        layers = (self.conv, self.objectness, self.deltas)
        if tensor_misfit(features) or any(conv_misfit(layer, None) for layer in layers):
            return super().forward(features)
        hidden = conv_on_rows(features.permute(0, 2, 3, 1), self.conv, None, self.matmul)
        logits, deltas = (conv_on_rows(hidden, layer, None, self.matmul, relu=False) for layer in layers[1:])
        return logits.flatten(1), deltas.reshape(len(features), -1, 4)
