"""Deep detectors are not trained from random numbers by mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resdet.config import config_from_dict
from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig
from resdet.errors import ConfigError
from resdet.training.pretrained import check_pretrained
from resdet.training.recorded import as_recorded


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder and caches without weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    for variable in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)


def detector(backbone: dict[str, Any], **options: Any) -> DetectionRunConfig:
    model = {"backbone": backbone, "weights": options.pop("weights", "")}
    config: DetectionRunConfig = config_from_dict(DetectionRunConfig, {"model": model, **options})
    return config


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet101d"])
def test_a_deep_detector_without_weights_is_refused(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"option 'model\.backbone\.weights' is empty: .*from_scratch=true trains it all the same"
    ):
        check_pretrained(detector({"name": name}))


@pytest.mark.parametrize(
    "config",
    [
        detector({"name": "resnet18"}, from_scratch=True),
        detector({"name": "resnet18", "weights": "a.pth"}),
        detector({"name": "resnet18"}, weights="det.safetensors"),
        detector({"name": "cifar_resnet14"}),
        ClassificationRunConfig(),
    ],
    ids=["asked for", "backbone", "detector", "shallow", "classifier"],
)
def test_others_are_not(config: Any) -> None:
    check_pretrained(config)


def test_what_helps_is_said(tmp_path: Path) -> None:
    def said(**backbone: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            check_pretrained(detector(backbone))
        return str(caught.value)

    assert "`resdet weights download resnet50` fetches some" in said(name="resnet50")
    assert "download" not in said(name="resnet50", width=32)
    (tmp_path / "datasets/weights").mkdir(parents=True)
    (tmp_path / "datasets/weights/resnet50.pth").touch()
    assert "model.backbone.weights=datasets/weights/resnet50.pth begins with weights that are here" in said(name="resnet50")


@pytest.mark.parametrize(("recorded", "given", "expected"), [("0", -1, 0), ("7", -1, 7), ("7", 3, 3), ("x", -1, -1)])
def test_a_resumed_run_keeps_its_warm_up(tmp_path: Path, recorded: str, given: int, expected: int) -> None:
    (tmp_path / "config.yaml").write_text(f"schedule: {{warmup_iterations: {recorded}}}")
    config = detector({}, output=str(tmp_path), schedule={"warmup_iterations": given})
    assert as_recorded(config).schedule.warmup_iterations == expected


def test_a_run_without_a_readable_config_decides_anew(tmp_path: Path) -> None:
    for text in ("a: [", "schedule: 3", ""):
        (tmp_path / "config.yaml").write_text(text)
        config = detector({}, output=str(tmp_path))
        assert as_recorded(config) == config
