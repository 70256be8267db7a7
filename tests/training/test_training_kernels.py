"""A training run chooses how it computes products, records it, and keeps it."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_detectors import tiny_detector

from resdet.config import config_from_dict
from resdet.config.schema import DetectionRunConfig
from resdet.errors import ConfigError
from resdet.models.detection.training_rows.twin import training_twin
from resdet.ops.kernels import Kernels
from resdet.ops.products import onednn_works
from resdet.training import kernels as training_kernels
from resdet.training.kernels import choose_kernels, recorded_kernels

CPU = torch.device("cpu")
needs_onednn = pytest.mark.skipif(not onednn_works(torch.float32, CPU), reason="this torch has no products of oneDNN here")


def config(folder: Path, **run: Any) -> DetectionRunConfig:
    values = config_from_dict(DetectionRunConfig, {"task": "detection", "output": str(folder)})
    return replace(values, run=replace(values.run, **run))


@pytest.fixture
def fastest(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What measuring says, in place of a clock."""
    found = {"auto": "torch"}
    monkeypatch.setattr(
        training_kernels, "default_kernels", lambda pin="auto": Kernels(found["auto"] if pin == "auto" else pin)
    )
    return found


def record(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run: {kernels: onednn}", "onednn"),
        ("run: {kernels: auto}", "auto"),
        ("run: {batch: 2}", "torch"),  # of a release that had no choice
        ("run: {kernels: fastest}", "auto"),
        ("run: 3", "auto"),
        ("[1]", "auto"),
        ("", "auto"),
        ("run: {kernels: [", "auto"),
    ],
)
def test_what_a_folder_has_recorded(tmp_path: Path, text: str, expected: str) -> None:
    assert recorded_kernels(tmp_path) == "auto"
    record(tmp_path, text)
    assert recorded_kernels(tmp_path) == expected


@needs_onednn
@pytest.mark.parametrize("name", ["torch", "onednn"])
def test_the_fastest_is_recorded_and_computes_the_steps(tmp_path: Path, name: str, fastest: dict[str, str]) -> None:
    fastest["auto"] = name
    model = tiny_detector()
    chosen, network = choose_kernels(config(tmp_path), model, CPU)
    assert chosen.run.kernels == name
    assert network is not model
    assert network.rpn.head.matmul.__name__ == f"{name}_matmul"
    assert dict(network.named_parameters()).keys() == dict(model.named_parameters()).keys()


@needs_onednn
def test_what_was_recorded_is_kept_and_another_choice_is_said(
    tmp_path: Path, fastest: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    record(tmp_path, "run: {kernels: onednn}")
    with caplog.at_level(logging.INFO):
        chosen, _ = choose_kernels(config(tmp_path), tiny_detector(), CPU)
    assert chosen.run.kernels == "onednn"
    assert "began with the products of onednn and keeps them; here those of torch would be faster" in caplog.text
    caplog.clear()
    fastest["auto"] = "onednn"
    with caplog.at_level(logging.INFO):
        choose_kernels(config(tmp_path), tiny_detector(), CPU)
    assert not caplog.text


def test_products_that_are_not_here(
    tmp_path: Path, fastest: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resdet.ops.matmul.onednn_works", lambda *_: False)
    record(tmp_path, "run: {kernels: onednn}")
    chosen, _ = choose_kernels(config(tmp_path), tiny_detector(), CPU)
    assert chosen.run.kernels == "torch"
    assert "began with the products of onednn, which are not here: it continues with those of torch" in caplog.text
    with pytest.raises(ConfigError, match=r"option 'run.kernels' is 'onednn', which this torch does not have here"):
        choose_kernels(config(tmp_path, kernels="onednn"), tiny_detector(), CPU)


@pytest.mark.parametrize("run", [{"precision": "bf16"}, {"compile": True}])
def test_other_formats_and_compiled_networks_have_no_choice(tmp_path: Path, run: dict[str, Any]) -> None:
    model = tiny_detector()
    chosen, network = choose_kernels(config(tmp_path, **run), model, CPU)
    assert (chosen.run.kernels, network) == ("auto", model)


def test_a_network_without_frozen_bn_is_its_own_twin() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    assert training_twin(model, Kernels("torch")) is model
