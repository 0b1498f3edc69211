"""`anaps.refineGeometry`: from the average image to the entry of the parameter file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from calibrant_pictures import LAB6, picture

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.detector.pyfai_geometry import read_poni, write_poni
from smalldata_ana.errors import GeometryError, ParameterError, UsageError
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import places
from smalldata_ana.session.image_commands import ImageCommands
from smalldata_ana.session.parameter_commands import ParameterCommands
from smalldata_ana.session.record_commands import RecordCommands
from smalldata_ana.session.refinement_commands import RefinementCommands
from smalldata_ana.session.tools.refinement import RefinementTool
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

POSITIONS = flat_positions((480, 460), 150.0)
TRUTH = BeamGeometry((1200.0, -2100.0), 80.0, 9.5, (0.8, -0.5))


class Session(RefinementCommands, ImageCommands, ParameterCommands, RecordCommands):
    """The commands that are needed here."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    frames = np.stack([picture(POSITIONS, TRUTH, LAB6, seed=s) for s in range(3)])
    path = write_run(
        tmp_path_factory.mktemp("run") / "run.h5",
        experiment="xpptut15",
        run=3,
        images={"camera": frames.astype(np.uint16)},
        positions={"camera": POSITIONS},
    )
    with_data = Hdf5Run(path)
    yield with_data
    with_data.close()


@pytest.fixture
def anaps(run, tmp_path, capsys):
    session = Session(
        run,
        places_of=lambda exp: places(
            exp, directory=tmp_path, params=tmp_path / "p.toml"
        ),
    )
    session.AvImage("camera")
    return session


def test_from_the_image_to_the_file(anaps, capsys, tmp_path):
    tool = anaps.refineGeometry("camera", "lab6", dis_to_sam=82, eBeam=9.5)
    assert "LaB6" in capsys.readouterr().out
    assert anaps.pending == []
    entry = tool.accept()
    values = entry.values
    off = abs(values["dis_to_sam"] - 80.0)
    assert off < 4 * values["dis_to_sam_err"] < 0.1
    for axis in (0, 1):
        off = abs(values["center"][axis] - TRUTH.center[axis])
        assert off < 4 * values["center_err"][axis] < 40
    assert abs(values["tx"] - 0.8) < 4 * values["tx_err"]
    assert "eBeam_err" not in values
    assert entry.made["calibrant"] == "LaB6"
    assert entry.made["image"].startswith("AvImg_")
    anaps.exportParams()
    (written,) = ParameterFile.load(tmp_path / "p.toml").entries
    assert (written.kind, written.name) == ("geometry", "")
    assert written.values == values


def test_the_scripted_command_gives_the_same(anaps):
    tool = anaps.refineGeometry("camera", "LaB6", dis_to_sam=82, eBeam=9.5, tilt=False)
    entry = tool.accept()
    assert anaps.history()[-1].command == f"{tool.scripted()}.accept()"
    again = eval(tool.scripted(), {"anaps": anaps})
    assert again.value == tool.value
    assert again.accept().values == entry.values


def test_what_is_known_is_where_it_begins(anaps):
    first = anaps.refineGeometry("camera", "LaB6", dis_to_sam=82, eBeam=9.5)
    first.accept()
    second = anaps.refineGeometry("camera", "LaB6", search=0.0)
    assert abs(second.value.beam.distance - first.value.beam.distance) < 0.01
    assert second.value.tilt_err is not None


def test_the_energy_when_the_distance_is_known(anaps):
    tool = anaps.refineGeometry(
        "camera", "LaB6", dis_to_sam=80, eBeam=9.2, fixed="distance"
    )
    values = tool.entry_values()
    assert abs(values["eBeam"] - 9.5) < 4 * values["eBeam_err"] < 0.02
    assert "dis_to_sam_err" not in values
    assert values["dis_to_sam"] == 80.0


def test_polarization_stays_and_an_energy_that_follows_the_run(anaps):
    known = {"eBeam": {"pv": "hx2:energy", "scale": 0.001}, "polarization": "vertical"}
    anaps.pending.append(
        Entry("camera", "geometry", RunRange(3), known | {"tx": 5.0, "tx_err": 1.0})
    )
    tool = anaps.refineGeometry(
        "camera", "LaB6", dis_to_sam=80, eBeam=9.5, tx=0, tilt=False
    )
    values = tool.accept().values
    assert values["eBeam"] == known["eBeam"]
    assert values["polarization"] == "vertical"
    assert values["tx"] == 0
    assert "tx_err" not in values


def test_poni_in_and_out(anaps, tmp_path):
    geometry = anaps.images.latest("camera").geometry
    write_poni(tmp_path / "in.poni", replace(TRUTH, distance=81.0), geometry)
    tool = anaps.refineGeometry("camera", "LaB6", poni=tmp_path / "in.poni")
    tool.save_poni(tmp_path / "out.poni")
    written = read_poni(tmp_path / "out.poni", geometry)
    np.testing.assert_allclose(written.distance, tool.value.beam.distance)
    np.testing.assert_allclose(written.center, tool.value.beam.center, atol=0.01)
    assert abs(written.distance - 80.0) < 0.1


def test_what_is_missing_is_named(anaps):
    with pytest.raises(UsageError, match=r"dis_to_sam=… \[mm\] and .* eBeam=… \[keV\]"):
        anaps.refineGeometry("camera", "LaB6")
    with pytest.raises(ParameterError, match="Did you mean 'LaB6'"):
        anaps.refineGeometry("camera", "LaB66", dis_to_sam=80, eBeam=9.5)


def test_a_tool_without_a_geometry(anaps):
    average = anaps.images.latest("camera")
    tool = RefinementTool(anaps, average, average.good)
    assert "no geometry yet" in repr(tool)
    for action in (tool.accept, tool.entry_values, lambda: tool.save_poni("x.poni")):
        with pytest.raises(UsageError, match="nothing was refined"):
            action()
    with pytest.raises(UsageError, match="no geometry that a command"):
        tool.scripted()
    with pytest.raises(ParameterError, match="no refined geometry"):
        tool.value = 5
    refined = anaps.refineGeometry("camera", "LaB6", dis_to_sam=80, eBeam=9.5)
    with pytest.raises(UsageError, match="has no name"):
        refined.accept(name="A")
    assert refined.undo() is None
    assert refined.redo() is not None


def test_a_detector_of_unknown_geometry(tmp_path):
    path = write_run(
        tmp_path / "run.h5",
        experiment="xpptut15",
        run=3,
        images={"camera": np.ones((2, 40, 40), np.uint16)},
    )
    anaps = Session(
        Hdf5Run(path), places_of=lambda exp: places(exp, directory=tmp_path)
    )
    anaps.AvImage("camera")
    with pytest.raises(GeometryError, match="smalldata-ana calib put camera geometry"):
        anaps.refineGeometry("camera", center=(0, 0), dis_to_sam=80, eBeam=9.5)
    anaps.close()
