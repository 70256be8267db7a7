from __future__ import annotations

import pytest
from training_logs import record, write_log

from resdet.engine.log_file import read_log
from resdet.errors import DataError


def test_what_a_log_holds(tmp_path):
    found = read_log(
        write_log(
            tmp_path / "run",
            record(20),
            {
                "iteration": 20,
                "eval": {"bbox": {"AP": 0.1, "AP50": 0.3, "AP75": None, "APs": 0.2}, "voc": {"metric": "voc07", "mAP": 0.4}},
            },
            record(40, loss=None),
            {"eval": {"top1_error": 0.25, "top5_error": 0.05, "per_class": {}}},
            tail='{"iteration": 60, "lo',
        )
    )
    assert found.steps["lr"] == ([20, 40], [0.01, 0.01])
    assert found.steps["loss"] == ([20], [1 / 21 + 0.5])
    assert found.scores == {
        "AP": ([20], [0.1]),
        "AP50": ([20], [0.3]),
        "voc07 mAP": ([20], [0.4]),
        "top-1 error": ([40], [0.25]),
        "top-5 error": ([40], [0.05]),
    }


@pytest.mark.parametrize(
    "line", ["[1]", "5", "not json", '{"iteration": "soon"}', '{"iteration": null}', '{"iteration": 1, "eval": 3}']
)
def test_a_line_that_is_no_record(tmp_path, line):
    with pytest.raises(DataError, match="line 2 must be a record of the log, got "):
        read_log(write_log(tmp_path / "run", record(1), tail=line + "\n"))
