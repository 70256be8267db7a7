"""Pretrained weights are found where this and other toolkits keep them, and a missing file says how to get them."""

import logging
import re
from pathlib import Path

import pytest
import torch
from narrow_networks import narrow_network

from resdet.config.schema import BackboneConfig
from resdet.errors import ConfigError
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.weights import find_weights, load_backbone_weights
from resdet.models.backbones.weights.find import existing_weights
from resdet.models.backbones.weights.published import PUBLISHED_WEIGHTS
from resdet.models.build.backbone import build_backbone

OURS, TORCH = "caches/resdet/weights", "caches/torch/hub/checkpoints"
TIMM = "caches/huggingface/hub/models--timm--{}/snapshots/{}/model.safetensors"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose caches lie below it, all of them empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    for variable in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def put(home: Path, *names: str) -> None:
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(home: Path, name: str) -> str | None:
    path = find_weights(name)
    return path and str((home / path).relative_to(home))


# each file is preferred to those after it
IN_ORDER = [
    "datasets/weights/resnet50.pth",
    "datasets/weights/resnet50.safetensors",
    "datasets/weights/resnet50-0676ba61.pth",
    "datasets/weights/resnet50-11ad3fa6.pth",
    "datasets/weights/resnet50_mine.safetensors",
    "datasets/weights/resnet50-caffe.pth",
    "datasets/weights/resnet50_msra_bgr.fp16.pth",
    f"{OURS}/resnet50-0676ba61.pth",
    f"{TORCH}/resnet50-0676ba61.pth",
    f"{TORCH}/resnet50-11ad3fa6.pth",
    TIMM.format("resnet50.tv_in1k", "1a"),
    TIMM.format("resnet50.a1_in1k", "2b"),
]


@pytest.mark.parametrize("place", range(len(IN_ORDER)))
def test_the_first_of_the_files_that_are_there_is_taken(home: Path, place: int) -> None:
    put(home, *IN_ORDER[place:])
    assert found(home, "resnet50") == IN_ORDER[place]


def test_files_of_other_networks_and_of_other_kinds_are_not_taken(home: Path) -> None:
    put(
        home,
        "datasets/weights/resnet50d.pth",
        "datasets/weights/resnet50.pth.part",
        "datasets/weights/my_resnet50.pth",
        f"{TORCH}/resnet50_places365.pth",
        f"{TORCH}/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        TIMM.format("resnet50_gn.a1h_in1k", "1a"),
        TIMM.format("resnet50.fb_swsl_ig1b", "1a"),
    )
    (home / "datasets/weights/resnet50.safetensors").mkdir()
    assert found(home, "resnet50") is None


def test_variables_of_other_toolkits_move_their_caches(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home, "t/hub/checkpoints/resnet18-f37072fd.pth", "h/hub/models--timm--resnet34.tv_in1k/snapshots/1/model.safetensors")
    monkeypatch.setenv("TORCH_HOME", str(home / "t"))
    monkeypatch.setenv("HF_HOME", str(home / "h"))
    assert found(home, "resnet18") == "t/hub/checkpoints/resnet18-f37072fd.pth"
    assert find_weights("resnet34") is not None
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "elsewhere"))
    assert find_weights("resnet34") is None


@pytest.mark.filterwarnings("ignore:.*what these weights want")
def test_a_run_file_s_weights_come_from_a_cache_where_the_project_has_none(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = create_backbone("resnet18", num_classes=3)
    (home / TORCH).mkdir(parents=True)
    torch.save(network.state_dict(), home / TORCH / "resnet18-f37072fd.pth")
    other = create_backbone("resnet18", num_classes=3)
    report = load_backbone_weights(other, "datasets/weights/resnet18.pth", pixels=None, stride_in_1x1=False)
    assert report.path == home / TORCH / "resnet18-f37072fd.pth"
    assert torch.equal(other.conv1.weight, network.conv1.weight)
    with caplog.at_level(logging.INFO, "resdet.models.build.backbone"):
        build_backbone(BackboneConfig("resnet18", "datasets/weights/resnet18.pth"), 3)
    # one line: a terminal is shown no other line ends in a log line than its own
    file = home / TORCH / "resnet18-f37072fd.pth"
    assert caplog.messages[0] == f"backbone resnet18 from {file}: 102 loaded, 0 missing, 0 unexpected, 0 mismatched"


def test_a_missing_file_says_where_it_was_looked_for_and_how_to_get_it(home: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        existing_weights(Path("datasets/weights/resnet50.pth"), "resnet50")
    said = str(caught.value)
    assert said.startswith("option 'model.backbone.weights': no such file: datasets/weights/resnet50.pth; ")
    for place in ("datasets/weights", OURS, TORCH, "caches/huggingface/hub"):
        assert f"{place}" in said
    assert "`resdet weights download resnet50`" in said
    assert PUBLISHED_WEIGHTS["resnet50"].url in said
    assert "`resdet convert FILE DST.safetensors`" in said


def test_another_missing_file_is_not_replaced_but_told_of_what_is_there(home: Path) -> None:
    put(home, f"{OURS}/resnet50-0676ba61.pth")
    for path in ("runs/mine/resnet50.pth", "datasets/weights/mine.pth"):
        with pytest.raises(ConfigError, match=rf"{path}; weights of resnet50 are here: .*resnet50-0676ba61\.pth"):
            existing_weights(Path(path), "resnet50")


def test_no_published_weights_are_offered_for_a_narrow_network(home: Path) -> None:
    put(home, f"{OURS}/resnet18-f37072fd.pth")
    with pytest.raises(ConfigError) as caught:
        load_backbone_weights(narrow_network(), "datasets/weights/resnet18.pth", pixels=None, stride_in_1x1=False)
    assert str(caught.value) == "option 'model.backbone.weights': no such file: datasets/weights/resnet18.pth"


def test_published_files_carry_their_sum_in_their_names() -> None:
    for name, published in PUBLISHED_WEIGHTS.items():
        assert published.url.startswith("https://")
        if published.sha256:
            assert published.file == f"{name}-{published.sha256}.pth"
            assert re.fullmatch(r"[0-9a-f]{8}", published.sha256)
        else:
            assert published.detector


def test_addresses_are_those_of_torchvision_itself() -> None:
    from torchvision import models

    for name, published in PUBLISHED_WEIGHTS.items():
        if not published.detector:
            assert published.url == models.get_model_weights(name)["IMAGENET1K_V1"].url
