from __future__ import annotations

import argparse
import os
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import resdet
from resdet import cli
from resdet.errors import ConfigError, DataError, ResdetError, TrainingError

ROOT = Path(__file__).resolve().parents[1]
MakeCommand = Callable[[Callable[[argparse.Namespace], int]], None]


def _python(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> MakeCommand:
    """Adds the command ``fake``, which has --level N and overrides, and calls the function given."""

    def make(run: Callable[[argparse.Namespace], int]) -> None:
        def add_arguments(parser: argparse.ArgumentParser) -> None:
            parser.add_argument("--level", type=int, default=0)
            parser.add_argument("overrides", nargs="*")

        module = types.ModuleType("fake_command", "Do nothing.\n\nMore words.")
        module.add_arguments = add_arguments  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_command", module)
        monkeypatch.setitem(cli.COMMANDS, "fake", "fake_command")

    return make


def _raise(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize("status", [0, 1])
def test_the_command_s_status_is_returned(command: MakeCommand, status: int) -> None:
    command(lambda args: status)
    assert cli.main(["fake"]) == status


@pytest.mark.parametrize(
    ("arguments", "level", "overrides"),
    [
        ([], 0, []),
        (["a=1", "--level", "2"], 2, ["a=1"]),
        (["--level", "2", "a=1", "b=2"], 2, ["a=1", "b=2"]),
        (["a=1", "--level", "2", "b=2"], 2, ["a=1", "b=2"]),
        (["--level", "2", "--", "-1.png", "-", "b"], 2, ["./-1.png", "-", "b"]),
        (["a", "--", "--level"], 0, ["a", "./--level"]),
    ],
)
def test_options_and_overrides_in_any_order(
    command: MakeCommand, arguments: list[str], level: int, overrides: list[str]
) -> None:
    seen = []
    command(lambda args: seen.append((args.level, args.overrides)) or 0)
    assert cli.main(["fake", *arguments]) == 0
    assert seen == [(level, overrides)]


@pytest.mark.parametrize(
    ("error", "status", "lines"),
    [
        (ConfigError("a"), 2, ["error: a"]),
        (DataError(["a", "b"]), 3, ["error: a", "error: b"]),
        (TrainingError("a"), 1, ["error: a"]),
        (ResdetError("a"), 1, ["error: a"]),
        (KeyboardInterrupt(), 130, ["error: interrupted"]),
        (PermissionError(13, "Permission denied", "/there"), 1, ["error: /there: Permission denied"]),
    ],
)
def test_errors_are_lines_and_a_status(
    command: MakeCommand, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, lines: list[str]
) -> None:
    command(_raise(error))
    assert cli.main(["fake"]) == status
    captured = capsys.readouterr()
    assert captured.err.splitlines() == lines
    assert captured.out == ""


def test_many_problems_are_cut(command: MakeCommand, capsys: pytest.CaptureFixture[str]) -> None:
    command(_raise(DataError([f"problem {number}" for number in range(250)])))
    assert cli.main(["fake"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines == [*(f"error: problem {number}" for number in range(100)), "error: … and 150 more"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["--help", "--version", "train-det --help", "info --configs", "info --options"])
def test_a_reader_that_leaves_is_no_error(arguments: str, unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # whatever is written, however little: nobody reads it
    command = [sys.executable, "-m", "resdet", *arguments.split()]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=writer, stderr=subprocess.PIPE, timeout=900, check=False)
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode in (0, 1)  # argparse does not mind when its help cannot be written; 120 is Python's own complaint


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), "error: out of memory: CUDA out of memory."),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 TB"), "error: out of memory: [enforce"),
        (MemoryError(), "error: out of memory: "),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
            "error: a process that reads images was killed",
        ),
    ],
)
def test_want_of_memory_is_a_line(
    command: MakeCommand, capsys: pytest.CaptureFixture[str], error: Exception, start: str
) -> None:
    command(_raise(error))
    assert cli.main(["fake"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(start)
    assert "less" in line


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError("not about a file")])
def test_a_bug_is_not_hidden(command: MakeCommand, error: Exception) -> None:
    command(_raise(error))
    with pytest.raises(type(error), match=str(error)):
        cli.main(["fake"])


def test_warnings_are_one_line(command: MakeCommand, capsys: pytest.CaptureFixture[str]) -> None:
    def run(args: argparse.Namespace) -> int:
        warnings.warn("look out", stacklevel=1)
        return 0

    command(run)
    before = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["fake"]) == 0
    assert capsys.readouterr().err == "warning: look out\n"
    assert warnings.showwarning is before


@pytest.mark.parametrize("arguments", ["fake --level x", "fake --unknown", "data mkae", "train-det --nofig"])
def test_wrong_usage_is_status_2(command: MakeCommand, capsys: pytest.CaptureFixture[str], arguments: str) -> None:
    command(lambda args: 0)
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments.split())
    assert caught.value.code == 2
    assert "usage: resdet" in capsys.readouterr().err


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trian-det"]) == 2
    assert capsys.readouterr().err == "error: unknown command 'trian-det' (did you mean 'train-det'?)\n"


def test_no_command_shows_the_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "train-det" in capsys.readouterr().err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([name, "--help"])
    assert caught.value.code == 0
    assert f"usage: resdet {name}" in capsys.readouterr().out


def test_the_overview_lists_every_command_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in cli.COMMANDS:
        (line,) = [line.split() for line in lines if line.split()[:1] == [name]]
        assert len(line) > 2, f"{name} has no help"


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert cli.main([option]) == 0
    assert capsys.readouterr() == (f"resdet {resdet.__version__}\n", "")


@pytest.mark.parametrize("name", ["train_cls", "train_det", "eval", "predict"])
def test_the_tools_run_from_a_checkout(name: str, tmp_path: Path) -> None:
    tool = ROOT / "tools" / f"{name}.py"
    assert len(tool.read_text().splitlines()) <= 10
    done = subprocess.run(
        [sys.executable, tool, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: resdet {name.replace('_', '-')}" in done.stdout


HELP_PAGES = [["--version"], ["--help"], *([name, "--help"] for name in cli.COMMANDS)]


def test_help_and_the_package_start_without_torch() -> None:
    program = f"""
import contextlib, io, sys
import resdet, resdet.config
from resdet.cli import main
for arguments in {HELP_PAGES}:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main(arguments)
    heavy = sorted({{"torch", "torchvision", "cv2", "matplotlib", "numpy"}} & set(sys.modules))
    assert not heavy, f"{{arguments}} imports {{heavy}}"
"""
    done = _python("-c", program)
    assert done.returncode == 0, done.stderr


def test_python_m_resdet() -> None:
    done = _python("-m", "resdet", "train-det", "--config", "no_such_file")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: config 'no_such_file': no such file")
    assert len(done.stderr.splitlines()) == 1
