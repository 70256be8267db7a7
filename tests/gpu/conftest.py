"""The device of these tests: a GPU; without one they are skipped, or rehearsed on the CPU where REHEARSE_GPU=1.

A rehearsal shows that a test runs, not that a GPU computes the same: what is compared is then the CPU with itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def device() -> Iterator[torch.device]:
    """The GPU, with products in float32 as they are written (no TF32)."""
    if torch.cuda.is_available():
        before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        yield torch.device("cuda")
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    elif os.environ.get("REHEARSE_GPU") == "1":
        yield torch.device("cpu")
    else:
        pytest.skip("no GPU; REHEARSE_GPU=1 runs these tests on the CPU")
