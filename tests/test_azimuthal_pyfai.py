"""`azimuthalBinning` against pyFAI, and on real rings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from azimuthal_reference import BEAM, TILT, panels
from geometry_by_hand import HC, ByHand
from image_source import Images, attached

from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
from smalldata_ana.ana_funcs.azimuthal_maps import PixelAngles, pixel_angles
from smalldata_ana.detector.beam_geometry import BeamGeometry, Poni
from smalldata_ana.detector.nominal_geometry import flat_positions

pytestmark = pytest.mark.filterwarnings("ignore:::(.*/)?(pyFAI|fabio|silx)([./]|$)")

DATA = Path(__file__).parents[2] / "shared/data"
PHI_EDGES = np.linspace(-180, 180, 12)
METHOD = ("no", "histogram", "cython")


def beam_of(parameters):
    return BeamGeometry(
        tuple(parameters["center"]),
        parameters["dis_to_sam"],
        parameters["eBeam"],
        (parameters.get("tx", 0.0), parameters.get("ty", 0.0)),
    )


def of_pyfai(integrator, unit, shape):
    return integrator.array_from_unit(unit=unit, typ="center").reshape(shape)


@pytest.mark.parametrize("tilt", [{}, TILT], ids=["straight", "tilted"])
@pytest.mark.parametrize("flat", [True, False], ids=["plane", "depths"])
def test_angles(tilt, flat):
    positions = panels(tilted=not flat)
    integrator = ByHand(positions, **BEAM, **tilt).integrator()
    shape = positions.x.shape
    angles = pixel_angles(Images(shape, positions=positions), beam_of(BEAM | tilt))
    q = 4 * np.pi * BEAM["eBeam"] / HC * angles.sine.reshape(shape)
    np.testing.assert_allclose(of_pyfai(integrator, "q_A^-1", shape), q, atol=1e-6)
    chi = of_pyfai(integrator, "chi_deg", shape)
    off = (angles.phi.reshape(shape) - chi + 180) % 360 - 180
    assert np.abs(off).max() < 0.01


@pytest.fixture(params=[{}, TILT], ids=["straight", "tilted"])
def case(request):
    """Return parameters, source with pyFAI's angles, and pyFAI's integrator.

    pyFAI makes its corners in float32, which puts single pixels into other bins; and
    pixels at an edge may go either way.
    """
    positions, parameters = panels(tilted=False), BEAM | request.param
    shape = positions.x.shape
    hand = ByHand(positions, **parameters)
    integrator = hand.integrator()
    q = of_pyfai(integrator, "q_A^-1", shape)
    chi = of_pyfai(integrator, "chi_deg", shape)
    edges = np.linspace(q.min() - 0.01, q.max() + 0.01, 101)
    good = np.random.default_rng(2).uniform(size=shape) > 0.1
    for value, limits in ((q, edges), (chi, PHI_EDGES)):
        good &= np.abs(value[..., None] - limits).min(axis=-1) > 1e-4
    source = Images(shape, positions=positions, good=good)
    sine = q.ravel() / (4 * np.pi * BEAM["eBeam"] / HC)
    key = "pixel angles", replace(beam_of(parameters), energy=None)
    source.shared(key, lambda: PixelAngles(sine, (chi.ravel() % 360).astype("f4")))
    return parameters, source, integrator, edges, abs(hand.direction[2])


@pytest.mark.parametrize("polarization", [None, 1.0, 0.2])
@pytest.mark.parametrize("solid_angle", [True, False], ids=["solid_angle", "plain"])
@pytest.mark.parametrize("sectors", [True, False], ids=["2d", "1d"])
def test_average(case, polarization, solid_angle, sectors):
    parameters, source, integrator, edges, upright = case
    image = np.random.default_rng(1).gamma(3, 10, source.shape).astype(np.float32)
    func = azimuthalBinning(
        **parameters,
        qbin=edges,
        phiBins=PHI_EDGES if sectors else 1,
        polCorr=polarization is not None,
        polarization=polarization,
        geomCorr=solid_angle,
        errors=True,
        ADU_per_Photon=1.0,
    )
    mine = attached(func, replace(source, unit="ADU")).process(image)
    frame = -1, source.shape[-1]
    settings = {
        "unit": "q_A^-1",
        "method": METHOD,
        "mask": ~source.good.reshape(frame),
        "radial_range": (edges[0], edges[-1]),
        "correctSolidAngle": solid_angle,
        "polarization_factor": None if polarization is None else 2 * polarization - 1,
        "error_model": "poisson",
        "dummy": np.nan,
    }
    if sectors:
        theirs = integrator.integrate2d(
            image.reshape(frame), 100, 11, azimuth_range=(-180, 180), **settings
        )
    else:
        theirs = integrator.integrate1d(image.reshape(frame), 100, **settings)
    # pyFAI's solid angle is relative to a pixel under the perpendicular.
    scale = upright**3 if solid_angle else 1.0
    for found, expected in (
        (mine["azav"], theirs.intensity),
        (mine["azav_err"], theirs.sigma),
    ):
        wanted = np.reshape(expected * scale, found.shape)
        seen = np.isfinite(found)
        assert seen.mean() > 0.5
        np.testing.assert_array_equal(seen, np.reshape(theirs.count, seen.shape) > 0)
        np.testing.assert_allclose(found[seen], wanted[seen], rtol=1e-6)


def place_of(positions, row, column):
    """Return x and y [um] of a point of a flat detector."""
    size = positions.pixel_size
    return [positions.x[0, 0] + row * size, positions.y[0, 0] + column * size]


def test_real_rings():
    """Pixels are divided into four to come near to the splitting of the reference."""
    folder = DATA / "ring_i12_pixium"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    fabio = pytest.importorskip("fabio")
    image = fabio.open(folder / "pixium_03150.tif").data.repeat(2, 0).repeat(2, 1)
    header = fabio.open(folder / "integrated_cake_5000x36.edf").header
    keys = ("dist", "poni1", "poni2", "rot1", "rot2", "rot3", "wavelength")
    positions = flat_positions(image.shape, 296.0 / 2)
    corner = positions.x.min() - 74, positions.y.min() - 74
    beam = BeamGeometry.from_poni(Poni(*(float(header[k]) for k in keys)), corner)
    angle, intensity = np.loadtxt(folder / "integrated.dat").T
    step = (angle[-1] - angle[0]) / (angle.size - 1)
    edges = np.deg2rad(angle[0] + step * (np.arange(0, angle.size + 1, 10) - 0.5))
    func = azimuthalBinning(
        center=beam.center,
        dis_to_sam=beam.distance,
        eBeam=beam.energy,
        tx=beam.tilt[0],
        ty=beam.tilt[1],
        polarization=(1 + 0.99) / 2,
        qbin=4 * np.pi * beam.energy / HC * np.sin(edges / 2),
    )
    found = attached(func, Images(image.shape, positions=positions)).process(image)
    weight = angle.reshape(-1, 10)
    expected = (weight * intensity.reshape(-1, 10)).sum(1) / weight.sum(1)
    assert np.isfinite(found["azav"]).all()
    assert np.corrcoef(found["azav"][0], expected)[0, 1] > 0.99999


@pytest.mark.parametrize(
    ("name", "row", "column", "distance", "orders"),
    [
        ("pilW2_image", 577.0, 648.88, 331.896, range(3, 12)),
        ("pil1M_image", 488.07, 204.15, 3557.4, range(1, 4)),
    ],
    ids=["waxs", "saxs"],
)
def test_real_silver_behenate(name, row, column, distance, orders):
    file = DATA / "agbh_lix_pilatus/AgBH-2020Aug16.h5"
    if not file.is_file():
        pytest.skip(f"no {file}")
    import h5py

    with h5py.File(file) as opened:
        image = opened[f"AgBH_2020Aug16/primary/data/{name}"][0]
    positions = flat_positions(image.shape, 172.0)
    good = (image >= 0) & (image < 10 * np.percentile(image, 99.9))
    spacing = 2 * np.pi / 58.38
    func = azimuthalBinning(
        center=place_of(positions, row, column),
        dis_to_sam=distance,
        eBeam=HC / 0.8189143,
        polCorr=False,
        qbin=spacing / (400 if orders[0] == 1 else 60),
    )
    source = Images(image.shape, positions=positions, good=good)
    curve = attached(func, source).process(image)["azav"][0]
    q = func.params_as_dict()["q"] / spacing
    for order in orders:
        near = np.abs(q - order) < 0.2
        above = curve[near] - np.interp(q[near], *line_around(q, curve, order))
        top = above > above.max() / 2
        peak = (q[near] * above)[top].sum() / above[top].sum()
        assert peak == pytest.approx(order, abs=0.02)


def line_around(q, curve, order):
    """Return two points of the background beside a ring."""
    sides = [np.abs(q - order - offset) < 0.08 for offset in (-0.3, 0.3)]
    return [q[s].mean() for s in sides], [np.nanmean(curve[s]) for s in sides]
