"""Whether growth is noticed, and a short run of each kind; ``long_runs.py`` is the long form."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from long_runs import Sample, growth, restarted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


def test_growth_after_the_warm_up_is_noticed() -> None:
    warm = [Sample(step, 100 - max(0, 50 - step), 9, 3) for step in range(200)]
    assert growth(warm).flat
    assert growth(warm).memory == pytest.approx(0, abs=1e-9)
    assert growth([each._replace(memory=100 + 0.01 * each.step) for each in warm]).memory == pytest.approx(10)
    assert not growth([each._replace(memory=100 + 0.01 * each.step) for each in warm]).flat
    assert not growth([each._replace(handles=each.step // 100) for each in warm]).flat
    assert not growth([each._replace(threads=each.step // 100) for each in warm]).flat


def test_a_loader_that_is_begun_again_leaves_no_file_open_and_no_thread(tmp_path: Path) -> None:
    samples = list(restarted(12, tmp_path, 0))
    for name in ("handles", "threads"):  # a thread that is about to end may be counted or not
        numbers = [getattr(each, name) for each in samples]
        assert max(numbers[6:]) <= max(numbers[:6])
