"""The text above the first prompt."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from psana_reference import psana_module

from smalldata_ana.detector.geometry import STACKED
from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.errors import GeometryError
from smalldata_ana.places import Places, places
from smalldata_ana.session.banner import banner
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run
from smalldata_ana.sources.psana2.geometry import NOMINAL


def run_in(folder: Path) -> Hdf5Run:
    """Return a run of detectors of known, nominal and unknown geometry."""
    drawn = replace(flat_positions((4, 5), 9.0), note="as drawn")
    path = write_run(
        folder / "run.h5",
        experiment="xpptut15",
        run=1,
        images={
            "drawn": np.zeros((1, 4, 5)),
            "plain": np.zeros((1, 4, 5)),
            "stack": np.zeros((1, 2, 4, 5)),
            "epix": np.zeros((1, 1, 704, 768), np.uint16),
        },
        dettypes={"epix": "epix100"},
        positions={"drawn": drawn},
    )
    return Hdf5Run(path)


def lines(run: Hdf5Run, where: Places) -> dict[str, str]:
    """Return what the banner says of each detector."""
    found = (line.split(maxsplit=1) for line in banner(run, where).splitlines())
    return {words[0]: words[1] for words in found if words[0] in run.detectors}


def test_says_what_users_must_know_of_a_geometry(tmp_path: Path) -> None:
    psana_module("psana.pscalib.geometry.GeometryAccess")
    where = places("xpptut15", directory=tmp_path, calib_dir=tmp_path)
    with contextlib.closing(run_in(tmp_path)) as run:
        said = lines(run, where)
    assert said["drawn"].endswith("; no pedestals in the store; as drawn")
    assert said["epix"].endswith(f"; {NOMINAL}")
    assert said["stack"].endswith(f"; {STACKED}")
    assert said["plain"].endswith("; no pedestals in the store")


def test_geometry_in_the_store_needs_no_remark(tmp_path: Path) -> None:
    store = tmp_path / "calib"
    (store / "epix/geometry").mkdir(parents=True)
    (store / "epix/geometry/0-end.data").write_text("# a geometry")
    where = places("xpptut15", directory=tmp_path, calib_dir=store)
    with contextlib.closing(run_in(tmp_path)) as run:
        assert NOMINAL not in lines(run, where)["epix"]


def test_geometry_that_does_not_fit_is_said(tmp_path: Path) -> None:
    def refused(detector: str) -> None:
        raise GeometryError(f"the geometry of {detector!r} is not one")

    where = places("xpptut15", directory=tmp_path, calib_dir=tmp_path)
    with contextlib.closing(run_in(tmp_path)) as run:
        run.pixel_positions = refused  # type: ignore[method-assign,assignment]
        assert lines(run, where)["plain"].endswith(
            "; the geometry of 'plain' is not one"
        )
