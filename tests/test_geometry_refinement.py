"""Geometries from rings of calibrants: known truth, and published values."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calibrant_pictures import AGBH, HC, LAB6, picture
from powder_pictures import LAB6_TILT, powder
from rotated_panels import detector as rotated

from smalldata_ana.detector.beam_geometry import BeamGeometry, Poni
from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.errors import BeamCenterError, ParameterError
from smalldata_ana.geometry_refinement import calibrants, refine_geometry

DATA = Path(__file__).parents[2] / "shared/data"
FLAT = flat_positions((500, 480), 150.0)
TRUTH = BeamGeometry((1200.0, -2100.0), 80.0, 9.5, (0.8, -0.5))
NEAR = replace(TRUTH, center=(1500.0, -2400.0), tilt=(0.0, 0.0))


def numbers(beam: BeamGeometry, length: str) -> list[float]:
    return [getattr(beam, length), *beam.center, *beam.tilt]


@pytest.mark.parametrize(
    ("fixed", "free", "start"),
    [
        ("energy", "distance", replace(NEAR, distance=80 * 1.05)),
        ("distance", "energy", replace(NEAR, energy=9.5 * 0.95)),
    ],
)
def test_the_truth_is_found_within_its_errors(fixed, free, start):
    pulls = []
    for seed in range(4):
        image = picture(FLAT, TRUTH, LAB6, seed=seed)
        found = refine_geometry(image, FLAT, "LaB6", start, fixed=fixed)
        assert found.fitted == (free, "x", "y", "tx", "ty")
        errors = np.sqrt(np.diag(found.covariance))
        off = np.subtract(numbers(found.beam, free), numbers(TRUTH, free))
        pulls.append(off / errors)
        assert found.residual < 0.2
        assert found.chi2 < 2
    assert np.abs(pulls).max() < 4
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.5
    fixed_error = found.energy_err if free == "distance" else found.distance_err
    assert fixed_error is None
    assert found.center_err is not None
    assert max(found.center_err) < 10
    assert max(found.tilt_err or (1,)) < 0.05


def test_rounds_are_counted():
    rounds = []
    image = picture(FLAT, TRUTH, LAB6)
    refine_geometry(
        image, FLAT, "LaB6", TRUTH, progress=lambda *told: rounds.append(told)
    )
    done, most = zip(*rounds, strict=True)
    assert list(done) == list(range(len(rounds)))
    assert set(most) == {24}
    assert len(rounds) > 2


def test_few_photons_have_larger_errors_and_the_truth_within():
    start = replace(TRUTH, distance=81.0)
    bright, weak = (
        refine_geometry(
            picture(FLAT, TRUTH, LAB6, photons=photons), FLAT, "LaB6", start
        )
        for photons in (20.0, 0.5)
    )
    assert weak.distance_err > 3 * bright.distance_err
    assert abs(weak.beam.distance - 80.0) < 4 * weak.distance_err


def test_panels_that_are_turned_and_shifted_in_z():
    positions = rotated(rows=140, cols=90)
    beam = BeamGeometry((300.0, -200.0), 25.0, 9.5, (1.0, 2.0))
    image = picture(positions, beam, LAB6, photons=50.0, width=1.2)
    start = replace(beam, distance=25.5, tilt=(0.0, 0.0), center=(350.0, -250.0))
    found = refine_geometry(image, positions, "LaB6", start)
    off = np.subtract(numbers(found.beam, "distance"), numbers(beam, "distance"))
    assert np.all(np.abs(off) < 4.5 * np.sqrt(np.diag(found.covariance)))


def test_bad_pixels_do_not_count_and_nothing_is_written_to():
    image = picture(FLAT, TRUTH, LAB6)
    good = np.random.default_rng(0).random(image.shape) > 0.1
    spoilt = np.where(good, image, 1e6).astype(np.float32)
    spoilt[:40] = np.nan
    spoilt.flags.writeable = False
    found = refine_geometry(spoilt, FLAT, "lab6", TRUTH, good=good)
    assert abs(found.beam.distance - 80.0) < 4 * found.distance_err


def test_a_line_beside_a_ring_is_not_taken_for_it():
    # A line of something else beside the third ring.
    wrong = np.append(LAB6, LAB6[2] * 0.985)
    image = picture(FLAT, replace(TRUTH, tilt=(0, 0)), np.delete(wrong, 2))
    found = refine_geometry(image, FLAT, "LaB6", replace(TRUTH, tilt=(0, 0)))
    assert 3 not in [ring.number for ring in found.rings]
    assert abs(found.beam.distance - 80.0) < 5 * found.distance_err


def test_tilts_that_the_rings_do_not_tell_stay():
    positions = flat_positions((350, 350), 172.0)
    beam = BeamGeometry((0.0, 0.0), 1000.0, 9.5)
    image = picture(positions, beam, AGBH, photons=0.7)
    found = refine_geometry(image, positions, "AgBh", replace(beam, distance=1020.0))
    assert found.beam.tilt == (0.0, 0.0)
    assert found.tilt_err is None
    assert "tilt" in found.notes[0]
    assert abs(found.beam.distance - 1000.0) < 4 * found.distance_err


def test_one_ring_alone_is_noted():
    found = refine_geometry(picture(FLAT, TRUTH, LAB6[:1]), FLAT, "LaB6", TRUTH)
    assert len(found.rings) == 1
    assert any("one ring alone" in note for note in found.notes)


@pytest.mark.parametrize("calibrant", ["AgBh", "Si"])
def test_another_calibrant_is_refused(calibrant):
    truth = powder(0)
    start = BeamGeometry(truth.center, 75.0, 9.5)
    with pytest.raises(BeamCenterError, match=r"strong rings are not of .* calibrant"):
        refine_geometry(truth.data, truth.positions, calibrant, start, good=truth.good)


def test_rings_of_something_else_beside_the_calibrant_are_noted():
    more = np.append(LAB6, [LAB6[0] * 1.4, LAB6[0] * 0.83])
    found = refine_geometry(picture(FLAT, TRUTH, more), FLAT, "LaB6", TRUTH)
    assert any("2 strong rings are not of LaB6" in note for note in found.notes)
    assert abs(found.beam.distance - 80.0) < 5 * found.distance_err


def test_solid_angle_and_polarization_do_not_move_the_distance():
    pulls = []
    for seed in range(6):
        truth = powder(seed)
        beam = BeamGeometry(truth.center, 75.0, 9.5, LAB6_TILT)
        image, good = truth.data, truth.good
        found = refine_geometry(image, truth.positions, "LaB6", beam, good=good)
        off = np.subtract(numbers(found.beam, "distance"), numbers(beam, "distance"))
        pulls.append(off / np.sqrt(np.diag(found.covariance)))
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.5
    assert np.sqrt(np.mean(np.square(pulls), axis=0)).max() < 1.8


def test_its_text_has_all_numbers_with_their_errors():
    found = refine_geometry(picture(FLAT, TRUTH, LAB6), FLAT, "LaB6", TRUTH)
    text = str(found)
    for word in ("LaB6", "distance", "+-", "9.5 keV (given)", "residual", "px"):
        assert word in text
    assert found.points == sum(ring.points for ring in found.rings)
    ring = found.rings[0]
    sine = HC / 9.5 / (2 * LAB6[0])
    assert math.isclose(ring.two_theta, math.degrees(2 * math.asin(sine)), rel_tol=1e-4)


# ---- what cannot be refined ----------------------------------------------------------


@pytest.mark.parametrize("kind", ["noise", "empty", "slope"])
def test_a_picture_without_rings_is_refused(kind):
    rng = np.random.default_rng(1)
    image = np.zeros(FLAT.x.shape, np.float32)
    if kind == "noise":
        image = rng.poisson(3.0, image.shape).astype(np.float32)
    elif kind == "slope":
        image = rng.poisson(10 + FLAT.x / 1e4 + 3.6).astype(np.float32)
    with pytest.raises(BeamCenterError, match=r"no rings of LaB6 fit: .* peak"):
        refine_geometry(image, FLAT, "LaB6", TRUTH)


def test_rings_outside_of_the_detector_are_said_to_be_there():
    with pytest.raises(BeamCenterError, match="no ring lies there"):
        refine_geometry(
            picture(FLAT, TRUTH, LAB6), FLAT, "LaB6", replace(TRUTH, distance=800.0)
        )


def test_an_arc_that_tells_too_little_is_refused():
    image, positions, start = arc()
    with pytest.raises(BeamCenterError, match="pixel"):
        refine_geometry(image * np.nan, positions, "LaB6", start)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"calibrant": "LaB7"}, "Did you mean 'LaB6'"),
        ({"fixed": "tilt"}, "no choice of fixed"),
        ({"rings": [0, 1]}, "numbers from 1 to"),
        ({"good": np.ones((3, 3), bool)}, "good has the shape"),
        ({"image": np.zeros((3, 3))}, "the image has the shape"),
        ({"start": replace(TRUTH, energy=None)}, "give eBeam"),
    ],
)
def test_wrong_arguments(change, match):
    image = np.zeros(FLAT.x.shape)
    given = {"image": image, "positions": FLAT, "calibrant": "LaB6", "start": TRUTH}
    with pytest.raises(ParameterError, match=match):
        refine_geometry(**(given | change))


def test_pyfai_says_nothing_of_itself():
    script = (
        "import logging; logging.basicConfig()\n"
        "from smalldata_ana.geometry_refinement.calibrants import ring_spacings\n"
        "ring_spacings('LaB6')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_the_names_are_those_of_pyfai():
    from pyFAI.calibrant import ALL_CALIBRANTS

    assert set(calibrants()) == set(ALL_CALIBRANTS.keys())


# ---- published values ----------------------------------------------------------------

LIX_ENERGY = HC / 0.8189143


@pytest.mark.parametrize(
    ("detector", "center", "distance", "rings", "within"),
    [
        ("pil1M", (488.07, 204.15), 3557.4, None, 3e-3),
        ("pilW2", (577.0, 648.88), 331.896, range(3, 12), 1e-3),
    ],
)
def test_silver_behenate(detector, center, distance, rings, within):
    h5py = pytest.importorskip("h5py")
    path = DATA / "agbh_lix_pilatus/AgBH-2020Aug16.h5"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with h5py.File(path) as file:
        image = file[f"AgBH_2020Aug16/primary/data/{detector}_image"][0]
    positions = flat_positions(image.shape, 172.0)
    middle = (np.array(image.shape) - 1) / 2
    x, y = (np.array(center) + np.array([2, -2]) - middle) * 172.0
    start = BeamGeometry((float(x), float(y)), 1.02 * distance, LIX_ENERGY)
    found = refine_geometry(
        image,
        positions,
        "AgBH",
        start,
        good=(image >= 0) & (image < 1_000_000),
        tilt=False,
        rings=rings,
    )
    place = np.array(found.beam.center) / 172.0 + middle
    assert math.dist(place, center) < 0.7
    assert abs(found.beam.distance / distance - 1) < within


def arc():
    """Return the picture of LaB6 far from the beam, and its published geometry."""
    path = DATA / "lab6_ssrl_pilatus300kw/th3_0008.raw"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    image = np.fromfile(path, "<i4").reshape(195, 1475).astype(np.float32)
    positions = flat_positions(image.shape, 172.0)
    corner = (-195 / 2 * 172.0, -1475 / 2 * 172.0)
    poni = Poni(0.908414, 0.1891, 0.2398, 0.085177, 0.004888, 0.0, 0.8856e-10)
    return image, positions, BeamGeometry.from_poni(poni, corner)


def test_one_arc_of_lanthanum_hexaboride_tells_the_distance():
    image, positions, published = arc()
    start = replace(published, distance=1.01 * published.distance)
    found = refine_geometry(
        image, positions, "LaB6", start, good=image >= 0, center=False, tilt=False
    )
    # The points in the published file are picked by hand, to 0.0002 of 0.2134 rad.
    assert abs(found.beam.distance / 908.414 - 1) < 1e-3
    assert found.center_err is None
    assert found.residual < 1.0
