"""Stochastic depth: in each training step some blocks are their shortcut alone (Huang et al. 2016)."""

from __future__ import annotations

from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet


def set_stochastic_depth(resnet: ResNet, last: float) -> None:
    """Let training drop block l of L with the probability ``l / L * last`` (their equation 4, where ``last`` is 0.5).

    They scale a branch by its probability to stay when they test. Here it is scaled by the inverse in training: the trained
    network is an ordinary one.

    Args:
        resnet: a residual network.
        last: the probability of the last block, in [0, 1); 0: none is dropped.

    Raises:
        ConfigError: for a plain network, whose blocks cannot be left out.
    """
    if last and resnet.spec.shortcut == "none":
        raise ConfigError(
            f"option 'regularization.stochastic_depth' needs shortcuts, {resnet.spec.name} is plain: must be 0, got {last:g}"
        )
    blocks = list(resnet.blocks())
    for number, block in enumerate(blocks, start=1):
        block.drop = last * number / len(blocks)
