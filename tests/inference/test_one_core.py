"""A program that has used OpenVINO takes signals afterwards, as one that has not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_classifiers

pytest.importorskip("onnx")
pytest.importorskip("openvino")

from resdet.export.export import export_file

# Python's handlers run on the stack that a library has put aside for signals; where its memory is gone, the process dies
PROGRAM = """
import gc, os, signal, sys, threading
from pathlib import Path
from resdet.inference.exported.runtimes import open_session

taken = []
signal.signal(signal.SIGINT, lambda *_: taken.append("interrupt"))
signal.signal(signal.SIGCHLD, lambda *_: taken.append("child"))
opened = [open_session(Path(sys.argv[1])) for _ in range(3)]
if sys.argv[2] == "elsewhere":
    ends = threading.Thread(target=opened.clear)
    ends.start()
    ends.join()
while opened:
    opened.pop(int(sys.argv[2]))
    gc.collect()
os.kill(os.getpid(), signal.SIGINT)
os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
open_session(Path(sys.argv[1]))
print(*taken)
"""


@pytest.mark.skipif(not hasattr(os, "posix_spawn") or not Path("/bin/true").exists(), reason="signals as POSIX has them")
@pytest.mark.parametrize("ends", ["0", "-1", "elsewhere"], ids=["the first first", "the last first", "in another thread"])
def test_signals_after_sessions_that_have_ended(ends: str, tmp_path: Path) -> None:
    export_file(tiny_classifiers.written(tmp_path / "model.safetensors"), tmp_path / "a.xml")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "a.xml"), ends]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert (done.stdout, done.returncode) == ("interrupt child\n", 0), done.stderr
