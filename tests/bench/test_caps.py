"""A cap on the instructions that the libraries may use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from resdet.bench.caps import CAPS, capped
from resdet.errors import ConfigError


@pytest.mark.parametrize("isa", CAPS)
def test_libraries_keep_the_cap(isa: str) -> None:
    """Of the three that are capped torch tells its own; it never uses more than the cap."""
    try:
        environment = capped(os.environ, isa)
    except ConfigError as error:
        pytest.skip(str(error))
    ask = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == isa.upper()
