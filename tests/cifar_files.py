"""A small CIFAR-10 in the official binary layout, whose classes can be learnt: each has a colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def written_cifar10(folder: Path, images: int = 20, seed: int = 0) -> Path:
    """The folder; each of the five training batches and the test batch holds so many images."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        labels = draw.integers(10, size=images, dtype=np.uint8)
        colours = (labels[:, None].astype(int) * np.array([25, 14, 7]) + 30) % 256
        pixels = np.repeat(colours, 32 * 32, axis=1) + draw.integers(-20, 21, (images, 3 * 32 * 32))
        content = np.concatenate([labels[:, None], pixels.clip(0, 255).astype(np.uint8)], 1)
        (folder / f"{name}.bin").write_bytes(content.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(f"class{number}" for number in range(10)) + "\n")
    return folder
