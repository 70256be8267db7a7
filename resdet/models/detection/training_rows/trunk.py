"""conv1 … conv4 in training, on rows."""

from __future__ import annotations

from torch import Tensor

from resdet.models.backbones.misfit import stem_misfit
from resdet.models.backbones.split import Trunk
from resdet.models.backbones.stems import stem_layers
from resdet.models.detection.training_rows.conv import conv_on_rows, tensor_misfit
from resdet.models.detection.training_rows.part import TrainingPart
from resdet.ops.frozen_bn import FrozenBatchNorm2d


class TrainingTrunk(TrainingPart, Trunk):
    """A trunk of whose stem each convolution, with what follows it, is one step; its stages have blocks of their own."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images (N, 3, H, W) to the map (N, C, ceil(H / 16), ceil(W / 16))."""
        if tensor_misfit(x) or self.plainly(stem_misfit(self.conv1, self.bn1, self.relu, FrozenBatchNorm2d)):
            return super().forward(x)
        rows = x.permute(0, 2, 3, 1)
        for conv, norm in stem_layers(self.conv1, self.bn1):
            rows = conv_on_rows(rows, conv, norm, self.matmul)
        x = self.maxpool(rows.permute(0, 3, 1, 2))
        return self.layer3(self.layer2(self.layer1(x)))
