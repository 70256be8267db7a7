"""The two sibling layers of a localizer, which compute the classes that are asked for and no others (paper, appendix C).

Legend: N images, C channels, (H, W) positions, A anchors a position, K classes, Q classes asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resdet.ops.precision import at_least_float32


class PerClassHead(nn.Module):
    """Two sibling 1×1 convolutions: of every class a logit ("is this class, or is not") and box deltas of each anchor.

    The outputs of a class lie together: those of class k are the rows k * A … of ``cls``, and k * A * 4 … of ``reg``.

    A class's weights are its own rows, which begin at zero, plus those of ``common_cls`` and ``common_reg``. The sum adds
    and loses no function, but what holds for objects of any kind is learned from every image: of a batch's gradient a
    class's own rows see only that of its own images, and with them alone ten classes still stood at a loss of 0.44 where
    the sum had come to 0.17 (300 steps of 32 images on ten classes of Tiny-ImageNet, conv1–conv4 fixed).

    Args:
        channels: C.
        anchors: A.
        num_classes: K.
    """

    def __init__(self, channels: int, anchors: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.cls = nn.Conv2d(channels, num_classes * anchors, 1)
        self.reg = nn.Conv2d(channels, num_classes * anchors * 4, 1)
        self.common_cls = nn.Conv2d(channels, anchors, 1)
        self.common_reg = nn.Conv2d(channels, anchors * 4, 1)
        for layer, std in ((self.cls, 0.0), (self.reg, 0.0), (self.common_cls, 0.01), (self.common_reg, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits and deltas of some classes of each image.

        Time and memory grow with Q and not with K, but for the gradient of the weights, which has the size of the weights.

        Args:
            features: float (N, C, H, W).
            classes: int64 (N, Q), 0 … K-1; None: all K, in their order.

        Returns:
            Float (N, Q, H * W * A) and (N, Q, H * W * A, 4), in the order of ``AnchorGrid``; float32 at least.
        """
        count = self.num_classes if classes is None else classes.shape[1]
        logits, deltas = (
            self._layer(own, features, classes).unflatten(1, (count, -1)) + common(features).flatten(2)[:, None]
            for own, common in ((self.cls, self.common_cls), (self.reg, self.common_reg))
        )
        logits = logits.transpose(2, 3).flatten(2)
        deltas = deltas.unflatten(2, (-1, 4)).permute(0, 1, 4, 2, 3).flatten(2, 3)
        return at_least_float32(logits), at_least_float32(deltas)

    def _layer(self, layer: nn.Conv2d, features: Tensor, classes: Tensor | None) -> Tensor:
        """The outputs (N, rows, H * W) of the classes' own weights."""
        if classes is None:
            return layer(features).flatten(2)
        weight, bias = layer.weight.flatten(1), layer.bias
        rows = weight.unflatten(0, (self.num_classes, -1))[classes].flatten(1, 2)
        shift = bias.unflatten(0, (self.num_classes, -1))[classes].flatten(1)  # type: ignore[union-attr]
        return torch.baddbmm(shift[:, :, None], rows, features.flatten(2))
