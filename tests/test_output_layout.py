"""What an output file says of how it was made, compared with real files."""

import re
import shlex
import socket
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_output import EVENTS, open_small_run, write_output

from smalldata_ana.smalldata.configuration import (
    SIGNIFICANT_BITS,
    ConfigurationWriter,
    rounded,
    storable,
)

LAYOUTS = Path(__file__).parents[2] / "shared/data/smalldata_h5_layouts"
REAL = LAYOUTS / "xppl1001021_54721events_droplets_pyfai_layout.txt"
NOT_SIMULATED = {"dataAccessTime", "offset"}
"""What real files say of these detectors that our simulation has not."""
BITS = "_QuantizeBitRoundNumberOfSignificantBits"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("output")
    run = open_small_run(folder)
    yield write_output(run, folder)
    run.close()


@pytest.fixture
def file(made):
    with h5py.File(made.path) as file:
        yield file


@pytest.mark.skipif(not REAL.exists(), reason="no layouts of real files")
@pytest.mark.parametrize(
    ("theirs", "ours"), [("jungfrau1M_alcove", "jungfrau1M"), ("epix_alc1", "epix100")]
)
def test_a_detector_has_what_real_files_have(file, theirs, ours):
    pattern = rf"/UserDataCfg/{theirs}/(\w+) \(([\d, ]*)\)"
    found = dict(re.findall(pattern, REAL.read_text()))
    # Of the functions only their presence can be compared, and cards are LCLS-I's.
    keys = {k for k in found if "__" not in k and "Id" not in k} - NOT_SIMULATED
    assert len(keys) > 15
    for key in keys:
        shape = tuple(int(n) for n in found[key].split(",") if n.strip())
        assert file[f"UserDataCfg/{ours}/{key}"].shape == shape, key


def test_every_dataset_says_what_it_is(file):
    """Those of events, and of sums; what is in ``entry`` are links to them."""
    told, with_unit = {}, set()

    def look(path, item):
        if isinstance(item, h5py.Dataset) and not path.startswith("UserDataCfg"):
            told[path] = item.attrs.get("long_name")
            if item.attrs.get("units"):
                with_unit.add(path)

    for name in file.keys() - {"entry"}:
        if isinstance(file[name], h5py.Dataset):
            look(name, file[name])
        else:
            file[name].visititems(lambda key, item, of=name: look(f"{of}/{key}", item))
    assert [path for path, text in told.items() if not text] == []
    assert "seconds since 1990" in told["timestamp"]
    assert told["epix100_env/temp0"] == "epics/epix100_temp0"
    assert told["Sums/jungfrau1M_calib"] == "sum of the values"
    assert told["Sums/jungfrau1M_calib_nEvents"] == "number of events in the sum"
    assert {
        "Sums/jungfrau1M_calib",
        "ipm2/sum",
        "enc/lasDelay",
        "ebeam/photon_energy",
        "jungfrau1M/ROI_0_sum",
    } <= with_unit


def test_arrays_are_what_the_detector_used(file, made):
    for name, detector in made.detectors.items():
        group = file[f"UserDataCfg/{name}"]
        for key in ("mask", "cmask", "statusMask", "good"):
            np.testing.assert_array_equal(group[key], getattr(detector, key))
            assert group[key].dtype == np.uint8
        for key in ("x", "y", "z"):
            np.testing.assert_allclose(group[key], getattr(detector, key), rtol=1e-6)
            assert group[key].dtype == np.float32
        for key in ("ped", "rms", "gain"):
            assert group[key].attrs[BITS] == SIGNIFICANT_BITS[key]
            np.testing.assert_allclose(
                group[key], getattr(detector, key), rtol=2.0 ** -SIGNIFICANT_BITS[key]
            )


def test_large_arrays_are_compressed_so_that_everybody_can_read_them(file):
    for name in ("jungfrau1M", "epix100"):
        for dataset in file[f"UserDataCfg/{name}"].values():
            compressed = dataset.size > 10_000
            assert dataset.compression == ("gzip" if compressed else None)


def test_the_configuration_is_small(file, made):
    # 60 MB for a jungfrau4M and an epix100 are 12.7 bytes for each of their pixels.
    groups = [file[f"UserDataCfg/{name}"] for name in made.detectors]
    total = sum(d.id.get_storage_size() for group in groups for d in group.values())
    pixels = sum(d.good.size for d in made.detectors.values())
    assert total < 60e6 / 4_735_000 * pixels


def test_equal_arrays_are_stored_once(tmp_path):
    values = np.arange(20_000.0).reshape(2, 100, 100)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        writer = ConfigurationWriter(file)
        writer.write("a", {"one": values, "other": values + 1, "few": [1, 2]})
        writer.write("b", {"same": values.copy(), "unit": values}, {"unit": "um"})
        assert file["b/same"] == file["a/one"]
        assert file["a/other"] != file["a/one"]
        assert file["b/unit"] != file["a/one"]
        assert file["b/unit"].attrs["units"] == "um"


def test_axes_and_parameters_have_units(file, made):
    group = file["UserDataCfg/jungfrau1M"]
    assert group["azav__azav_q"].attrs["units"] == "1/angstrom"
    assert group["azav__azav_phi"].attrs["units"] == "deg"
    assert group["pyfai__pyfai_int_units"].asstr()[0] == "2th_deg"
    assert group["pyfai__pyfai_q"].attrs["units"] == "deg"
    assert group["azav__azav_dis_to_sam"].attrs["units"] == "mm"
    assert group["azav__azav_tx"].attrs["units"] == "deg"
    assert group["azav__azav_eBeam"][0] == 9.5
    assert group["azav__azav_phiBins"][0] == 4
    assert "units" not in group["azav__azav_phiBins"].attrs
    assert group["x"].attrs["units"] == "um"
    parameters = made.detectors["jungfrau1M"].funcs["azav"].params_as_dict()
    np.testing.assert_array_equal(group["azav__azav_q"], parameters["q"])


def test_chained_functions_are_named_after_the_outer_one(file):
    group = file["UserDataCfg/epix100"]
    assert group["droplet__droplet_threshold"][0] == 6
    assert group["droplet__phot_aduspphot"][0] == 9.5
    assert group["droplet__phot_sparse_name"].asstr()[0] == "sparse"


def test_constants_say_for_which_runs_they_are_valid(file, made):
    group = file["UserDataCfg/epix100"]
    items = made.detectors["epix100"].calibration.constants.items
    names = group["constants"].asstr()[()].tolist()
    assert names == list(items)
    for name, valid, origin in zip(
        names,
        group["constants_validity"].asstr(),
        group["constants_origin"].asstr(),
        strict=True,
    ):
        assert valid == items[name].validity
        assert Path(origin).exists()


def test_the_record_of_the_producer(file):
    group = file["UserDataCfg/producer"]
    assert group["command"].asstr()[()].tolist() == [shlex.join(sys.argv)]
    assert group["host"].asstr()[()].tolist() == [socket.gethostname()]
    assert group["nevents"].asstr()[0] == "null"


def test_columns_are_the_rows(file, made):
    np.testing.assert_array_equal(file["timestamp"], made.timestamps)
    for path in ("jungfrau1M/ROI_0_sum", "jungfrau1M/azav_azav"):
        expected = np.array([row[path] for row in made.rows])
        np.testing.assert_array_equal(file[path], expected)
        assert len(file[path]) == EVENTS


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (3, [3]),
        (2.5, [2.5]),
        (True, [True]),
        ("x", ["x"]),
        (Path("a/b"), ["a/b"]),
        ((1, 2), [1, 2]),
        (["a", "b"], ["a", "b"]),
        ([[1, 2], [3]], ["[[1, 2], [3]]"]),
        ({"a": None, "b": 1}, ['{"b": 1}']),
        (["a", 1], ['["a", 1]']),
        (np.array([True, False]), [1, 0]),
        (np.float32(1.5), [1.5]),
        ([], []),
    ],
)
def test_what_can_be_stored(value, stored):
    assert storable(value).tolist() == stored


@pytest.mark.parametrize("bits", [2, 11, 16, 23])
def test_rounding_to_significant_bits(bits):
    values = np.random.default_rng(1).normal(0, 1000, 10_000).astype(np.float32)
    mantissa, exponent = np.frexp(values.astype(np.float64))
    expected = np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent)
    np.testing.assert_array_equal(rounded(values, bits), expected)


def test_rounding_keeps_what_is_no_number():
    special = np.array([0, -0.0, np.nan, np.inf, -np.inf], np.float32)
    np.testing.assert_array_equal(rounded(special, 11), special)
