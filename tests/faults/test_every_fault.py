"""Some calls of each command's file layer are hit by each fault; ``every_fault.py`` tries all. And the harness notices what it
looks for.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from every_fault import Bench, Finding, points
from faulty_commands import Command, assert_same_content, commands
from faulty_files import ONCE, THROUGHOUT
from tables import put_row

from resdet.files import write_text

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists() or not hasattr(os, "fork"), reason="forks, and looks at /proc"
)
FEW = {"training": 20, "data convert --to coco": 8, "data shard": 8, "eval --detections": 8, "predict of a classifier": 8}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Command]:
    return commands(tmp_path_factory.mktemp("commands"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_a_fault_is_told_or_not_needed(name: str, known: dict[str, Command], tmp_path: Path) -> None:
    bench = Bench(name, known[name], tmp_path)
    tries = sorted(points(bench.calls, ONCE), key=lambda point: point[1])
    step = max(1, len(tries) // FEW[name]) | 1  # an odd one meets all the four faults
    for fault, at in [*tries[step // 2 :: step], *((fault, 0) for fault in THROUGHOUT)]:
        bench.tried(fault, at)


def careful(folder: Path) -> None:
    write_text(folder / "a", "whole\n")
    (folder / "b").unlink(missing_ok=True)


def _bench(run: Callable[[Path], None], tmp_path: Path) -> Bench:
    def command(folder: Path) -> int:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            run(folder)
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("error: interrupted", file=sys.stderr)
            return 130
        return 0

    return Bench("a command", Command(command, assert_same_content), tmp_path)


def test_whole_files_pass_every_fault(tmp_path: Path) -> None:
    bench = _bench(careful, tmp_path)
    outcomes = {bench.tried(fault, at) for fault, at in points(bench.calls, ONCE)}
    assert outcomes == {"told", "not needed", "ended"}


def half(folder: Path) -> None:
    """Writes a file in its place, and takes one that is there for whole."""
    if not (folder / "a").exists():
        (folder / "a").write_text("whole\n")


def swallowed(folder: Path) -> None:
    with contextlib.suppress(OSError):
        write_text(folder / "a", "whole\n")


def untold(folder: Path) -> None:
    try:
        write_text(folder / "a", "whole\n")
    except OSError:
        os._exit(1)


@pytest.mark.parametrize("run", [half, swallowed, untold])
def test_a_careless_command_is_found(run: Callable[[Path], None], tmp_path: Path) -> None:
    bench = _bench(run, tmp_path)
    found = 0
    for fault, at in points(bench.calls, ["no space"]):
        try:
            bench.tried(fault, at)
        except Finding:
            found += 1
    assert found


def test_each_call_is_hit_once_in_as_many_rounds_as_it_is_every() -> None:
    assert points(4, ["killed", "clock"]) == [("killed", 1), ("killed", 2), ("killed", 3), ("killed", 4), ("clock", 0)]
    hit = [at for seed in range(3) for _, at in points(10, ["killed"], 3, seed)]
    assert sorted(hit) == list(range(1, 11))


def test_a_row_of_a_page_is_put_in_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n| a | b |\n|---|---|\n| x | 1 |\n| y | 2 |\n\n| c |\n|---|\n| x |\n")
    put_row(page, ("a", "b"), ("x", "3"))
    put_row(page, ("a", "b"), ("z", "4"))
    assert page.read_text() == "# Page\n\n| a | b |\n|---|---|\n| x | 3 |\n| y | 2 |\n| z | 4 |\n\n| c |\n|---|\n| x |\n"
