"""The result files of a classifier."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resdet.evaluation import Predictions, evaluate_predictions, read_predictions
from resdet.evaluation.calibration import calibrate
from resdet.report import metrics_table, write_classification
from resdet.report.classification import plot_confusion, plot_reliability, write_confusion


def predictions(classes: int, images: int = 40) -> Predictions:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(classes), images).astype(np.float32).reshape(images, classes)
    names = tuple(f"class {k}" for k in range(classes))
    return Predictions(probabilities, generator.integers(0, classes, images), names, tuple(f"{k}.png" for k in range(images)))


@pytest.mark.parametrize(("classes", "images"), [(3, 40), (51, 40), (2, 0), (1, 1)])
def test_all_files(tmp_path: Path, classes: int, images: int) -> None:
    given = predictions(classes, images)
    metrics = evaluate_predictions(given)
    paths = write_classification(tmp_path / "run", given, metrics)
    names = [path.relative_to(tmp_path / "run").as_posix() for path in paths]
    pictures = ["report/reliability.png"] + ["report/confusion.png"] * (classes <= 50)
    assert names == ["metrics.json", "predictions.npz", "confusion.csv", *pictures]
    assert json.loads(paths[0].read_text()) == metrics
    assert np.array_equal(read_predictions(paths[1]).probabilities, given.probabilities)
    for name in pictures:
        with Image.open(tmp_path / "run" / name) as image:
            assert min(image.size) > 100


def test_the_confusion_file_is_quoted(tmp_path: Path) -> None:
    names = ['a, "b"', "new\nline", "ü;\t", "=1+1"]
    matrix = np.arange(16).reshape(4, 4)
    write_confusion(tmp_path / "c.csv", matrix, names)
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    shown = [*names[:3], "'=1+1"]  # which a spreadsheet must not compute
    assert header == ["true \\ predicted", *shown]
    assert [row[0] for row in rows] == shown
    assert [[int(cell) for cell in row[1:]] for row in rows] == matrix.tolist()


def test_any_name_can_be_drawn(tmp_path: Path) -> None:
    plot_confusion(tmp_path / "c.png", np.eye(3, dtype=np.int64), ["$x", "$\\frac$", "_{"])
    assert Image.open(tmp_path / "c.png").size > (100, 100)


def test_the_diagonal_is_drawn_dark_and_the_rest_light(tmp_path: Path) -> None:
    plot_confusion(tmp_path / "right.png", np.eye(30, dtype=np.int64) * 5, ["n"] * 30)
    plot_confusion(tmp_path / "wrong.png", np.zeros((30, 30), dtype=np.int64), ["n"] * 30)
    right, wrong = (np.asarray(Image.open(tmp_path / name).convert("L")) for name in ("right.png", "wrong.png"))
    assert (right < 80).sum() > (wrong < 80).sum() + 1000


def test_the_reliability_diagram_says_the_error(tmp_path: Path) -> None:
    plot_reliability(tmp_path / "r.png", calibrate(np.zeros((0, 2), np.float32), np.zeros(0, np.int64)))
    plot_reliability(tmp_path / "s.png", calibrate(np.array([[0.9, 0.1]], np.float32), np.array([0])))
    assert (tmp_path / "r.png").read_bytes() != (tmp_path / "s.png").read_bytes()


def test_the_table_has_the_commonest_mistakes() -> None:
    probabilities = np.eye(12, dtype=np.float32)[[1, 1, 1, *range(12)]]
    labels = np.array([0, 0, 0, *np.roll(np.arange(12), 1)])
    names = tuple(f"c{k}" for k in range(12))
    table = metrics_table(evaluate_predictions(Predictions(probabilities, labels, names, ("",) * 15)))
    lines = table.splitlines()
    assert lines[0] == "top-1 error 100.00 %   top-5 error 53.33 %   expected calibration error 100.00 %"
    start = next(number for number, line in enumerate(lines) if line.startswith("most confused"))
    assert lines[start + 2].split() == ["c0", "->", "c1", "4"]
    assert len(lines) == start + 2 + 10
