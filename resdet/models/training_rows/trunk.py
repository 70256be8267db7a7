"""conv1 … conv4 in training, on rows."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from resdet.models.backbones.misfit import conv_misfit, relu_misfit
from resdet.models.backbones.split import Trunk
from resdet.models.training_rows.conv import conv_on_rows, tensor_misfit
from resdet.models.training_rows.part import TrainingPart
from resdet.ops.frozen_bn import FrozenBatchNorm2d


class TrainingTrunk(TrainingPart, Trunk):
    """A trunk whose stem is one step; its stages have blocks of their own."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images (N, 3, H, W) to the map (N, C, ceil(H / 16), ceil(W / 16))."""
        stem = conv_misfit(self.conv1, self.bn1, FrozenBatchNorm2d) or relu_misfit(self.relu)
        if tensor_misfit(x) or self.plainly(stem):
            return super().forward(x)
        x = self.maxpool(conv_on_rows(x.permute(0, 2, 3, 1), self.conv1, self.bn1, self.matmul).permute(0, 3, 1, 2))
        return cast(Tensor, self.layer3(self.layer2(self.layer1(x))))
