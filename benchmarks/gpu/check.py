"""The tests that are marked gpu: the networks on the GPU against those on the CPU, and training there."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from stage import Report, arguments

args = arguments(__doc__).parse_args()
report = Report(args.output, "Tests on the GPU")
environment = os.environ | ({"REHEARSE_GPU": "1", "CUDA_VISIBLE_DEVICES": ""} if args.rehearse else {})
command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rf", "--tb=short", "tests/gpu"]
# a rehearsal runs the quick ones: `REHEARSE_GPU=1 pytest tests/gpu` runs all
command += ["-k", "nms or detections"] if args.rehearse else []
done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
print(done.stdout)
for line in done.stdout.splitlines():
    if line.startswith(("FAILED", "ERROR")) or re.match(r"\d+ (passed|failed|errors?)\b", line):
        report.note(line)
sys.exit(done.returncode)
