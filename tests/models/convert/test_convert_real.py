"""Real weights through the command: the converted file does what the original does."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from rounding import assert_near, network
from torch import Tensor

from resdet.cli import main
from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.images import read_image
from resdet.inference.classifier import ImageClassifier
from resdet.inference.load import load, load_foreign_classifier
from resdet.models.classifier import Classifier

pytestmark = pytest.mark.real

MSRA50 = "resnet50_msra_bgr_stride_in_1x1.fp16.pth"


@pytest.fixture(scope="module")
def images(shared_data: Path) -> Tensor:
    """The centre crops of some ImageNet validation pictures, uint8 (N, 3, 224, 224)."""
    paths = sorted((shared_data / "imagenet_val100").rglob("*.JPEG"))[:6]
    transform = ClassificationTestTransform(256, 224)
    return torch.stack([transform(read_image(path)) for path in paths])


def _converted(*arguments: str | Path) -> Classifier:
    assert main(["convert", *map(str, arguments)]) == 0
    model = load(arguments[1], device="cpu")
    assert isinstance(model, ImageClassifier)
    return model.model


def _direct(source: Path, backbone: BackboneConfig) -> Classifier:
    return load_foreign_classifier(source, ClassifierConfig(backbone), [str(label) for label in range(1000)])


@torch.no_grad()
def test_torchvisions_names(shared_data: Path, images: Tensor, tmp_path: Path) -> None:
    source = shared_data / "weights" / "resnet18_imagenet_pq.fp16.pth"
    model = _converted(source, tmp_path / "r18.safetensors")
    direct = load_foreign_classifier(
        source, ClassifierConfig(BackboneConfig("resnet18")), [str(label) for label in range(1000)]
    )
    assert torch.equal(model(images), direct(images))
    # the first validation pictures: a snake, a skier, a dog, a bath towel or a spatula, …
    assert [model.names[label] for label in model(images).argmax(1)[:3].tolist()] == ["sea snake", "ski", "Shetland sheepdog"]


@pytest.mark.slow
@torch.no_grad()
def test_caffe2_names_of_the_authors_resnet_50(shared_data: Path, images: Tensor, tmp_path: Path) -> None:
    source = shared_data / "weights" / MSRA50
    direct = _direct(source, BackboneConfig("resnet50", pixels="msra", stride_in_1x1=True))
    state = {key: value.double() for key, value in torch.load(source, weights_only=True).items()}
    blobs = {"pred_w": state["fc.weight"], "pred_b": state["fc.bias"], "conv1_w": state["conv1.weight"]}

    def fold(norm: str, blob: str) -> None:
        scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + 1e-5).sqrt()
        blobs[f"{blob}_bn_s"], blobs[f"{blob}_bn_b"] = scale, state[f"{norm}.bias"] - scale * state[f"{norm}.running_mean"]

    fold("bn1", "res_conv1")
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            ours, theirs = f"layer{stage}.{block}", f"res{stage + 1}_{block}_branch"
            for number, letter in enumerate("abc", start=1):
                blobs[f"{theirs}2{letter}_w"] = state[f"{ours}.conv{number}.weight"]
                fold(f"{ours}.bn{number}", f"{theirs}2{letter}")
        blobs[f"res{stage + 1}_0_branch1_w"] = state[f"layer{stage}.0.downsample.0.weight"]
        fold(f"layer{stage}.0.downsample.1", f"res{stage + 1}_0_branch1")
    arrays = {key: value.float().numpy() for key, value in blobs.items()}
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps({"blobs": arrays}, protocol=2))
    model = _converted(tmp_path / "R-50.pkl", tmp_path / "caffe2.safetensors", "--pixels", "msra")
    expected = direct(images[:3])
    assert expected.std() > 1
    assert_near(model(images[:3]), expected, network(50, 9 * 512, torch.float32))
