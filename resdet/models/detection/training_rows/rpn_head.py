"""The RPN's convolutions in training, on rows."""

from __future__ import annotations

from torch import Tensor

from resdet.models.detection.rpn import RPNHead, rpn_head_misfit
from resdet.models.detection.training_rows.conv import conv_on_rows, tensor_misfit
from resdet.models.detection.training_rows.part import TrainingPart


class TrainingRPNHead(TrainingPart, RPNHead):
    """An RPN's head of which each convolution, with what follows it, is one step."""

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """As the plain head's."""
        if tensor_misfit(features) or self.plainly(rpn_head_misfit(self)):
            return super().forward(features)
        siblings = (self.objectness, self.deltas)
        hidden = conv_on_rows(features.permute(0, 2, 3, 1), self.conv, None, self.matmul)
        logits, deltas = (conv_on_rows(hidden, layer, None, self.matmul, relu=False) for layer in siblings)
        return logits.flatten(1), deltas.reshape(len(features), -1, 4)
