from __future__ import annotations

import pytest
from PIL import Image
from training_logs import record, write_log

from resdet.errors import ConfigError, DataError
from resdet.report import plot_log


def test_pictures(tmp_path):
    steps = [record(20 * number) for number in range(1, 150)]
    plain = write_log(tmp_path / "plain", *steps)
    scored = write_log(tmp_path / "scored", *steps, {"iteration": 500, "eval": {"bbox": {"AP": 0.2, "AP50": 0.4}}})
    one = write_log(tmp_path / "one", record(20))
    widths = []
    for logs in (plain, scored, str(one), [plain, scored, one]):
        path = plot_log(logs, tmp_path / "report" / "curves.png")
        with Image.open(path) as picture:
            picture.load()
            widths.append(picture.width)
    assert widths == [1320, 1980, 1320, 1980]


def test_logs_of_one_folder_name_are_all_drawn(tmp_path):
    first, second = write_log(tmp_path / "a", record(20)), write_log(tmp_path / "b", record(20), record(40))
    other = tmp_path / "deeper" / "a" / "log.jsonl"
    other.parent.mkdir(parents=True)
    other.write_text(second.read_text())
    assert plot_log([first, other], tmp_path / "curves.png").is_file()


def test_logs_that_cannot_be_drawn(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        plot_log(tmp_path / "log.jsonl", tmp_path / "curves.png")
    with pytest.raises(ConfigError, match="at least one log"):
        plot_log([], tmp_path / "curves.png")
    with pytest.raises(DataError, match="at least one line with a loss"):
        plot_log(write_log(tmp_path / "run"), tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
