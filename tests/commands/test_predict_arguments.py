"""Which files and options the arguments mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdet.commands.predict_arguments import FORMATS, detector_options, separate_arguments
from resdet.errors import ConfigError
from resdet.prediction.outputs import OUTPUTS


def test_every_format_that_there_is_can_be_asked_for() -> None:
    assert ("pictures", *OUTPUTS) == FORMATS


@pytest.mark.parametrize(
    ("weights", "others", "expected"),
    [
        (["a.safetensors"], ["x.jpg"], (["a.safetensors"], ["x.jpg"], [])),
        (
            ["a.safetensors", "b.SAFETENSORS", "b.safetensors", "x.jpg"],
            [],
            (["a.safetensors", "b.safetensors"], ["b.SAFETENSORS", "x.jpg"], []),
        ),
        (["a.safetensors", "a.safetensors", "x.jpg"], ["y"], (["a.safetensors"] * 2, ["x.jpg", "y"], [])),
        (["model.pt", "x.jpg", "model.test.flip=1"], ["k.v=2"], (["model.pt"], ["x.jpg"], ["model.test.flip=1", "k.v=2"])),
    ],
)
def test_what_follows_weights(weights: list[str], others: list[str], expected: tuple[list[str], ...]) -> None:
    assert separate_arguments(weights, others) == expected


@pytest.mark.parametrize(("weights", "others"), [(["a.safetensors"], []), (["a.safetensors", "model.test.flip=1"], [])])
def test_no_path(weights: list[str], others: list[str]) -> None:
    with pytest.raises(ConfigError, match="predict needs at least one PATH: an image, a folder of images"):
        separate_arguments(weights, others)


def test_a_file_with_an_equals_sign_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=1.png").touch()
    assert separate_arguments(["w"], ["a=1.png", "a=2.png"]) == (["w"], ["a=1.png"], ["a=2.png"])


def test_options_of_a_detector() -> None:
    given = ["model.test.refine=true", "model.test.vote_iou=0.5", "model.test.short_sides=[200,400]", "model.test.soft_nms="]
    assert detector_options(given) == {"refine": True, "vote_iou": 0.5, "short_sides": [200, 400], "soft_nms": ""}
    assert detector_options([]) == {}
    with pytest.raises(ConfigError) as caught:
        detector_options(["model.rpn.batch=2", "model.test.flip=true", "data.crop=3"])
    assert caught.value.problems == (
        "argument 'model.rpn.batch=2': predict changes options of 'model.test' only",
        "argument 'data.crop=3': predict changes options of 'model.test' only",
    )
