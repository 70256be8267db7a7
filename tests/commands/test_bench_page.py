"""`resdet bench --page`: the table of what benchmarks found on several machines, put into a page."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from bench_runs import result, run

from resdet.bench.page import BEGIN, END
from resdet.bench.runs import joined
from resdet.bench.table import table
from resdet.cli import main


def test_a_page_of_two_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page, here, other = Path("p.md"), run(result()), run(result(), result("more"), cpu="New")
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    Path("bench.json").write_text(json.dumps({"runs": [here, run(result("quick"), quick=True)]}))
    Path("other.json").write_text(json.dumps({"runs": [other]}))
    for _ in range(2):
        assert main(["bench", "--page", "p.md", "--output", ".", "--also", "other.json"]) == 0
        assert page.read_text() == f"before\n{BEGIN}\n{table(joined([other], [here]))}\n{END}\nafter\n"
    assert page.read_text().count("| step") == 2


def _old() -> dict[str, Any]:
    run_without = copy.deepcopy(run(result()))
    del run_without["machine"]["caps"]
    return run_without


@pytest.mark.parametrize(
    ("content", "page", "status", "message"),
    [
        ('{"runs": []}', f"{BEGIN}{END}", 2, "nothing to show"),
        (json.dumps({"runs": [run(result(), quick=True)]}), f"{BEGIN}{END}", 2, "runs of --quick alone"),
        (json.dumps({"runs": [run(result())]}), "no marks", 2, "p.md: needs a line <!-- resdet bench: begin -->"),
        (json.dumps({"runs": [run(result())]}), f"{END}{BEGIN}", 2, "needs a line"),
        (json.dumps({"runs": [_old()]}), "", 3, "bench.json: is not what resdet bench wrote: KeyError('caps')"),
        ('{"runs": [{"benchmark": "x"}]}', "", 3, "is not what resdet bench wrote: KeyError('results')"),
        ('{"input": {}}', "", 3, "is not what resdet bench wrote: KeyError('runs')"),
        ("[]", "", 3, "is not what resdet bench wrote: TypeError"),
        ('{"runs": [3]}', "", 3, "is not what resdet bench wrote: TypeError"),
        ("{", "", 3, "is not JSON"),
        (None, "", 3, "bench.json"),
    ],
)
def test_a_page_that_cannot_be_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    page: str,
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.md").write_text(page)
    if content is not None:
        Path("bench.json").write_text(content)
    assert main(["bench", "--page", "p.md", "--output", "."]) == status
    assert message in capsys.readouterr().err
    assert Path("p.md").read_text() == page
