from __future__ import annotations

import json

import pytest
from PIL import Image

from resdet.errors import ConfigError, DataError
from resdet.report import plot_log


def record(iteration, **more):
    parts = {"loss_cls": 1 / (1 + iteration), "loss_box": 0.5}
    return {"iteration": iteration, "lr": 0.01, "loss": sum(parts.values()), **parts, "time": 0.1, "eta": "1:00"} | more


@pytest.fixture
def log(tmp_path):
    def write(*records, tail="", name="run"):
        path = tmp_path / name / "log.jsonl"
        path.parent.mkdir()
        path.write_text("".join(json.dumps(item) + "\n" for item in records) + tail)
        return path

    return write


def test_pictures(log, tmp_path):
    steps = [record(20 * number) for number in range(1, 150)]
    plain = log(*steps, name="plain")
    scored = log(*steps, {"iteration": 500, "eval": {"bbox": {"AP": 0.2, "AP50": 0.4}}}, name="scored")
    one = log(record(20), name="one")
    widths = []
    for logs in (plain, scored, str(one), [plain, scored, one]):
        path = plot_log(logs, tmp_path / "report" / "curves.png")
        with Image.open(path) as picture:
            picture.load()
            widths.append(picture.width)
    assert widths == [1320, 1980, 1320, 1980]


def test_logs_of_one_folder_name_are_all_drawn(log, tmp_path):
    first, second = log(record(20), name="a"), log(record(20), record(40), name="b")
    other = tmp_path / "deeper" / "a" / "log.jsonl"
    other.parent.mkdir(parents=True)
    other.write_text(second.read_text())
    assert plot_log([first, other], tmp_path / "curves.png").is_file()


def test_logs_that_cannot_be_drawn(log, tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        plot_log(tmp_path / "log.jsonl", tmp_path / "curves.png")
    with pytest.raises(ConfigError, match="at least one log"):
        plot_log([], tmp_path / "curves.png")
    with pytest.raises(DataError, match="at least one line with a loss"):
        plot_log(log(), tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
