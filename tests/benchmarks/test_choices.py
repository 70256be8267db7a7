"""The table that decides what a plan chooses: means over seeds, and what was measured is not measured again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "choices"))
choices = pytest.importorskip("choices")

TABLE = {"config": "finetune_r18", "rows": {"plain": [], "no mirror": ["data.hflip=0"]}}


def _measured(folder: Path, ap50: float) -> None:
    folder.mkdir(parents=True)
    metrics = {"bbox": {"AP50": ap50, "AP": ap50 / 2}}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")


def test_a_row_is_the_mean_over_its_seeds(tmp_path, monkeypatch, capsys):
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(TABLE), encoding="utf-8")
    out = tmp_path / "out"
    for name, ap50 in (("plain-0", 0.5), ("plain-1", 0.7), ("no_mirror-0", 0.25)):
        _measured(out / name, ap50)
    arguments = [str(tmp_path / "table.yaml"), "--output", str(out), "--seeds", "0", "1", "--seconds", "0"]
    monkeypatch.setattr(sys, "argv", ["choices.py", *arguments])
    assert choices.main() == 1
    said = capsys.readouterr()
    assert "| plain | 0.600 ± 0.141 | 0.300 ± 0.071 | 0.500, 0.700 |" in said.out
    assert "| no mirror | 0.250 | 0.125 | 0.250 |" in said.out
    assert said.err == "not ended: no_mirror-1\n"
    assert (out / "table.md").read_text(encoding="utf-8") == said.out


def test_a_training_names_its_seed_folder_and_options_and_goes_on_where_it_stopped(tmp_path):
    training = choices.Training("plain", 3, tmp_path, ("data.hflip=0",))
    fresh = training.command("finetune_r18")
    assert fresh[fresh.index("--output") + 1] == str(tmp_path)
    assert "--resume" not in fresh
    assert fresh[-2:] == ["data.hflip=0", "run.seed=3"]
    (tmp_path / "state.pt").touch()
    assert "--resume" in training.command("finetune_r18")
