"""`resdet weights download` from a server of this machine: fetched once, resumed, verified, converted."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from weights_server import Server, publish, weights_server

from resdet.cli import main
from resdet.commands.weights import NAMES
from resdet.models.backbones.registry import create_backbone
from resdet.models.backbones.weights.find import find_weights
from resdet.models.backbones.weights.published import PUBLISHED_WEIGHTS, PublishedWeights


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with weights_server(tmp_path, monkeypatch) as running:
        yield running


def of_a_backbone(server: Server, monkeypatch: pytest.MonkeyPatch, digits: str = "") -> Path:
    """Publish weights of a ResNet-18; the place that they go to."""
    buffer = io.BytesIO()
    torch.save(create_backbone("resnet18", num_classes=2).state_dict(), buffer)
    server.content = buffer.getvalue()
    digits = digits or hashlib.sha256(server.content).hexdigest()[:8]
    publish(monkeypatch, "resnet18", PublishedWeights(server.address(f"resnet18-{digits}.pth"), digits))
    return Path("caches/resdet/weights") / f"resnet18-{digits}.pth"


def test_weights_arrive_once(server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    place = of_a_backbone(server, monkeypatch)
    for _ in range(2):
        assert main(["weights", "download", "resnet18"]) == 0
        assert capsys.readouterr().out == f"resnet18 is here: model.backbone.weights={place.resolve()}\n"
    assert place.read_bytes() == server.content
    assert server.asked == [None]
    assert find_weights("resnet18") == place.resolve()


def test_a_transfer_that_broke_off_goes_on(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    place = of_a_backbone(server, monkeypatch)
    server.cut = 1_000_000
    assert main(["weights", "download", "resnet18"]) == 0
    assert server.asked == [None, "bytes=1000000-"]
    assert place.read_bytes() == server.content


def test_another_file_than_the_published_one_is_deleted(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = of_a_backbone(server, monkeypatch, digits="00000000")
    assert main(["weights", "download", "resnet18"]) == 3
    found = hashlib.sha256(server.content).hexdigest()
    said = f"is not the published file: {len(server.content)} bytes of sha256 {found}, expected 00000000; it was deleted"
    assert said in capsys.readouterr().err
    assert not place.exists()


def test_what_torch_has_is_not_fetched(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_a_backbone(server, monkeypatch)
    cached = tmp_path / "caches/torch/hub/checkpoints/resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert main(["weights", "download", "resnet18"]) == 0
    assert capsys.readouterr().out == f"resnet18 is here: model.backbone.weights={cached}\n"
    assert server.asked == []


def test_the_command_knows_the_published_names() -> None:
    assert set(NAMES) == set(PUBLISHED_WEIGHTS)
