"""The ends of a run that nobody asked for: a closed terminal, a killed process, a stopped worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resdet.engine.progress import LiveDisplay, PlainDisplay
from resdet.engine.run_folder import open_run
from resdet.engine.signals import StopSignals
from resdet.files import atomic_write, remove_unfinished, unfinished_folder, write_text

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals as POSIX has them")


def test_a_closed_terminal_asks_to_save(capfd: pytest.CaptureFixture[str]) -> None:
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.received == "SIGHUP"
    assert "SIGHUP: saving after this step" in capfd.readouterr().err


def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.received == ""
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


class Closed:
    """A terminal that is gone, or a file on a full disk."""

    encoding = "utf-8"

    def __init__(self, number: int) -> None:
        self.number = number

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))

    flush = write


@pytest.mark.parametrize("number", [5, 28, 32])
@pytest.mark.parametrize("display", [PlainDisplay, LiveDisplay])
def test_training_goes_on_without_its_display(number: int, display: type[PlainDisplay] | type[LiveDisplay]) -> None:
    shown = display(Closed(number))  # type: ignore[arg-type]
    shown.start(3, 10)
    shown.step(4, 1.0)
    shown.write({"iteration": 4, "lr": 0.1, "loss": 1.0, "time": 0.1, "data_time": 0.0, "eta": 1.0, "memory": 10.0})
    shown.write({"iteration": 4, "eval": {}, "score": 0.5})
    shown.close()


def test_a_command_whose_standard_error_was_closed_ended_in_a_traceback_and_gave_its_number_to_a_file(tmp_path: Path) -> None:
    program = (
        "import os, sys; os.close(2); os.close(1); sys.stderr = sys.stdout = None; "
        "from resdet.cli import main; status = main(['data', 'make', 'shapes', '--train', '0', sys.argv[1]]); "
        "file = open(sys.argv[1] + '.txt', 'w'); sys.exit(status if file.fileno() > 2 and sys.stderr.isatty() is False else 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "x")], cwd=ROOT, timeout=900, check=False)
    assert done.returncode == 2


def test_a_list_from_a_closed_standard_input_names_no_file(capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "import os, sys; os.close(0); sys.stdin = None; "
        "from resdet.cli import main; sys.exit(main(['predict', '--weights', 'm.safetensors', '-']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=900, check=False)
    assert (done.returncode, capfd.readouterr().err) == (2, "error: standard input: names no file\n")


def killed_while_writing(folder: Path) -> Path:
    """What a process leaves that is killed while it writes ``folder/state.pt``."""
    program = (
        "import os, signal, sys; from pathlib import Path; from resdet.files import atomic_write; "
        "atomic_write(Path(sys.argv[1]) / 'state.pt', "
        "lambda path: (path.write_bytes(b'half'), os.kill(os.getpid(), signal.SIGKILL)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], cwd=ROOT, timeout=900, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = folder.glob(".state.pt.*")
    return left


def test_what_a_killed_process_left_is_removed_when_nobody_writes_it(tmp_path: Path) -> None:
    left = killed_while_writing(tmp_path)
    others = [tmp_path / ".state.pt.abcdefgh", tmp_path / ".hidden", tmp_path / "mine.resdet-unfinished"]
    for path in others:
        path.touch()
        os.utime(path, (0, 0))
    assert remove_unfinished(tmp_path) == []
    assert left.exists(), "its writer may be at work: it is new"
    hours_ago = time.time() - 7200
    os.utime(left, (hours_ago, hours_ago))
    assert remove_unfinished(tmp_path) == [left]
    assert all(path.exists() for path in others)


def test_the_folder_that_a_killed_process_was_making_was_never_removed(tmp_path: Path) -> None:
    left = tmp_path / ".data.abcdefgh.resdet-unfinished"
    (left / "data" / "images").mkdir(parents=True)
    (left / "data" / "images" / "1.jpg").write_bytes(b"half a")
    for path in (left, left / "data", left / "data" / "images" / "1.jpg"):
        os.utime(path, (0, 0))
    with unfinished_folder(tmp_path / "data"):
        assert left.exists(), "its maker may be at work: a file was added just now"
    os.utime(left / "data" / "images", (0, 0))
    with unfinished_folder(tmp_path / "data") as folder:
        assert not left.exists()
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_half_a_picture_stayed_in_the_folders_of_an_output_that_was_written_again(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign" / "photo.jpg"
    output = tmp_path / "crops" / "cat"
    for folder in (foreign.parent, output):
        folder.mkdir(parents=True)
    foreign.touch()
    old, young, link = (output / f".{name}.jpg.abcdefgh.resdet-unfinished" for name in ("old", "young", "link"))
    old.touch()
    young.touch()
    link.symlink_to(foreign.parent)
    for path in (old, link):
        os.utime(path, (0, 0), follow_symlinks=False)
    write_text(output / "1.txt", "a crop")
    assert sorted(output.iterdir()) == [young, output / "1.txt"]
    assert foreign.exists(), "a link is removed, and not what it leads to"


@pytest.mark.parametrize("name", ["a" * 251 + ".txt", "é" * 125 + ".txt"])
def test_a_file_whose_name_is_as_long_as_names_may_be_could_not_be_written(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "x")
    with unfinished_folder(tmp_path / f"{name[:-4]}.new"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_run_removes_what_a_killed_run_left_at_once_for_it_holds_the_folder(tmp_path: Path) -> None:
    left = killed_while_writing(tmp_path)
    with open_run(tmp_path, "run: {}\n", resume=True):
        assert not left.exists()


def test_half_a_picture_of_a_report_stayed_when_its_run_went_on(tmp_path: Path) -> None:
    left = tmp_path / "report" / ".detections.png.abcdefgh.resdet-unfinished"
    left.parent.mkdir()
    left.write_bytes(b"half a")
    with open_run(tmp_path, "run: {}\n", resume=True):
        assert not left.exists()


def test_a_writer_removes_what_it_could_not_finish(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        atomic_write(tmp_path / "state.pt", fail)
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import os, sys, time
from resdet.data.loading.loader import train_loader

class View:
    def __len__(self):
        return 100
    def batch(self, keys):
        return os.getpid()

if __name__ == "__main__":
    batches = train_loader(View(), [[(index, 0)] for index in range(100)], 2)
    print(*{next(batches) for _ in range(6)}, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another system may leave a stopped worker")
def test_a_stopped_worker_ends_with_the_main_process(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    main = subprocess.Popen([sys.executable, str(tmp_path / "program.py")], stdout=subprocess.PIPE, text=True, env=environment)
    assert main.stdout is not None
    workers = [int(word) for word in main.stdout.readline().split()]
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    main.kill()
    main.wait(900)
    main.stdout.close()
    deadline = time.monotonic() + 60
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline, f"{workers} are still there"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
