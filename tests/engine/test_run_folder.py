from __future__ import annotations

from pathlib import Path

import pytest

from resdet.config import config_to_yaml
from resdet.config.schema import DetectionRunConfig, DetectionSourceConfig
from resdet.engine.run_folder import RunFolder
from resdet.engine.run_folder import open_run as opened_run
from resdet.errors import ConfigError


def open_run(folder: Path, config_yaml: str, resume: bool) -> RunFolder:
    with opened_run(folder, config_yaml, resume) as run:
        return run


def config(**run: int) -> DetectionRunConfig:
    made = DetectionRunConfig()
    made.data.train = [DetectionSourceConfig(root="a"), DetectionSourceConfig(root="b")]
    for name, value in run.items():
        setattr(made.run, name, value)
    return made


def test_new_folder_gets_the_config(tmp_path: Path) -> None:
    run = open_run(tmp_path / "runs" / "one", config_to_yaml(config()), resume=False)
    assert not run.resumed
    assert run.config.read_text() == config_to_yaml(config())
    names = [path.name for path in (run.log, run.state, run.model, run.best, run.metrics)]
    assert names == ["log.jsonl", "state.pt", "model.safetensors", "best.safetensors", "metrics.json"]


def test_resume_without_a_run_begins_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert not open_run(tmp_path, "run: {}\n", resume=True).resumed


@pytest.mark.parametrize("name", ["state.pt", "model.safetensors", "best.safetensors", "metrics.json", "steps.json"])
def test_folder_of_another_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="holds a run; pass --resume to continue it or choose another --output"):
        open_run(tmp_path, "run: {}\n", resume=False)
    assert (tmp_path / name).read_bytes() == b""


def test_the_next_free_name_is_offered(tmp_path: Path) -> None:
    for name in ("run", "run_2", "run_3"):
        (tmp_path / name).mkdir()
    (tmp_path / "run" / "state.pt").touch()
    with pytest.raises(ConfigError, match=rf"choose another --output, such as {tmp_path / 'run_4'}$"):
        open_run(tmp_path / "run", "run: {}\n", resume=False)


@pytest.mark.parametrize("resume", [True, False])
def test_a_run_that_saved_nothing_begins_anew_with_any_config(tmp_path: Path, resume: bool) -> None:
    open_run(tmp_path, config_to_yaml(config()), resume=False)
    (tmp_path / "log.jsonl").touch()
    run = open_run(tmp_path, config_to_yaml(config(batch=2)), resume)
    assert not run.resumed
    assert run.config.read_text() == config_to_yaml(config(batch=2))


def test_what_makes_a_run_may_lie_deeper(tmp_path: Path) -> None:
    (tmp_path / "step1_rpn").mkdir()
    (tmp_path / "weights.safetensors").touch()
    assert not open_run(tmp_path, "run: {}\n", resume=False).resumed
    (tmp_path / "step1_rpn" / "state.pt").touch()
    with pytest.raises(ConfigError, match="holds a run; pass --resume"):
        open_run(tmp_path, "run: {}\n", resume=False)


def test_resume_with_the_same_config_or_another_pace(tmp_path: Path) -> None:
    open_run(tmp_path, config_to_yaml(config()), resume=False)
    (tmp_path / "state.pt").touch()
    changed = config(log_every=3, checkpoint_every=7, eval_every=11)
    changed.data.workers, changed.output = 9, "moved"
    assert open_run(tmp_path, config_to_yaml(config()), resume=True).resumed
    run = open_run(tmp_path, config_to_yaml(changed), resume=True)
    assert run.config.read_text() == config_to_yaml(changed)


def test_evaluations_are_no_matter_of_pace_where_the_learning_rate_follows_them(tmp_path: Path) -> None:
    before, now = config(), config(eval_every=11)
    before.schedule.policy = now.schedule.policy = "plateau"
    open_run(tmp_path, config_to_yaml(before), resume=False)
    (tmp_path / "state.pt").touch()
    with pytest.raises(ConfigError, match=r"option 'run\.eval_every' is \d+ there and 11 now$"):
        open_run(tmp_path, config_to_yaml(now), resume=True)


def test_kernels_that_the_run_chose_itself_may_be_said(tmp_path: Path) -> None:
    ways = {kernels: config() for kernels in ("auto", "torch", "onednn")}
    for kernels, made in ways.items():
        made.run.kernels = kernels
    texts = {kernels: config_to_yaml(made) for kernels, made in ways.items()}
    open_run(tmp_path, texts["auto"], resume=False)
    (tmp_path / "state.pt").touch()
    for kernels in ("torch", "auto", "onednn"):
        assert open_run(tmp_path, texts[kernels], resume=True).resumed
    with pytest.raises(ConfigError, match=r"option 'run\.kernels' is 'onednn' there and 'torch' now$"):
        open_run(tmp_path, texts["torch"], resume=True)


def test_what_may_change_is_an_option_or_all_of_a_section_or_a_list(tmp_path: Path) -> None:
    open_run(tmp_path, config_to_yaml(config()), resume=False)
    (tmp_path / "state.pt").touch()
    changed = config()
    changed.data.train[1].root, changed.model.rpn.nms_thresh = "c", 0.6
    differences = {"data.train[1].root": ("b", "c"), "model.rpn.nms_thresh": (0.7, 0.6)}
    for change in (["data.train", "model"], ["data", "model.rpn.nms_thresh"], ["data.train[1]", "model.rpn"]):
        with opened_run(tmp_path, config_to_yaml(changed), resume=True, change=change) as run:
            assert run.changes == differences
            assert run.changed_config == config_to_yaml(changed)
    for change in (["data.train[0]", "model"], ["data.tra", "model"], ["data.train[1].roo", "model"]):
        with (
            pytest.raises(ConfigError, match=r"option 'data\.train\[1\]\.root' is 'b' there and 'c' now$"),
            opened_run(tmp_path, config_to_yaml(changed), resume=True, change=change),
        ):
            pass


def test_resume_with_another_config_names_every_difference(tmp_path: Path) -> None:
    open_run(tmp_path, config_to_yaml(config()), resume=False)
    (tmp_path / "state.pt").touch()
    changed = config(batch=2)
    changed.data.train[1].root = "c"
    changed.optimizer.lr = 0.02
    with pytest.raises(ConfigError) as caught:
        open_run(tmp_path, config_to_yaml(changed), resume=True)
    assert [problem.partition("config: ")[2] for problem in caught.value.problems] == [
        "option 'data.train[1].root' is 'b' there and 'c' now",
        "option 'optimizer.lr' is 0.01 there and 0.02 now",
        "option 'run.batch' is 16 there and 2 now",
    ]
    assert open_run(tmp_path, config_to_yaml(config()), resume=True).resumed  # the old config is still there


def test_a_run_of_an_earlier_release_is_resumed(tmp_path: Path) -> None:
    """Its config has the names that options had then; what differs is told in those of today."""
    (tmp_path / "state.pt").touch()
    text = config_to_yaml(config())
    new, old = "    nms_thresh: 0.7\n", "    nms_iou: 0.7\n"
    assert text.count(new) == 1
    (tmp_path / "config.yaml").write_text(text.replace(new, old))
    changed = config()
    changed.model.rpn.nms_thresh = 0.6
    with pytest.raises(ConfigError, match=r"config: option 'model\.rpn\.nms_thresh' is 0\.7 there and 0\.6 now$"):
        open_run(tmp_path, config_to_yaml(changed), resume=True)
    run = open_run(tmp_path, text, resume=True)
    assert run.resumed
    assert run.config.read_text() == text


def test_options_that_an_earlier_release_did_not_have_are_at_their_defaults(tmp_path: Path) -> None:
    (tmp_path / "state.pt").touch()
    new = ("base_batch", "from_scratch", "flip")  # of optimizer, of the run file, of model.test
    lines = config_to_yaml(config()).splitlines(keepends=True)
    kept = [line for line in lines if line.strip().partition(":")[0] not in new]
    assert len(kept) == len(lines) - len(new)
    (tmp_path / "config.yaml").write_text("".join(kept))
    changed = config()
    changed.model.test.flip = True
    with pytest.raises(ConfigError, match=r"option 'model\.test\.flip' is False there and True now$"):
        open_run(tmp_path, config_to_yaml(changed), resume=True)
    assert open_run(tmp_path, config_to_yaml(config()), resume=True).resumed


def test_the_batch_of_a_learning_rate_may_be_said_where_the_rate_stays(tmp_path: Path) -> None:
    open_run(tmp_path, config_to_yaml(config(batch=8)), resume=False)
    (tmp_path / "state.pt").touch()
    now = config(batch=8)
    now.optimizer.base_batch = 8
    assert open_run(tmp_path, config_to_yaml(now), resume=True).resumed
    now.optimizer.base_batch = 4
    with pytest.raises(ConfigError, match=r"option 'optimizer\.base_batch' is 8 there and 4 now$"):
        open_run(tmp_path, config_to_yaml(now), resume=True)
    now.optimizer.base_batch, now.training = 0, "alternating"
    with pytest.raises(ConfigError, match=r"option 'optimizer\.base_batch' is 8 there and 0 now"):
        open_run(tmp_path, config_to_yaml(now), resume=True)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--output .*file"):
        open_run(tmp_path / "file", "run: {}\n", resume=False)
    (tmp_path / "state.pt").touch()
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="not YAML"):
        open_run(tmp_path, "run: {}\n", resume=True)
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(ConfigError, match=r"config\.yaml is gone, .*: put it back, or pass --restart"):
        open_run(tmp_path, "run: {}\n", resume=True)
