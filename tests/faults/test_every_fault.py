"""For every n: the n-th call of the file layer fails. The command says what failed in a line, and the next one goes on as if
nothing had been.

The suite tries about twenty n of each command; with FAULTS=all in the environment it tries every n.
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_files import in_child

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
from test_resume import assert_same_run
from toy_run import toy_training

from resdet import cli

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists() or not hasattr(os, "fork"), reason="forks, and looks at /proc"
)
ERRORS = (errno.ENOSPC, errno.EIO)


def points(count: int) -> range:
    """The calls that fail."""
    return range(1, count + 1, 1 if os.environ.get("FAULTS") == "all" else max(1, count // 20))


def told_in_a_line(said: Path) -> bool:
    """Whether a failure was told as one, in a line."""
    lines = [line for line in said.read_text(errors="replace").splitlines() if line.startswith(("error: ", "Traceback"))]
    return len(lines) == 1 and lines[0].startswith("error: ")


def tried(run: Callable[[], int], folder: Path, said: Path, same: Callable[[], None]) -> None:
    """Let each call of a command fail, and run it again."""
    status, count, _ = in_child(run, folder, said)
    assert status == 0, said.read_text()
    assert count > 5
    print(f"{folder.name}: {len(points(count))} of {count} calls are let fail")
    for at in points(count):
        shutil.rmtree(folder, ignore_errors=True)
        number = ERRORS[at % 2]
        status, _, failed = in_child(run, folder, said, at, number)
        what = f"call {at} of {count}, {failed}, {os.strerror(number)}: {said.read_text(errors='replace')[-3000:]}"
        assert status in (0, 1, 2, 3), what
        assert status == 0 or told_in_a_line(said), what
        assert "Traceback" not in said.read_text(errors="replace"), what
        if status == 0:  # what failed was not needed
            same()
            continue
        status, _, _ = in_child(run, folder, said)
        assert status == 0, f"after {what}\nthe next command: {said.read_text(errors='replace')[-3000:]}"
        same()
        assert not [path.name for path in folder.rglob("*") if "unfinished" in path.name], what


@pytest.mark.slow
def test_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, unbroken = tmp_path / "run", tmp_path / "unbroken"
    toy_training(unbroken)

    def run(args: argparse.Namespace) -> int:
        toy_training(folder)
        return 0

    module = types.ModuleType("toy_command", "Train.")
    module.add_arguments, module.run = lambda parser: None, run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_command", module)
    monkeypatch.setitem(cli.COMMANDS, "toy", "toy_command")
    tried(lambda: cli.main(["toy"]), folder, tmp_path / "said", lambda: assert_same_run(folder, unbroken))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_conversion(tiny_coco: Any, tmp_path: Path, to: str) -> None:
    folder = tmp_path / "out" / "converted"
    source = ["--format", "coco", "--root", str(tiny_coco.images), "--annotations", str(tiny_coco.annotations)]
    command = ["data", "convert", *source, "--as", "val", "--to", to]
    assert cli.main([*command, str(tmp_path / "whole")]) == 0

    def same() -> None:
        assert content(folder) == content(tmp_path / "whole")

    tried(lambda: cli.main([*command, str(folder)]), folder.parent, tmp_path / "said", same)


@pytest.mark.slow
def test_scoring(tiny_coco: Any, tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [5, 6, 16, 20], "score": 0.9}]')
    files = ["--ground-truth", str(tiny_coco.annotations), "--detections", str(tmp_path / "found.json")]
    # the other evaluator has threads, without which a forked process would wait for ever
    command = ["eval", *files, "--evaluator", "pycocotools", "--output"]
    assert cli.main([*command, str(tmp_path / "whole")]) == 0

    def same() -> None:
        assert content(tmp_path / "out") == content(tmp_path / "whole")

    tried(lambda: cli.main([*command, str(tmp_path / "out")]), tmp_path / "out", tmp_path / "said", same)
