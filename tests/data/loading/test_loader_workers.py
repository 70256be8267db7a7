"""The processes of a loader: how they start, how they end, and what signals do to them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resdet.data.formats.coco import read_coco
from resdet.data.loading import loader
from resdet.data.loading.views import DetectionView
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.errors import DataError

AFTER_OPENCV = """
import cv2, numpy as np, time
from resdet.data.loading.loader import train_loader

class View:
    def __len__(self): return 2
    def batch(self, keys): return int(cv2.resize(image, (50, 50)).max())

image = np.ones((2000, 2000, 3), np.uint8)
cv2.setNumThreads(2)
cv2.resize(image, (1500, 1500))
time.sleep(0.5)  # until OpenCV's thread, which waits for more work first, has gone to sleep
print(list(train_loader(View(), [[(0, 0)], [(1, 0)]], 1)), cv2.getNumThreads())
"""


def test_workers_start_after_opencv_computed_with_threads() -> None:
    done = subprocess.run([sys.executable, "-c", AFTER_OPENCV], capture_output=True, text=True, timeout=900, check=True)
    assert done.stdout.split("\n")[0] == "[1, 1] 2"


FORKED_BY_A_SERVER = """
import multiprocessing, os
from pathlib import Path
from resdet.data.loading.loader import train_loader

class View:
    def __len__(self): return 1
    def batch(self, keys): return "libtorch" in Path(f"/proc/{os.getppid()}/maps").read_text()

if __name__ == "__main__":
    multiprocessing.set_start_method("forkserver")
    print(list(train_loader(View(), [[(0, 0)]], 1)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_workers_of_a_server_share_its_torch(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(FORKED_BY_A_SERVER)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=900, check=True)
    assert done.stdout == "[True]\n"


KEPT = """
import sys
from resdet.data.loading.loader import train_loader
from resdet.errors import DataError

class View:
    def __len__(self): return 9
    def batch(self, keys):
        if keys[0][0] == 5: raise DataError(["the sixth"])
        return keys[0][0]

batches = train_loader(View(), [[(index, 0)] for index in range(9)], 1)
for number in batches:
    if number == int(sys.argv[1]): break
    print(number, flush=True)
"""


@pytest.mark.parametrize(("stop", "printed"), [(3, "012"), (9, "01234")])
def test_a_program_ends_that_keeps_its_loader(stop: int, printed: str) -> None:
    command = [sys.executable, "-i", "-c", KEPT, str(stop)]  # -i: an error's traceback is kept, as in a notebook
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=900, check=True)
    assert done.stdout.split() == list(printed)
    assert ("the sixth" in done.stderr) == (stop == 9)


FAILING = """
import os, sys
from resdet.data.loading.loader import train_loader

class View:
    def __len__(self): return 9
    def batch(self, keys):
        if keys[0][0] == 3:
            if sys.argv[1] == "killed": os._exit(1)
            raise ZeroDivisionError("a fault")
        return keys[0][0]

if __name__ == "__main__":
    try:
        for number in train_loader(View(), [[(index, 0)] for index in range(9)], 2):
            print(number, flush=True)
    except Exception as error:
        kept = error
        print(type(error).__name__, flush=True)
"""


@pytest.mark.parametrize(("how", "kind"), [("raising", "ZeroDivisionError"), ("killed", "RuntimeError")])
def test_a_program_ends_whose_workers_fail(how: str, kind: str) -> None:
    done = subprocess.run([sys.executable, "-c", FAILING, how], capture_output=True, text=True, timeout=900, check=True)
    assert done.stdout.split()[-1] == kind
    assert done.stdout.split()[:-1] == ["0", "1", "2"][: len(done.stdout.split()) - 1]


def test_workers_end_with_an_error_whose_traceback_is_kept(tiny_coco) -> None:
    view = DetectionView(read_coco(tiny_coco.images, tiny_coco.annotations), DetectionTestTransform(48, 100))
    view.dataset.path(2).write_bytes(b"nothing")
    with pytest.raises(DataError) as caught:
        list(loader.test_loader(view, 1))
    assert multiprocessing.active_children() == []
    assert caught.value.problems


ENDLESS = """
import sys, time
from resdet.data.formats.coco import read_coco
from resdet.data.loading.views import DetectionView
from resdet.data.loading.loader import train_loader
from resdet.data.loading.samplers import endless_batches
from resdet.data.transforms.detection import DetectionTestTransform

view = DetectionView(read_coco(sys.argv[1], sys.argv[2]), DetectionTestTransform(48, 100))
received = []
import signal
# Python drops a KeyboardInterrupt that falls into a finalizer, so it is raised from the loop
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: received.append(number))
try:
    for batch in train_loader(view, endless_batches(len(view), 2, 0), 2):
        print("batch", flush=True)
        if signal.SIGINT in received:
            raise KeyboardInterrupt
        if received:
            break
        time.sleep(0.02)
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("finished", flush=True)
"""


def start_endless(tiny_coco) -> subprocess.Popen:
    """A process that is in the midst of loading, with two workers."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tiny_coco.images), str(tiny_coco.annotations)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(4):
        assert process.stdout.readline() == "batch\n"
    return process


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="process groups are POSIX")
@pytest.mark.parametrize(("number", "last"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "finished")])
def test_a_signal_to_the_group_reaches_the_main_process_alone(tiny_coco, number: int, last: str) -> None:
    process = start_endless(tiny_coco)
    time.sleep(0.3)
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=900)
    assert (output.splitlines()[-1], errors, process.returncode) == (last, "", 0)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the workers in /proc")
def test_a_scheduler_that_signals_every_process_loses_no_step(tiny_coco) -> None:
    process = start_endless(tiny_coco)
    workers = [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(workers) >= 2
    for number in (*workers, process.pid):
        os.kill(number, signal.SIGTERM)
    output, errors = process.communicate(timeout=900)
    assert (output.splitlines()[-1], errors, process.returncode) == ("finished", "", 0)
