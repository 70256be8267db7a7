"""What every task does by itself: it tells its data in words, and saves its model with its card."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plain_task import PlainTask
from torch import nn

from resdet.engine.task import Results
from resdet.models.model_file import ModelCard, read_model


def task(**data: object) -> PlainTask:
    made = PlainTask(nn.Linear(2, 2), lambda *_: {}, lambda _: iter(()))
    made.data = data
    return made


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, {"images": "8", "classes": "0"}),
        ({"images": 118287, "names": ["cat"]}, {"images": "118,287", "classes": "1: cat"}),
        ({"names": list("abcdefgh")}, {"images": "8", "classes": "8: a, b, c, d, e, f, g, h"}),
        ({"names": list("abcdefghij")}, {"images": "8", "classes": "10: a, b, c, d, e, f, g, h and 2 more"}),
    ],
)
def test_facts_of_the_data(data: dict[str, object], told: dict[str, str]) -> None:
    assert task(**data).facts() == told


def test_a_model_is_saved_with_the_card(tmp_path: Path) -> None:
    made = task()
    made.card = ModelCard("classification", {"backbone": {"name": "resnet18"}}, ["a"], {"order": "RGB"}, {"crop": 32})
    made.save(made.model, tmp_path / "model.safetensors")
    tensors, card = read_model(tmp_path / "model.safetensors")
    assert card == made.card
    assert set(tensors) == {"weight", "bias"}
    assert all(torch.equal(value, made.model.state_dict()[name]) for name, value in tensors.items())


def test_results_are_nobody_elses() -> None:
    one, other = Results(), Results()
    one.metrics["AP"] = 0.5
    one.files.append(Path("metrics.json"))
    assert (other.metrics, other.files) == ({}, [])
