"""Entries that say what one photon is, checked against the energy of the run."""

import re

import pytest
from simulated import ours

from smalldata_ana.errors import ParameterError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.pipeline import build_detectors
from smalldata_ana.simulation.run_spec import DetectorSpec, RunSpec
from smalldata_ana.simulation.run_writer import make_run

HEAD = """\
schema = "smalldata-ana-params/1"
experiment = "xppsim01"
[[detector.epix100.droplet]]
runs = "1-"
threshold = 6.0
thresholdLow = 3.0
"""
PHOTONS = """\
[[detector.epix100.photons]]
runs = "1-"
of = "droplet"
"""
LINE = 7
"""Where `PHOTONS` stands."""

GEOMETRY = '[[detector.epix100.geometry]]\nruns = "1-"\neBeam = {}\n'
RAW = '[[detector.epix100.common_mode]]\nruns = "1-"\ncommon_mode = -1\n'


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photons")
    run = ours(make_run(folder, RunSpec("xppsim01", 3, (DetectorSpec("epix100"),), 4)))
    yield run
    run.close()


@pytest.fixture
def build(run, tmp_path):
    def build(text):
        path = tmp_path / "xppsim01.toml"
        path.write_text(HEAD + text)
        (detector,) = build_detectors(run, ParameterFile.load(path).resolve(3))
        return detector

    return build


@pytest.mark.parametrize(
    "entry",
    [
        PHOTONS + "aduspphot = 162.0\n",
        '[[detector.epix100.photon]]\nruns = "1-"\nADU_per_photon = 162.0\n',
        '[[detector.epix100.projection]]\nruns = "1-"\nthresADU = 162.0\n'
        "singlePhoton = true\n",
    ],
    ids=["photons", "photon", "projection"],
)
@pytest.mark.parametrize("geometry", ["", GEOMETRY.format(9.5)])
def test_one_photon_far_above_the_energy_is_an_error(build, entry, geometry):
    with pytest.raises(ParameterError) as caught:
        build(entry + geometry)
    (told,) = str(caught.value).splitlines()
    kind = entry.split("]")[0].rpartition(".")[2]
    assert f"line {LINE}: detector.epix100.{kind}" in told
    teller = "eBeam" if geometry else "ebeam/ebeamPhotonEnergy"
    assert re.search(rf"= 162 is far above a photon of {teller} = 9\.[45]\d* keV", told)
    assert ("if that is wrong, give eBeam" in told) is not bool(geometry)
    assert "in keV and not in ADU" in told


def test_one_photon_in_kev_is_none(build):
    entry = PHOTONS + "aduspphot = 9.5\n"
    assert "droplet" in build(entry).funcs


def test_what_the_geometry_says_wins_over_the_run(build):
    assert build(PHOTONS + "aduspphot = 40.0\n" + GEOMETRY.format(18.0))


def test_images_in_adu_are_not_compared(build):
    assert build(RAW + PHOTONS + "aduspphot = 162.0\n")


def test_each_chained_entry_is_told_with_its_line(build):
    other = PHOTONS.replace("runs", 'name = "other"\nruns')
    with pytest.raises(ParameterError) as caught:
        build(PHOTONS + "aduspphot = 162.0\n" + other + "aduspphot = 163.0\n")
    first, second = str(caught.value).splitlines()
    assert "line 7: " in first
    assert "162" in first
    assert "line 11: " in second
    assert "163" in second


def test_results_of_chained_functions_need_names_of_their_own(build):
    inside = (
        '[[detector.epix100.roi]]\nruns = "1-"\nname = "a_b"\n'
        'ROI = [[0, 9], [0, 9]]\n[[detector.epix100.roi]]\nruns = "1-"\nname = "a"\n'
        'ROI = [[0, 9], [0, 9]]\n[[detector.epix100.roi]]\nruns = "1-"\nname = "b"\n'
        'of = "a"\nROI = [[0, 5], [0, 5]]\n'
    )
    with pytest.raises(ParameterError, match=r"'a' of 'epix100' gives \['a_b_com'"):
        build(inside)
