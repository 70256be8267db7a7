"""The detector that training begins with: at random, or of a trained one's tensors."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest
import torch
from small_networks import NAMES, detector, detector_config, written

from resdet.config.schema import ClassifierConfig, DetectorConfig
from resdet.errors import ConfigError
from resdet.models.build import build_classifier, start_detector
from resdet.structures import PIXEL_CONVENTIONS

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN has mean 0")
MSRA = {"pixels": "msra"}


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A detector of the authors' pixels, whose numbers are no seed's."""
    model = detector(backbone=MSRA)
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(1.0)
    return written(tmp_path / "det.safetensors", model, detector_config(backbone=MSRA))


def config(weights: Path, **sections: dict[str, object]) -> DetectorConfig:
    return detector_config(weights=str(weights), **sections)  # type: ignore[arg-type]


def test_without_weights_it_is_the_one_that_is_built() -> None:
    torch.manual_seed(0)
    found, expected = start_detector(detector_config(), NAMES), detector()
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


def test_a_trained_one_is_taken_over_with_its_pixels(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "resdet"), warnings.catch_warnings():
        warnings.simplefilter("error")  # statistics that were never loaded are those of the file
        found = start_detector(config(trained, backbone=MSRA), NAMES)
    assert found.pixels == PIXEL_CONVENTIONS["msra"]
    plain = detector(backbone=MSRA).state_dict()
    for name, value in found.state_dict().items():
        assert torch.equal(value, plain[name] + 1.0), name
    assert caplog.messages[-1].startswith(f"detector from {trained}: loaded {len(plain)}; ")


def test_its_pixels_are_the_files_where_the_config_leaves_them_open(trained: Path) -> None:
    assert start_detector(config(trained), NAMES).pixels == PIXEL_CONVENTIONS["msra"]


def test_classes_in_common_keep_their_rows(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "resdet"):
        found = start_detector(config(trained), ["emu", "fox"])
    old = detector(backbone=MSRA).roi_heads.predictor.cls_score.weight + 1.0
    new = found.roi_heads.predictor.cls_score.weight
    assert torch.equal(new[0], old[2])
    assert torch.equal(new[2], old[3])  # the background is last
    assert "; classes kept 1 (emu); " in caplog.messages[-1]


def test_one_without_context_may_go_into_one_with_it(trained: Path, tmp_path: Path) -> None:
    found = start_detector(config(trained, roi={"context": True}), NAMES)
    assert found.roi_heads.context
    back = written(tmp_path / "context.safetensors", found, detector_config(roi={"context": True}, backbone=MSRA))
    with pytest.raises(ConfigError, match=r"context\.safetensors: .*model\.roi\.context"):
        start_detector(config(back), NAMES)


def test_another_network_or_task_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"det\.safetensors: .*model\.backbone\.width.*4.*8"):
        start_detector(config(trained, backbone={"width": 8}), NAMES)
    small = ClassifierConfig()
    small.backbone.name, small.backbone.width = "resnet18", 4
    path = written(tmp_path / "cls.safetensors", build_classifier(small, NAMES), small)
    with pytest.raises(ConfigError, match=r"cls\.safetensors: "):
        start_detector(config(path), NAMES)
    with pytest.raises(ConfigError, match=r"gone\.safetensors: no such model file"):
        start_detector(config(tmp_path / "gone.safetensors"), NAMES)
