"""docs/notebook.ipynb, cell after cell, as Jupyter would run it."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.problems import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


@pytest.mark.neuron
@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the run's folder is, since the notebook names none
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in shown if output.output_type == "error"] == []
    text = json.dumps(shown, ensure_ascii=False)
    assert "3 solutions" in text
    assert "fire" in text


def test_the_notebook_is_kept_without_its_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert [
        cell for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)
    ] == []
