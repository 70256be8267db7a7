"""Pictures of coloured stripes, and small classifiers that learn them in seconds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.resnet import ResNet
from resdet.structures import PixelConvention

CLASSES = 8
_COLOURS = torch.tensor([[200.0, 90, 60], [60, 110, 200], [120, 190, 70], [180, 70, 180]])


def striped(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images uint8 (count, 3, 32, 32) and labels: four colours, fine or coarse stripes, upright or level, with noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    phase = torch.rand(count, 1, 1, generator=generator) * 6.3
    level = torch.rand(count, 1, 1, generator=generator) < 0.5
    period = torch.where(labels % 2 == 0, 4.0, 7.0).view(count, 1, 1)
    wave = torch.sin(6.283 * torch.arange(32.0) / period + phase).expand(count, 32, 32)
    wave = torch.where(level, wave.transpose(1, 2), wave)
    colour = _COLOURS[labels // 2][:, :, None, None] + torch.randn(count, 3, 1, 1, generator=generator) * 25
    images = colour + 35 * wave[:, None] + torch.randn(count, 3, 32, 32, generator=generator) * 20
    return images.clamp(0, 255).to(torch.uint8), labels


@cache
def trained(name: str, pixels: PixelConvention, stride_in_1x1: bool = False, steps: int = 100) -> ResNet:
    """A network of width 8 that has seen 3200 striped pictures under a convention, in eval mode; not to be changed."""
    torch.manual_seed(0)
    network = create_backbone(name, num_classes=CLASSES, width=8, stride_in_1x1=stride_in_1x1).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    images, labels = striped(1024, 1)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / steps) + 0.001
        chosen = torch.randint(len(images), (32,))
        loss = F.cross_entropy(network(pixels.normalize(images[chosen])), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function with BN's statistics folded into scale and shift: mean 0 and variance 1 are left."""
    state = dict(state)
    for key in [key for key in state if key.endswith("running_var")]:
        layer = key.removesuffix("running_var")
        scale = state[f"{layer}weight"] / (state[key] + 1e-5).sqrt()
        state[f"{layer}bias"] = state[f"{layer}bias"] - state[f"{layer}running_mean"] * scale
        state[f"{layer}weight"] = scale
        state[f"{layer}running_mean"], state[key] = torch.zeros_like(scale), torch.ones_like(scale)
    return state


def write_folder(folder: Path, count: int, *, classes: bool, seed: int = 2) -> Path:
    """Striped pictures as PNG files, in one folder or in one folder a class, ``0`` … ``7``."""
    for index, (image, label) in enumerate(zip(*striped(count, seed), strict=True)):
        place = folder / str(int(label)) if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{index}.png")
    return folder
