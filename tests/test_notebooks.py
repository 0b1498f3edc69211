"""The notebooks run from their first cell to the last, and leave nothing behind."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import simulated  # noqa: F401  (skips where psana is not there)

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
CellExecutionError = nbclient.exceptions.CellExecutionError
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

CHECKOUT = Path(__file__).parents[1]
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
SLOW = 300
"""How long a cell may take; the simulated experiment may have to be made [s]."""

CHI2 = re.compile(r"chi2 = ([\d.]+) for (\d+) delays")
DELAYS = 6
"""Steps of the scan in run 1 of the simulated experiment."""


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def source(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_is_saved_without_outputs(source: Path) -> None:
    notebook = nbformat.read(source, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook.nbformat == 4
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def executed(place: Path, source: Path) -> Any:
    """Execute a notebook in a copy of what it sees of the checkout.

    Its temporary files are in ``<place>/written``.  A cell that fails is an error.
    """
    folder = place / "checkout/notebooks"
    shutil.copytree(source.parent, folder)
    (place / "checkout/producers").symlink_to(CHECKOUT / "producers")
    (place / "written").mkdir()
    environment = os.environ | {
        "IPYTHONDIR": str(place / "ipython"),
        "PYTHONPATH": str(CHECKOUT),
        "TMPDIR": str(place / "written"),
    }
    for name in ("MPLBACKEND", "EXPERIMENT", "RUN_NUM"):
        environment.pop(name, None)
    client = nbclient.NotebookClient(
        nbformat.read(source, as_version=4),
        timeout=SLOW,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        return client.execute(env=environment)
    except CellExecutionError as error:
        printed = "".join(output.text for output in outputs(client.nb, "stream"))
        pytest.fail(f"{error}\nprinted before:\n{printed}")


def outputs(notebook: Any, kind: str) -> list[Any]:
    """Return the outputs of a kind, in order."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [o for cell in code for o in cell.outputs if o.output_type == kind]


def test_runs_and_finds_the_truth(source: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in source.parent.iterdir())
    notebook = executed(tmp_path, source)
    folder = tmp_path / "checkout/notebooks"
    assert sorted(path.name for path in folder.iterdir()) == before
    shown = outputs(notebook, "display_data")
    assert any("image/png" in output.data for output in shown)
    printed = "".join(output.text for output in outputs(notebook, "stream"))
    found = CHI2.findall(printed)
    assert found, printed
    for chi2, delays in found:
        assert int(delays) == DELAYS
        assert 0.1 < float(chi2) < 3 * DELAYS
    assert list((tmp_path / "written").rglob("*_Run0001.h5"))
