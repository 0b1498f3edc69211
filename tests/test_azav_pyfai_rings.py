"""`azav_pyfai` on images of rings, real and simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from geometry_by_hand import HC
from image_source import Images, attached

from smalldata_ana.ana_funcs.azav_pyfai import azav_pyfai
from smalldata_ana.detector.det_object import DetObject
from smalldata_ana.detector.nominal_geometry import flat_positions
from smalldata_ana.simulation.experiment import LAB6, calibrant
from smalldata_ana.simulation.physics import Setup
from smalldata_ana.simulation.run_spec import DetectorSpec
from smalldata_ana.sources.events import Event

pytestmark = pytest.mark.filterwarnings("ignore:::(.*/)?(pyFAI|fabio|silx)([./]|$)")

DATA = Path(__file__).parents[2] / "shared/data"


@pytest.fixture(scope="module")
def rings():
    """Return image, source, parameters, curve and sectors of ``ring_i12_pixium``."""
    folder = DATA / "ring_i12_pixium"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    fabio = pytest.importorskip("fabio")
    image = fabio.open(folder / "pixium_03150.tif").data
    sectors = fabio.open(folder / "integrated_cake_5000x36.edf")
    names = ("dist", "poni1", "poni2", "rot1", "rot2", "rot3", "wavelength")
    parameters = {
        "ai_kwargs": {name: float(sectors.header[name]) for name in names},
        "polarization_factor": 0.99,
        "npts": 5000,
    }
    source = Images(image.shape, positions=flat_positions(image.shape, 296.0))
    curve = np.loadtxt(folder / "integrated.dat")
    return image, source, parameters, curve, sectors.data


def test_real_rings(rings):
    image, source, parameters, curve, _ = rings
    func = attached(azav_pyfai(**parameters), source)
    found = func.process(image)["azav"]
    np.testing.assert_allclose(func.params_as_dict()["q"], curve[:, 0], rtol=1e-5)
    assert np.corrcoef(found, curve[:, 1])[0, 1] > 0.99999


def test_real_rings_with_the_poni_file(rings):
    """The curve was made after the poni was refined a little further."""
    image, source, _, curve, _ = rings
    poni = DATA / "ring_i12_pixium/DLS_CeO2_1200mm_pyFAI.poni"
    func = azav_pyfai(poni_file=poni, polarization_factor=0.99, npts=5000)
    found = attached(func, source).process(image)["azav"]
    axis = func.params_as_dict()["q"]
    assert np.corrcoef(found, np.interp(axis, *curve.T))[0, 1] > 0.9999


def test_real_rings_in_36_sectors(rings):
    """The file was made by another splitting, in bins of a fifth of a pixel."""
    image, source, parameters, _, sectors = rings
    func = azav_pyfai(**parameters, return2d=True, npts_az=36)
    found = attached(func, source).process(image)["azav"]
    both = np.isfinite(found) & (sectors != 0)
    whole = both.reshape(36, 250, 20).all(axis=-1)
    mine, theirs = (
        np.where(both, values, 0).reshape(36, 250, 20).mean(axis=-1)
        for values in (found, sectors)
    )
    assert whole.mean() > 0.8
    assert np.corrcoef(mine[whole], theirs[whole])[0, 1] > 0.99999
    for sector in range(36):
        use = whole[sector]
        assert np.corrcoef(mine[sector][use], theirs[sector][use])[0, 1] > 0.9999


def test_real_rings_of_silver_behenate():
    path = DATA / "agbh_lix_pilatus/AgBH-2020Aug16.h5"
    if not path.is_file():
        pytest.skip(f"no {path}")
    h5py = pytest.importorskip("h5py")
    with h5py.File(path) as file:
        image = file["AgBH_2020Aug16/primary/data/pilW2_image"][0]
    positions = flat_positions(image.shape, 172.0)
    center = [positions.x[577, 0], positions.y[0, 649] - 0.12 * 172.0]
    func = azav_pyfai(
        center=center,
        dis_to_sam=331.896,
        eBeam=HC / 0.8189143,
        polarization="horizontal",
        int_units="q_A^-1",
        npts=1200,
    )
    attached(func, Images(image.shape, good=image >= 0, positions=positions))
    found = func.process(image)["azav"]
    order = func.params_as_dict()["q"] / (2 * np.pi / 58.38)
    for expected in range(3, 12):
        near = np.abs(order - expected) < 0.3
        peak = order[near][np.nanargmax(found[near])]
        assert abs(peak - expected) < 0.02


def test_simulated_rings_on_a_detector_of_several_panels(tmp_path):
    import simulated  # skips where psana is not there

    made = simulated.make(
        tmp_path,
        detectors=(DetectorSpec("jungfrau1M"),),
        events=1,
        with_constants=True,
        sample=calibrant(),
        setup=Setup(tilt=(0.8, -0.5)),
    )
    beam = made.spec.setup
    run = simulated.ours(made)
    det = DetObject("jungfrau1M", run)
    func = azav_pyfai(
        center=beam.center,
        dis_to_sam=beam.distance,
        eBeam=beam.energy,
        tx=beam.tilt[0],
        ty=beam.tilt[1],
        polarization=beam.polarization,
        int_units="q_A^-1",
        npts=600,
    )
    det.addFunc(func)
    det.getData(Event(run, 0))
    det.processFuncs()
    found, q = det.evt.results["pyfai_azav"], func.params_as_dict()["q"]
    for order in range(1, 6):
        expected = 2 * np.pi * np.sqrt(order) / LAB6
        near = np.abs(q - expected) < 0.1
        assert np.abs(q[near][np.nanargmax(found[near])] - expected) < 0.01
