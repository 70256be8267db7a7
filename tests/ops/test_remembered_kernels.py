"""What was measured is kept for the machine, in a file that may hold anything, or be nowhere."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from running_clock import QUESTION, ask, running_clock

from resdet.ops import kernels
from resdet.ops.kernels import Kernels, default_kernels, machine_key, processor_name, remembered_answers


def test_what_was_measured_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new" / "kernels.json"
    time = running_clock(monkeypatch, torch=2.0, onednn=1.0)
    assert [ask(Kernels(file=file), time, question) for question in ("a", "b")] == ["onednn", "onednn"]
    assert remembered_answers(file) == {machine_key(): {"a": "onednn", "b": "onednn"}}
    later = running_clock(monkeypatch, torch=1.0, onednn=2.0)
    again = Kernels(file=file)
    assert [ask(again, later, question) for question in ("b", "a")] == ["onednn", "onednn"]
    assert not later.made
    assert ask(again, later, "c") == "torch"
    assert remembered_answers(file)[machine_key()] == {"a": "onednn", "b": "onednn", "c": "torch"}
    # of a way that is not offered any more, a new answer
    assert (
        Kernels(file=file).fastest("a", ["torch", "third"], running_clock(monkeypatch, torch=2.0, third=1.0).trial) == "third"
    )


def change_threads(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch, "get_num_threads", lambda: 17)


def change_version(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch, "__version__", "9.9")


def change_build(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch.__config__, "show", lambda: "other libraries")


def change_capability(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "OTHER")


def change_processor(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kernels, "processor_name", lambda: "Another CPU")


MACHINES = [change_threads, change_version, change_build, change_capability, change_processor]
CAPS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")
MACHINES += [lambda patch, cap=cap: patch.setenv(cap, "ANOTHER") for cap in CAPS]


@pytest.mark.parametrize("change", MACHINES)
def test_another_machine_has_answers_of_its_own(
    change: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kernels.json"
    ask(Kernels(file=file), running_clock(monkeypatch, torch=2.0, onednn=1.0))
    key = machine_key()
    with pytest.MonkeyPatch.context() as patch:
        change(patch)
        other = machine_key()
        assert other != key
        assert ask(Kernels(file=file), running_clock(monkeypatch, torch=1.0, onednn=2.0)) == "torch"
    assert remembered_answers(file) == {key: {QUESTION: "onednn"}, other: {QUESTION: "torch"}}
    assert ask(Kernels(file=file), running_clock(monkeypatch, torch=1.0, onednn=2.0)) == "onednn"


def test_the_key_names_processor_and_threads() -> None:
    threads = torch.get_num_threads()
    assert machine_key().startswith(f"{processor_name()}, ")
    assert f", {threads} thread{'' if threads == 1 else 's'}, torch {torch.__version__} (" in machine_key()
    assert processor_name()
    assert machine_key() == machine_key()


DEEP = "[" * 100_000
CONTENTS = ["", "{", "\x00\xff", "null", "[]", '"a"', "3", "{}", DEEP, '{"KEY": 3}', '{"KEY": []}', '{"KEY": {"QUESTION": 7}}']
CONTENTS += ['{"KEY": {"QUESTION": {"a": 1}}}', '{"KEY": {"QUESTION": "cuda"}}', '{"other": {"QUESTION": "torch"}}']


@pytest.mark.parametrize("content", CONTENTS, ids=[content[:20].strip("\x00\xff") or "empty" for content in CONTENTS])
def test_a_file_that_holds_something_else_is_measured_over(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kernels.json"
    file.write_bytes(
        content.replace("KEY", machine_key()).replace("QUESTION", QUESTION).encode("latin-1" if "ÿ" in content else "utf-8")
    )
    assert ask(Kernels(file=file), running_clock(monkeypatch, torch=2.0, onednn=1.0)) == "onednn"
    assert remembered_answers(file)[machine_key()][QUESTION] == "onednn"
    json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("place", ["a folder", "below a file", "full"])
def test_without_a_file_it_measures_all_the_same(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "kernels.json"
    if place == "a folder":
        (file / "inside").mkdir(parents=True)
    elif place == "below a file":
        (tmp_path / "file").write_text("")
        file = tmp_path / "file" / "kernels.json"
    else:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(kernels, "write_json", full)
    assert ask(Kernels(file=file), running_clock(monkeypatch, torch=2.0, onednn=1.0)) == "onednn"
    (told,) = caplog.messages
    start, _, rest = told.partition(" (")
    reason, _, end = rest.partition("): ")
    assert (start, end) == (f"{file}: cannot be written", "products are measured anew in each process")
    assert reason == "No space left on device" if place == "full" else reason not in ("", "None")
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".kernels")]


def test_the_file_is_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_kernels("torch").file == tmp_path / "resdet" / "kernels.json"
    assert default_kernels("torch").pin == "torch"


WRITER = """
import sys, torch
from pathlib import Path
from resdet.ops.kernels import Kernels
for number in range(40):
    Kernels(file=Path(sys.argv[1])).fastest(f"{sys.argv[2]} {number}", ["torch", "onednn"], lambda way: lambda: torch.ones(1))
"""


@pytest.mark.slow
def test_two_processes_that_write_at_once_leave_a_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "kernels.json"
    both = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), name]) for name in ("one", "two")]
    assert [process.wait(timeout=900) for process in both] == [0, 0]
    (answers,) = json.loads(file.read_text(encoding="utf-8")).values()
    # of two that write in the same moment one answer may be lost, and is measured again
    assert any(answers.get(f"{name} 39") for name in ("one", "two"))
    assert set(answers.values()) <= {"torch", "onednn"}
    assert [path.name for path in tmp_path.iterdir()] == ["kernels.json"]
