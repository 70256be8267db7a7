"""The notebooks of the documents run, from the first cell to the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient runs notebooks: pip install -e '.[dev]'")
nbclient = pytest.importorskip("nbclient", reason="nbclient runs notebooks: pip install -e '.[dev]'")
pytest.importorskip("ipykernel", reason="ipykernel runs a notebook's Python: pip install -e '.[dev]'")

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"
TIMEOUT = 900  # seconds a cell; a guard, not a measure


def read(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / name, as_version=4)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_it_is_kept_without_results(path: Path) -> None:
    notebook = read(path.name)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)] == []


@pytest.mark.slow
def test_a_first_detector_is_trained_and_finds_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "TMPDIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    notebook = read("first_detector.ipynb")
    client = nbclient.NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    # the AP50 of a detector that has learned nothing is nearly 0
    asked = "print(len(losses.values) == run.iteration == 250, run.metrics['bbox']['AP50'] > 0.1, len(found) > 0)"
    notebook.cells.append(nbformat.v4.new_code_cell(asked))
    client.execute()
    cells = {cell.id: cell for cell in notebook.cells}
    assert notebook.cells[-1].outputs[0].text.split() == ["True", "True", "True"]
    for name in ("shapes", "curve", "found"):
        assert "image/png" in cells[name].outputs[-1].data, name
