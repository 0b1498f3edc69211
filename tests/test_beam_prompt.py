"""The beam centre and the azimuthal integration at the real prompt."""

from __future__ import annotations

import numpy as np
import pytest
import session_run
from test_prompt import OUT, say, start  # noqa: F401 (a fixture)

from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.kernels import cache_folder
from smalldata_ana.sources.hdf5_run import write_run

SHAPE, PIXEL = (200, 190), 300.0
CENTER = (96.0, 104.0)
"""Row and column of the beam [px]."""


@pytest.fixture
def shell(start, tmp_path):  # noqa: F811
    """Start a session on two rings of a vertically polarized beam, and average."""
    row, column = np.indices(SHAPE)
    down, right = row - CENTER[0], column - CENTER[1]
    radius = np.hypot(down, right)
    rings = np.exp(-0.5 * ((radius - 45) / 2) ** 2)
    rings += 0.3 * np.exp(-0.5 * ((radius - 80) / 2) ** 2)
    uneven = 1 + 0.2 * np.cos(2 * np.arctan2(down, right))
    frames = np.random.default_rng(1).poisson(20 + 400 * rings * uneven, (3, *SHAPE))
    path = write_run(
        tmp_path / "rings.h5",
        experiment=session_run.EXPERIMENT,
        run=session_run.RUN,
        images={"camera": frames.astype(np.uint16)},
        positions={"camera": flat_positions(SHAPE, PIXEL)},
    )
    kernels = {"NUMBA_CACHE_DIR": str(cache_folder())}
    begun = start("--simple-prompt", SESSION_RUN=str(path), **kernels)
    say(begun, "image = anaps.AvImage('camera')")
    return begun


def answer(shell, *pairs):
    """Answer questions; None is Ctrl-C."""
    for question, text in pairs:
        shell.expect_exact(question)
        if text is None:
            shell.sendcontrol("c")
        else:
            shell.sendline(text)
    shell.expect(OUT)
    return shell.before


def typed(radius, *phi):
    return [
        f"{CENTER[0] + radius * np.sin(p):.1f} {CENTER[1] + radius * np.cos(p):.1f}"
        for p in np.radians(phi)
    ]


def test_a_ring_is_typed_and_its_centre_taken(shell):
    points = "points: row column; u, r; Enter when done"
    shell.sendline("tool = anaps.FitCircleMouse('camera')")
    said = answer(
        shell,
        (points, "abc"),
        *((points, text) for text in typed(45, 10, 100, 190, 290)),
        (points, ""),
        ("Happy with this selection? (y/n) [y]", None),
        (points, ""),
        ("Happy with this selection? (y/n) [y]", ""),
    )
    assert "accepted: center = " in said
    assert "dis_to_sam [mm] and eBeam [keV] not known yet" in said
    assert "True" in say(
        shell, f"print(np.abs(np.array(tool.value.center_px) - {CENTER}).max() < 0.5)"
    )
    shell.sendline("tool = anaps.FitCircleThreshold('camera')")
    percentile = "min percentile % of selected points"
    said = answer(
        shell, (percentile, "101"), (percentile, "98"), ("threshold? (y/n) [y]", "n"),
        (percentile, None),
    )  # fmt: skip
    assert "nothing was taken" in said
    refused = say(shell, "anaps.FitCircleMouse('camera', points='abc')")
    assert "error: points = 'abc' are not pairs of numbers" in refused
    assert "Traceback" not in refused


def test_what_an_integration_needs_is_asked_for_with_a_way_back(shell):
    say(shell, "entry = anaps.FitCircleAuto('camera').accept()")
    distance, energy = "detector distance [mm]:", "photon energy [keV]:"
    polarization = "from 0 to 1):"
    shell.sendline("tool = anaps.addAzInt('camera')")
    said = answer(shell, (distance, "80"), (energy, ""), (f"{distance} [80]", None))
    assert "error: azimuthal integration of 'camera' needs eBeam [keV]: give it" in said
    shell.sendline("tool = anaps.addAzInt('camera')")
    said = answer(
        shell,
        (f"{distance} [80]", ""),
        (energy, "95000"),
        (energy, "9.6"),
        ("fits vertical polarization", ""),
        (f"{energy} [9.6]", "9.5"),
        (polarization, "horizontal"),
        ("fits vertical polarization, not horizontal; keep it? (y/n) [n]", ""),
        (polarization, "vertical"),
    )
    beam = say(shell, "f = tool.value; (f.dis_to_sam, f.eBeam, f.polarization)")
    assert "(80.0, 9.5, 'vertical')" in beam
    assert "error" in say(
        shell, "varied = anaps.AzInt_centerVar('camera', center=(1e7, 0))"
    )
    said = say(shell, "varied = anaps.AzInt_centerVar('camera', qBin=0.02)")
    assert "AzInt_centerVar_camera.png" in said
    assert "at most 10 times" in say(shell, "varied.move(1e6, 1e6)")
    assert "<RingFit: center = " in say(shell, "varied.value")
