"""Weights & Biases, MLflow and trackio without a network: what they keep on disk is read back with their own readers."""

from __future__ import annotations

import json
import sqlite3
import struct
from pathlib import Path

import pytest
from shown_runs import lines_and_evaluation, logged_run

from resdet.engine.loggers import logger_hook


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the loggers' own files, where none of them asks a server."""
    for name, value in {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_CACHE_DIR": str(tmp_path / "wandb_cache"),
        "WANDB_CONFIG_DIR": str(tmp_path / "wandb_config"),
        "MLFLOW_TRACKING_URI": (tmp_path / "mlruns").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TRACKIO_DIR": str(tmp_path / "trackio"),
        "DO_NOT_TRACK": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def trained_twice(name: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Log a run, and go on with it; nothing may fail."""
    for _ in range(2):
        run = logged_run(folder / "run")
        run.folder.mkdir(exist_ok=True)
        lines_and_evaluation(logger_hook([name]), run)
    assert not [record for record in caplog.records if "has failed" in record.getMessage()]


def leveldb_records(log: bytes) -> list[bytes]:
    """The records of a log in LevelDB's format, which wandb keeps runs in; the first block is shorter by wandb's header."""
    whole, parts, place, block = [], b"", 0, 32768 - 7
    while place + 7 <= len(log):
        if block < 7:
            place, block = place + block, 32768
            continue
        length, kind = struct.unpack_from("<HB", log, place + 4)
        parts += log[place + 7 : place + 7 + length]
        place, block = place + 7 + length, block - 7 - length
        if kind in (1, 4):  # a whole record, or the last part of one
            whole.append(parts)
            parts = b""
    return whole


def test_wandb_offline(alone: Path, caplog) -> None:
    wandb = pytest.importorskip("wandb", reason="the extra 'wandb' is not installed")
    from wandb.proto.wandb_internal_pb2 import Record

    trained_twice("wandb", alone, caplog)
    wandb.teardown()  # offline, finish() does not wait until the process that writes the file has written it
    name = json.loads((alone / "run" / "loggers.json").read_text())["wandb"]
    files = list((alone / "run" / "wandb").glob(f"offline-run-*-{name}/run-{name}.wandb"))
    assert len(files) in (1, 2)  # one each, or one where both began in one second
    records = map(Record.FromString, leveldb_records(files[0].read_bytes()[7:]))  # after wandb's own header
    rows = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    losses = [(row["iteration"], row["train/loss"]) for row in rows if "train/loss" in row]
    assert losses[:2] == [(4, 0.25), (8, 0.125)]
    together = {key: value for row in rows for key, value in row.items()}
    assert together["eval/bbox/AP"] == 0.5
    assert together["pictures/a/width"] == 20
    assert sum(together["weights/0.weight/values"]) == 6


def test_mlflow_in_files(alone: Path, caplog) -> None:
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    from mlflow import MlflowClient

    trained_twice("mlflow", alone, caplog)
    client = MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("resdet").experiment_id])  # the second went on with the first
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert sorted((each.step, each.value) for each in history) == [(4, 0.25), (4, 0.25), (8, 0.125), (8, 0.125)]
    assert run.data.metrics["eval/bbox/AP"] == 0.5
    images = [each.path for each in client.list_artifacts(run.info.run_id, "images")]
    assert {path.partition("images/")[2].partition("+")[0] for path in images} == {"pictures~a", "precision_recall"}


def test_trackio_local(alone: Path, caplog) -> None:
    pytest.importorskip("trackio", reason="the extra 'trackio' is not installed")
    trained_twice("trackio", alone, caplog)
    from trackio import context_vars

    assert context_vars.current_run.get() is None  # nothing is left to be finished, and told of, when Python ends
    name = f"run-{json.loads((alone / 'run' / 'loggers.json').read_text())['trackio']}"
    with sqlite3.connect(alone / "trackio" / "resdet.db") as database:
        rows = database.execute("select run_name, step, metrics from metrics order by id").fetchall()
    assert {row[0] for row in rows} == {name}
    losses = [(step, json.loads(text)["train/loss"]) for _, step, text in rows if "train/loss" in json.loads(text)]
    assert losses == 2 * [(4, 0.25), (8, 0.125)]
    kinds = {key: value.get("_type") for row in rows for key, value in json.loads(row[2]).items() if isinstance(value, dict)}
    assert kinds["pictures/a"] == "trackio.image"
    assert kinds["weights/0.weight"] == "trackio.histogram"
