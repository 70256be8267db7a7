"""The rows of the analyses' tables, and the files of an analysis."""

from __future__ import annotations

from pathlib import Path

import defusedxml.ElementTree
from PIL import Image

from resdet.analysis.gradients import GradientProfile, LayerGradient
from resdet.analysis.lesion import LesionProfile
from resdet.analysis.responses import LayerResponse, ResponseProfile
from resdet.analysis.training_curves import TrainedNet
from resdet.engine.log_file import Log
from resdet.report.analyses import (
    degradation_analysis,
    gradient_analysis,
    lesion_analysis,
    response_analysis,
    shortcut_analysis,
)
from resdet.report.analysis_files import write_analysis


def test_a_lesion_is_intact_single_or_random() -> None:
    several = ((("a",), 0.5), (("a", "b"), 0.75))
    found = lesion_analysis([LesionProfile("net", False, 10, 0.25, {"a": 0.25, "b": 0.5}, several)])
    assert [tuple(row.values()) for row in found.rows] == [
        ("net", "intact", 0, "", 0.25, 0.0),
        ("net", "single", 1, "a", 0.25, 0.0),
        ("net", "single", 1, "b", 0.5, 0.25),
        ("net", "random", 1, "a", 0.5, 0.25),
        ("net", "random", 2, "a b", 0.75, 0.5),
    ]
    assert list(found.rows[0]) == ["network", "kind", "dropped", "blocks", "error", "rise"]


def test_a_layer_is_a_row() -> None:
    gradients = (LayerGradient("conv1", 1, False, 2.0, 0.5), LayerGradient("layer2.0.downsample.0", 3, True, 1.0, 0.25))
    found = gradient_analysis([GradientProfile("net", "as saved", False, gradients)])
    assert [tuple(row.values()) for row in found.rows] == [
        ("net", "as saved", "conv1", 1, 0, 2.0, 0.5),
        ("net", "as saved", "layer2.0.downsample.0", 3, 1, 1.0, 0.25),
    ]
    answers = (LayerResponse("conv1", 1, 0.5), LayerResponse("layer1.0.conv1", 2, 0.25))
    responses = response_analysis([ResponseProfile("net", False, 8, answers)])
    assert [tuple(row.values()) for row in responses.rows] == [("net", "conv1", 1, 0.5), ("net", "layer1.0.conv1", 2, 0.25)]


def test_a_trained_network_is_a_row_and_what_was_not_measured_an_empty_cell(tmp_path: Path) -> None:
    nets = {
        "small": TrainedNet("net", "A", 0, False, 8, 100, None, 0.25, Log()),
        "big": TrainedNet("net", "B", 1, False, 8, 120, 0.5, 0.5, Log()),
    }
    paths = write_analysis(tmp_path / "new", shortcut_analysis(list(nets.values())))
    assert paths == [tmp_path / "new" / f"shortcuts.{ending}" for ending in ("png", "svg", "csv", "txt")]
    assert paths[2].read_bytes() == b"shortcut,seed,parameters,train_error,test_error\nA,0,100,,0.25\nB,1,120,0.5,0.5\n"
    assert paths[3].read_text() == shortcut_analysis(list(nets.values())).conclusion + "\n"
    with Image.open(paths[0]) as picture:
        assert picture.format == "PNG"
    assert defusedxml.ElementTree.fromstring(paths[1].read_bytes()).tag == "{http://www.w3.org/2000/svg}svg"
    again = write_analysis(tmp_path / "again", shortcut_analysis(list(nets.values())))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
    assert [tuple(row.values()) for row in degradation_analysis(nets).rows] == [
        ("small", 8, 100, None, 0.25),
        ("big", 8, 120, 0.5, 0.5),
    ]
