"""The run file that `resdet analyze` is tried with: narrow networks, forty images of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

CLASSES = [f"class{number}" for number in range(10)]


def command(name: str, config: Path, output: Path) -> list[str]:
    return ["analyze", name, "--config", str(config), "--output", str(output), "--device", "cpu"]


def noise_config(folder: Path) -> Path:
    """A run file of narrow networks on a tiny CIFAR-10 in its binary layout, sorted by class."""
    root = folder / "cifar"
    root.mkdir()
    random = np.random.default_rng(0)
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"):
        labels = np.sort(np.arange(20) % 10).astype(np.uint8)[:, None]
        pixels = random.integers(0, 256, (20, 3072), dtype=np.uint8)
        (root / f"{name}.bin").write_bytes(np.concatenate([labels, pixels], axis=1).tobytes())
    (root / "batches.meta.txt").write_text("\n".join(CLASSES))
    source = {"format": "cifar10", "root": str(root)}
    values = {
        "task": "classification",
        "model": {"backbone": {"name": "cifar_resnet8", "width": 4}},
        "data": {
            "train": source,
            "val": {**source, "split": "test"},
            "crop": 32,
            "short_side": [],
            "test_short_side": 0,
            "pad": 4,
            "lighting": 0,
            "mean_image": "compute",  # which stands in a model file alone
            "workers": 0,
        },
        "schedule": {"iterations": 1000, "milestones": [500]},
        "run": {"batch": 8},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
