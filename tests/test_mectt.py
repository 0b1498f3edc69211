"""The edge of the time tool, against edges that were drawn."""

import h5py
import numpy as np
import pytest
from image_source import Images, attached
from scipy.ndimage import rotate
from scipy.optimize import curve_fit
from scipy.special import erf

from smalldata_ana.ana_funcs.edge_fit import fit_edge
from smalldata_ana.ana_funcs.mectt import mecttFunc
from smalldata_ana.ana_funcs.roi import ROIFunc
from smalldata_ana.errors import FileError, ParameterError

SHAPE = (100, 300)
ROI = [[30, 70], [50, 270]]
EDGE, WIDTH, DEPTH = 163.4, 9.0, 0.4
FAILED = ("time_px", "width_px", "ampl_px", "bkg_const", "bkg_slope")

ROWS, COLUMNS = np.indices(SHAPE, dtype=np.float64)
BEAM = 1000 * np.exp(-((ROWS - 50) ** 2) / 2e3 - (COLUMNS - 140) ** 2 / 4e4)


def transmission(position=EDGE, width=WIDTH, depth=DEPTH, tilt=0.0):
    """Return an image that falls by `depth` over a tilted edge."""
    angle = np.deg2rad(tilt)
    middle = (np.array(SHAPE) - 1) / 2
    row, column = ROWS - middle[0], COLUMNS - middle[1]
    along = column * np.cos(angle) + row * np.sin(angle) + middle[1]
    return 1 - depth * (1 + erf((along - position) / width / np.sqrt(2))) / 2


def shot(brightness=1.3, noise=0.005, seed=0, **edge):
    rng = np.random.default_rng(seed)
    image = brightness * BEAM * transmission(**edge)
    return (image * rng.normal(1, noise, SHAPE)).astype(np.float32)


def found(image, source=None, **parameters):
    func = mecttFunc(**{"roi_s": ROI, "background": BEAM, **parameters})
    result = attached(func, source or Images(image.shape)).process(image)
    fields = func.describe()
    assert fields.keys() == result.keys()
    return {key: fields[key].checked(key, value) for key, value in result.items()}


def assert_not_found(result, err):
    assert result["err"] == err
    assert np.isnan([result[key] for key in FAILED]).all()


@pytest.mark.parametrize("sm", [1, 5])
def test_the_edge_is_found_where_it_is(sm):
    result = found(shot(), sm=sm, roi_n=[[0, 100], [0, 50]])
    assert 1 <= result["err"] <= 4
    np.testing.assert_allclose(result["time_px"], EDGE, atol=0.5)
    width = np.sqrt(WIDTH**2 + (sm**2 - 1) / 12)
    np.testing.assert_allclose(result["width_px"], width, atol=0.6)
    height = DEPTH / width / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(result["ampl_px"], height, rtol=0.06)
    np.testing.assert_allclose(result["bkg_const"], 0, atol=5e-4)
    np.testing.assert_allclose(result["sig_pj"][:60], 1, atol=0.005)
    np.testing.assert_allclose(result["sig_pj"][-60:], 1 - DEPTH, atol=0.005)


def test_the_time_does_not_depend_on_the_crop_or_the_brightness():
    one = found(shot(noise=0))
    other = found(shot(brightness=7, noise=0), roi_s=[[30, 70], [90, 270]])
    np.testing.assert_allclose(one["time_px"], other["time_px"], atol=0.01)
    np.testing.assert_allclose(one["time_px"], EDGE, atol=0.01)


@pytest.mark.parametrize("tilt", [-3.0, 7.5])
def test_a_tilted_edge(tilt):
    straight = found(shot(tilt=tilt), tilt=tilt, sm=3)
    np.testing.assert_allclose(straight["time_px"], EDGE, atol=0.5)
    np.testing.assert_allclose(straight["width_px"], WIDTH, rtol=0.1)
    assert found(shot(tilt=tilt), sm=3)["width_px"] != pytest.approx(WIDTH, rel=0.001)


@pytest.mark.parametrize("tilt", [0, 5, -12.5, 90])
def test_the_image_is_turned_as_scipy_does(tilt):
    image = np.random.default_rng(0).random((80, 80))
    result = found(
        image, tilt=tilt, roi_s=[[5, 75], [10, 70]], background=None, ttRaw=True
    )
    turned = rotate(image, tilt, reshape=False, order=1, cval=np.nan)[5:75, 10:70]
    np.testing.assert_allclose(result["ttRaw"], turned, atol=1e-6)
    np.testing.assert_allclose(result["sig_pj"], np.nanmean(turned, axis=0), atol=1e-6)


def test_the_fit_is_that_of_curve_fit():
    result = found(shot(noise=0.02), sm=5)
    line = result["sig_pj"]
    smooth = [line[max(i - 2, 0) : i + 3].mean() for i in range(line.size)]
    x = np.arange(line.size) + 50.0

    def model(x, position, width, height, constant, slope):
        u = x - position
        return height * np.exp(-((u / width) ** 2) / 2) + constant + slope * u

    guess = (EDGE, 15, 0.02, 0, 0)
    best, _ = curve_fit(model, x, -np.gradient(smooth), guess, xtol=1e-10, ftol=1e-10)
    for key, value in zip(FAILED, best, strict=True):
        np.testing.assert_allclose(result[key], value, rtol=1e-3, atol=1e-7)


def test_an_edge_may_rise():
    image = shot()[:, ::-1]
    result = found(
        image, background=BEAM[:, ::-1], rising=True, roi_s=[[30, 70], [30, 250]]
    )
    np.testing.assert_allclose(result["time_px"], SHAPE[1] - 1 - EDGE, atol=0.5)


def test_without_background_the_unit_is_that_of_the_image():
    image = (500 * transmission()).astype(np.float32)
    func = attached(mecttFunc(roi_s=ROI), Images(SHAPE, unit="ADU"))
    result = func.process(image)
    np.testing.assert_allclose(result["time_px"], EDGE, atol=0.01)
    np.testing.assert_allclose(result["sig_pj"][0], 500, rtol=1e-6)
    fields = func.describe()
    assert (fields["sig_pj"].unit, fields["ampl_px"].unit) == ("ADU", "ADU/pixel")


def test_backgrounds_from_files(tmp_path):
    np.save(tmp_path / "background.npy", BEAM)
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file["Sums/opal_calib"] = 500 * BEAM
    with h5py.File(tmp_path / "average.h5", "w") as file:
        file["entry/instrument/jungfrau1M/data"] = BEAM
    expected = found(shot())["time_px"]
    for name, bkgdet in [
        ("background.npy", ""),
        ("small.h5", "opal"),
        ("average.h5", ""),
    ]:
        path = str(tmp_path / name)
        result = found(shot(), background=None, bkgfile=path, bkgdet=bkgdet)
        np.testing.assert_allclose(result["time_px"], expected, rtol=1e-9)
    with pytest.raises(FileError, match="no dataset 'Sums/epix_calib'"):
        found(shot(), background=None, bkgfile=path, bkgdet="epix")
    with pytest.raises(FileError, match="there is no file"):
        found(shot(), background=None, bkgfile=str(tmp_path / "missing.npy"))


def test_the_record_has_background_and_columns():
    func = attached(mecttFunc(roi_s=ROI, background=BEAM), Images(SHAPE))
    record = func.params_as_dict()
    np.testing.assert_array_equal(record["columns"], np.arange(50, 270))
    np.testing.assert_allclose(record["background"], BEAM, rtol=1e-6)
    plain = attached(mecttFunc(roi_s=ROI), Images(SHAPE))
    assert "background" not in plain.params_as_dict()


def test_pixels_that_are_masked_or_not_finite_are_left_out():
    good = np.ones(SHAPE, bool)
    good[40:50, 100:200] = False
    good[:, 240] = False
    background = BEAM.copy()
    background[35, 60] = 0
    background[36, 60] = np.nan
    image = shot(noise=0).copy()
    image[~good] = 1e9
    image[35:37, 60] = -1e9
    image[60, 150:160] = np.nan
    image[61, 150] = np.inf
    before = image.copy()
    result = found(image, Images(SHAPE, good), background=background, ttRaw=True)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_allclose(result["time_px"], EDGE, atol=0.05)
    assert np.flatnonzero(np.isnan(result["sig_pj"])).tolist() == [240 - 50]
    lost = np.isnan(result["ttRaw"])
    expected = ~good[30:70, 50:270]
    expected[30, 100:110] = expected[31, 100] = expected[5:7, 10] = True
    np.testing.assert_array_equal(lost, expected)


def test_a_single_panel_and_whole_numbers():
    image = np.round(shot()).astype(np.uint16)
    expected = found(image)["time_px"]
    assert found(image[None])["time_px"] == expected
    func = ROIFunc(ROI=[[0, 1], [0, 100], [0, 300]])
    func.addFunc(mecttFunc(roi_s=ROI, background=BEAM))
    result = attached(func, Images((1, *SHAPE))).process(image[None].astype(np.float32))
    np.testing.assert_allclose(result["mectt_time_px"], expected, atol=1e-6)


@pytest.mark.parametrize("value", [0, np.nan, np.inf, -5])
def test_images_without_light(value):
    assert_not_found(found(np.full(SHAPE, value, np.float32)), -3)


@pytest.mark.parametrize("seed", range(10))
def test_noise_without_light_has_no_edge(seed):
    noise = np.random.default_rng(seed).normal(0.5, 10, SHAPE).astype(np.float32)
    assert_not_found(found(noise), -3)


def test_an_image_without_an_edge():
    flat = found(shot(depth=0.0))
    assert_not_found(flat, -1)
    np.testing.assert_allclose(flat["sig_pj"], 1, atol=0.01)
    assert_not_found(found(np.zeros(SHAPE), background=None), -1)


def test_an_edge_beyond_the_region():
    result = found(shot(noise=0, position=EDGE), roi_s=[[30, 70], [180, 290]])
    assert not 1 <= result["err"] <= 4
    assert np.isnan(result["time_px"])


@pytest.mark.parametrize("seed", range(10))
def test_noise_never_raises(seed):
    rng = np.random.default_rng(seed)
    result = found(rng.normal(0, 1, SHAPE), background=None, sm=7)
    assert result["sig_pj"].shape == (220,)
    assert (1 <= result["err"] <= 4) != np.isnan(result["time_px"])


def test_a_region_of_few_columns():
    assert_not_found(found(shot(), roi_s=[[30, 70], [160, 165]]), -3)
    assert_not_found(found(shot(), roi_s=[[30, 70], [160, 161]], minContrast=0), -3)


def test_a_gradient_without_a_peak_is_no_edge():
    assert fit_edge(np.zeros(50), 5).status == -2
    assert fit_edge(np.full(50, np.nan), 5).status == -3
    assert np.isnan(fit_edge(np.linspace(0, 1, 50), 5).position)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"roi_s": ROI, "sm": 4}, "must be odd"),
        ({"roi_s": ROI, "sigma_TT": 0}, "must be above 0"),
        ({"roi_s": ROI, "tilt": 200}, "from -180 to 180"),
        ({"roi_s": [[5, 5], [1, 2]]}, "begin < end"),
        ({"roi_s": ROI, "bkgfile": "b.h5", "background": BEAM}, "not both"),
    ],
)
def test_parameters_that_are_not_possible(parameters, message):
    with pytest.raises(ParameterError, match=message):
        mecttFunc(**parameters)


@pytest.mark.parametrize(
    ("source", "parameters", "message"),
    [
        (Images(SHAPE), {"roi_s": None}, "needs roi_s"),
        (Images((2, *SHAPE)), {}, "choose a panel with a ROI"),
        (Images((300,)), {}, "works on a single image"),
        (Images((60, 300)), {}, "does not lie in"),
        (Images(SHAPE), {"roi_n": [[0, 101], [0, 5]]}, "does not lie in"),
        (Images(SHAPE), {"roi_s": [ROI, ROI]}, "not a single box"),
        (Images(SHAPE), {"background": BEAM[1:]}, r"has the shape \(99, 300\)"),
        (Images(SHAPE), {"background": -BEAM}, "is good, or has a background"),
        (Images(SHAPE, np.zeros(SHAPE, bool)), {}, "is good"),
        (Images(SHAPE), {"roi_s": [[0, 4], [0, 4]], "tilt": 45}, "is good"),
    ],
)
def test_sources_that_do_not_fit(source, parameters, message):
    with pytest.raises(ParameterError, match=message):
        mecttFunc(**{"roi_s": ROI, **parameters}).attach(source)
