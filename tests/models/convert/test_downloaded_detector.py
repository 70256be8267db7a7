"""`resdet weights download` of Detectron2's detectors: they become model files, and a broken file is not kept."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from weights_server import publish, weights_server
from zoo_state import zoo_state

from resdet.cli import main
from resdet.inference.load import load_detector
from resdet.models.backbones.weights.published import PublishedWeights


def test_a_detector_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with weights_server(tmp_path, monkeypatch) as server:
        publish(monkeypatch, "fasterrcnn_r50_c4", PublishedWeights(server.address("model_final_f97cb7.pkl"), detector=True))
        server.content = b"no pickle"
        assert main(["weights", "download", "fasterrcnn_r50_c4"]) == 3
        tensors = {key: value.numpy() for key, value in zoo_state(width=1, classes=20).items()}
        server.content = pickle.dumps({"model": tensors, "__author__": "zoo"}, protocol=2)
        for _ in range(2):
            assert main(["weights", "download", "fasterrcnn_r50_c4"]) == 0
        assert len(server.asked) == 2
    place = Path("caches/resdet/weights/fasterrcnn_r50_c4.safetensors").resolve()
    assert capsys.readouterr().out.endswith(f"fasterrcnn_r50_c4 is here: model.weights={place}\n")
    assert load_detector(place, device="cpu").names[0] == "aeroplane"
    assert list(place.parent.rglob("*.pkl")) == []
