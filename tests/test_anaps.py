"""The object `anaps`: each command against numpy on the raw frames of a small run."""

from __future__ import annotations

import inspect
import re
import sys
import threading
import tomllib

import matplotlib.pyplot as plt
import numpy as np
import pytest
import session_run
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from session_run import DROPPED, ENERGY, EVENTS, EXPERIMENT, LASER, RUN

from smalldata_ana.errors import (
    DetectorNotFound,
    FileError,
    NameNotFound,
    NoDataError,
    ParameterError,
    UsageError,
)
from smalldata_ana.places import places
from smalldata_ana.session import extension
from smalldata_ana.session.anaps import SmallDataAna_psana
from smalldata_ana.session.background import Background
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

RAW = session_run.frames()["epix100"].astype(float)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with_data = Hdf5Run(session_run.write(tmp_path_factory.mktemp("run")))
    yield with_data
    with_data.close()


@pytest.fixture
def anaps(run, tmp_path):
    def places_of(experiment: str):
        return places(experiment, directory=tmp_path, params=tmp_path / "p.toml")

    return SmallDataAna_psana(run, places_of=places_of)


def events(mask: np.ndarray, count: int = EVENTS) -> list[int]:
    return list(np.flatnonzero(mask)[:count])


# ---- AvImage -------------------------------------------------------------------------


def test_average_leaves_dropped_shots_out_and_says_how_many(anaps, capsys):
    image = anaps.AvImage("epix100")
    np.testing.assert_allclose(image, RAW[~DROPPED].mean(0), rtol=1e-6)
    assert "8 dropped X-ray shots are left out" in capsys.readouterr().out
    assert image.made["dropped_shots"] == 8


def test_average_is_kept_by_its_name(anaps):
    image = anaps.AvImage("epix100", 10)
    assert anaps.images[image.name] is image
    assert getattr(anaps, image.name) is image
    assert image.name in dir(anaps)


def test_positional_order_is_that_of_smalldata_tools(anaps):
    given = ("epix100", 5, 1000.0, 0.0, "on", 3, None, None, True, True, False)
    image = anaps.AvImage(*given, False, True)
    named = anaps.AvImage(
        "epix100",
        numEvts=5,
        thresADU=1000,
        useFilter="on",
        nSkip=3,
        std=True,
        median=True,
        useMask=False,
        uniform=True,
    )
    assert image.name == named.name
    np.testing.assert_array_equal(image.events, named.events)
    for name in ("std", "median"):
        np.testing.assert_array_equal(getattr(image, name), getattr(named, name))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"numEvts": 5}, events(~DROPPED, 5)),
        ({"numEvts": 5, "nSkip": 7}, events(~DROPPED & (np.arange(EVENTS) > 6), 5)),
        ({"useFilter": "xoff"}, events(DROPPED)),
        ({"useFilter": "on"}, events(~DROPPED & LASER)),
        ({"useFilter": LASER}, events(LASER)),
        ({"numEvts": 3, "minIpm": ("gasdet/energy", 0.5)}, [21, 22, 23]),
        (
            {"useFilter": "on", "minIpm": ("gasdet/energy", 0.7)},
            events(~DROPPED & LASER & (ENERGY >= 0.7)),
        ),
        ({"numEvts": 3, "uniform": True, "useFilter": ENERGY >= 0}, [0, 19, 39]),
    ],
)
def test_events_of_an_average(anaps, options, expected):
    image = anaps.AvImage("epix100", **options)
    assert list(image.events) == expected
    np.testing.assert_allclose(image, RAW[expected].mean(0), rtol=1e-6)


def test_timestamps_as_filter(anaps, run):
    image = anaps.AvImage("epix100", useFilter=run.timestamps[[4, 9]])
    assert list(image.events) == [4, 9]


def test_different_filters_make_different_names(anaps):
    for chosen in (LASER, ~LASER):
        anaps.AvImage("epix100", useFilter=chosen)
    anaps.AvImage("epix100", useFilter="on", minIpm=("gasdet/energy", 0.25))
    names = list(anaps.images)
    assert len(names) == 3
    assert names[-1] == "AvImg_Filteron_gasdet_energy_0p25_raw_epix100"
    assert all(name.isidentifier() for name in names)


def test_environment_of_the_used_events(anaps, run):
    values = anaps.AvImage("epix100", 3, useFilter="on", returnEnv=True)
    np.testing.assert_array_equal(values["timestamps"], run.timestamps[[1, 3, 7]])
    np.testing.assert_array_equal(values["gasdet/energy"], ENERGY[[1, 3, 7]])
    assert set(values) == {"timestamps", "gasdet/energy", "epics/lxt"}


def test_timestamps_are_printed(anaps, run, capsys):
    anaps.AvImage("epix100", 2, printFid=True)
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2:] == [str(t) for t in run.timestamps[[1, 2]]]


def test_raw_once_is_not_raw_ever_after(anaps, tmp_path):
    # smalldata_tools keeps the common mode of the call before.
    path = write_run(
        tmp_path / "calibrated.h5",
        experiment=EXPERIMENT,
        run=RUN,
        images={"epix100": session_run.frames()["epix100"]},
        dettypes={"epix100": "epix100"},
        constants={"epix100": {"pedestals": np.full((1, 1, 30, 20), 7.0)}},
    )
    fresh = SmallDataAna_psana(Hdf5Run(path))
    usual = fresh.AvImage("epix100").name
    assert fresh.AvImage("epix100", common_mode=-1).name != usual
    assert fresh.AvImage("epix100").name == usual


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"detname": "epix"}, DetectorNotFound, "no area detector 'epix'"),
        ({"detname": "None"}, UsageError, "there are 'epix100', 'opal'"),
        ({"numEvts": 0}, ParameterError, "above 0"),
        ({"nSkip": -1}, ParameterError, "must not be below 0"),
        ({"nSkip": 99}, NoDataError, "no event"),
        ({"useFilter": "xonn"}, NameNotFound, "Did you mean 'xon'?"),
        ({"useFilter": [True]}, ParameterError, "has 40 events"),
        ({"useFilter": [5]}, NameNotFound, "1 of 1 timestamps"),
        ({"minIpm": 3.0}, UsageError, "pair of a scalar's name and its minimum"),
        ({"minIpm": ("ipm2/sum", 1.0)}, NameNotFound, "no scalar 'ipm2/sum'"),
        ({"minIpm": ("gasdet/energy", 2.0)}, NoDataError, "gasdet/energy >= 2"),
        ({"common_mode": 12345}, ParameterError, "12345"),
    ],
)
def test_wrong_options_are_named(anaps, options, error, told):
    with pytest.raises(error) as caught:
        anaps.AvImage(**{"detname": "epix100", **options})
    assert told in str(caught.value)


def test_interrupt_ends_a_script_but_keeps_the_image(anaps, monkeypatch):
    read, done = anaps.run.read, []

    def interrupted(*given, **named):
        done.append(1)
        if len(done) == 12:
            raise KeyboardInterrupt
        return read(*given, **named)

    monkeypatch.setattr(anaps.run, "read", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        anaps.AvImage("epix100")
    assert 0 < anaps.getAvImage("epix100").n_used < 12


# ---- its company ---------------------------------------------------------------------


def test_images_and_histogram(anaps):
    chosen = events(LASER, 4)
    stack = anaps.getImages("epix100", 4, LASER)
    np.testing.assert_array_equal(stack, RAW[chosen])
    histogram = anaps.pixelHistogram("epix100", 4, 30, LASER, maxHis=2000.5)
    assert histogram.edges[-1] == 2000.5
    counts, _ = np.histogram(RAW[chosen], histogram.edges)
    np.testing.assert_array_equal(histogram.counts, counts)


def test_fetching_an_image(anaps):
    with pytest.raises(NameNotFound, match="no average image yet"):
        anaps.getAvImage()
    first, second = anaps.AvImage("epix100"), anaps.AvImage("epix100", useFilter="on")
    assert anaps.getAvImage() is second
    assert anaps.getAvImage(imgName=first.name) is first
    with pytest.raises(NameNotFound, match=r"'opal'.* AvImage\('opal'\) makes one"):
        anaps.getAvImage("opal")
    with pytest.raises(DetectorNotFound, match="Did you mean 'opal'"):
        anaps.getAvImage("opla")
    anaps.AvImage("opal")
    assert anaps.getAvImage("epix100") is second
    with pytest.raises(UsageError, match="there are 'epix100', 'opal'"):
        anaps.getAvImage("None")


def test_plot_takes_limits_from_the_preferences(anaps):
    image = anaps.AvImage("epix100")
    anaps.display.limits = (10.0, 90.0)
    ax = anaps.plotAvImage()
    low, high = ax.images[0].get_clim()
    shown = image.image[np.isfinite(image.image)]
    np.testing.assert_allclose((low, high), np.percentile(shown, (10, 90)), rtol=1e-3)
    assembled = anaps.plotAvImage(returnIt=True, ax=ax)
    np.testing.assert_array_equal(assembled, image.image)
    plt.close("all")


def test_saved_image_is_loaded_again(anaps, run, tmp_path, capsys):
    image = anaps.AvImage("epix100", std=True)
    path = anaps.saveAvImage("epix100")
    assert path == tmp_path / "images" / f"{EXPERIMENT}_Run0014_{image.name}.h5"
    assert str(path) in capsys.readouterr().out
    fresh = SmallDataAna_psana(run)
    loaded = fresh.loadAvImage(path)
    np.testing.assert_array_equal(loaded, image)
    np.testing.assert_array_equal(getattr(fresh, image.name).std, image.std)
    with pytest.raises(FileError):
        fresh.loadAvImage(tmp_path / "absent.h5")


def test_listings(anaps, capsys):
    assert anaps.Keys() == ["epix100", "opal", "gasdet/energy"]
    assert anaps.EpicsAliases(printthis=True) == ["lxt"]
    anaps.Keys(printthis=True)
    anaps.info()
    printed = capsys.readouterr().out
    assert "gasdet/energy" in printed
    assert "mJ" in printed
    assert f"{EXPERIMENT} run {RUN}: {EVENTS} events" in printed


def test_detector_object_is_kept_with_its_functions(anaps):
    det = anaps.addDetInfo("opal", common_mode=-1)
    assert anaps.opal is det
    assert anaps.addDetInfo("opal", common_mode=-1) is det
    assert "opal" in dir(anaps)


def test_detector_object_of_the_usual_correction_is_kept_too(anaps):
    det = anaps.addDetInfo("opal")
    assert anaps.addDetInfo("opal") is det
    assert anaps.addDetInfo("opal", det.common_mode) is det


def test_detectors_are_attributes_without_being_added(anaps):
    assert {"opal", "opal_rms", "epix100"} <= set(dir(anaps))
    assert anaps.det_objects == {}
    det = anaps.opal
    assert anaps.opal_iy is det.iy
    assert not anaps.history()
    assert anaps.opal is anaps.addDetInfo("opal") is det
    with pytest.raises(AttributeError, match=r"Did you mean 'epix100'\?"):
        _ = anaps.epix10


def test_only_names_that_people_type_wait_for_the_run(run):
    there = threading.Event()
    anaps = SmallDataAna_psana(Background(lambda: there.wait() and run, "open"))
    assert "opal" not in dir(anaps)
    with pytest.raises(AttributeError, match="_repr_html_"):
        _ = anaps._repr_html_
    threading.Timer(0.2, there.set).start()
    assert anaps.opal.shape == session_run.SHAPES["opal"]
    assert "opal" in dir(anaps)


def test_names_that_commands_make_are_attributes(anaps):
    det = anaps.addDetInfo("opal", common_mode=-1)
    image = anaps.AvImage("opal", 3, common_mode=-1)
    mask = anaps.MakeMask("opal", shapes=[{"shape": "edges", "rows": 1, "columns": 1}])
    mask.accept()
    anaps.azints["opal", "azv"] = "the result"
    assert anaps.opal_ix is det.ix
    assert anaps.opal_pedestals is det.ped
    assert anaps._azint_azv == "the result"
    made = getattr(anaps, f"_mask_{image.name}")
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, mask.good)
    names = {"opal_rms", "opal_x", "opal_y", "opal_iy", "_azint_azv"}
    assert names | {f"_mask_{image.name}", image.name} <= set(dir(anaps))


def test_names_of_corrections(anaps):
    assert anaps.commonModeStr() == "pedSub_"
    assert anaps.commonModeStr(-1) == "raw_"
    assert len({anaps.commonModeStr(cm) for cm in (7, 55, 82, 85, 98, 180)}) == 6


def test_region_is_accepted_and_exported(anaps, tmp_path, capsys):
    image = anaps.AvImage("epix100")
    tool = anaps.SelectRegion("epix100", ROI=[[0, 1], [2, 9], [3, 7]])
    assert anaps.pending == []
    tool.accept(name="ROI_0")
    assert len(anaps.pending) == 1
    anaps.exportParams(runs="12-")
    (entry,) = tomllib.loads((tmp_path / "p.toml").read_text())["detector"]["epix100"][
        "roi"
    ]
    assert entry["ROI"] == [[0, 1], [2, 9], [3, 7]]
    assert entry["made"]["image"] == image.name
    assert "12-" in capsys.readouterr().out


def test_unknown_attribute_names_the_nearest(anaps):
    with pytest.raises(AttributeError, match="Did you mean 'plotAvImage'"):
        _ = anaps.plotAvImag


def test_every_command_is_documented(anaps):
    public = [n for n in dir(type(anaps)) if not n.startswith("_")]
    assert all(getattr(type(anaps), name).__doc__ for name in public)


# ---- in any IPython ------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path, monkeypatch):
    for name in ("EXPERIMENT", "RUN_NUM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    module = session_run.stand_in_for_opening(session_run.write(tmp_path))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    shell = InteractiveShell()
    yield shell
    shell.history_manager.enabled = False


def test_extension_says_how_to_open_a_run_and_the_magic_does(shell, capsys):
    extension.load(shell)
    assert "%smalldata_ana -r 1 -e xppsim01" in capsys.readouterr().out
    assert "anaps" not in shell.user_ns
    shell.run_line_magic("smalldata_ana", f"-r {RUN} -e {EXPERIMENT}")
    assert shell.user_ns["anaps"].run.number == RUN
    with provisionalcompleter():
        found = list(shell.Completer.completions("anaps.AvI", 9))
    assert found[0].text.endswith("AvImage")


def test_extension_opens_the_run_of_the_environment(shell, monkeypatch):
    monkeypatch.setenv("EXPERIMENT", EXPERIMENT)
    monkeypatch.setenv("RUN_NUM", str(RUN))
    extension.load(shell)
    assert shell.user_ns["anaps"].run.experiment == EXPERIMENT


def test_a_run_that_cannot_be_opened_leaves_the_session(shell):
    extension.load(shell)
    shell.run_line_magic("smalldata_ana", f"-r {RUN} -e {EXPERIMENT}")
    before = shell.user_ns["anaps"]
    shell.run_cell("%smalldata_ana -r 99 -e xpptut15")
    assert shell.user_ns["anaps"] is before
    assert before.run.number == RUN


def test_extension_shows_our_errors_in_one_line(shell, capsys):
    extension.load(shell)
    shell.run_cell("%smalldata_ana -r 99 -e xpptut15")
    printed = capsys.readouterr()
    assert "no run 99 of xpptut15" in printed.err
    assert "Traceback" not in printed.out + printed.err


# ---- arguments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        ("AvImage", {"numEvts": "10"}, "numEvts = '10' is not a whole number"),
        ("AvImage", {"numEvts": 2.5}, "numEvts = 2.5 is not a whole number"),
        ("AvImage", {"numEvts": True}, "numEvts = True is not a whole number"),
        ("AvImage", {"thresADU": "a"}, "thresADU = 'a' is not a number"),
        ("AvImage", {"std": "no"}, "std = 'no' is not True or False"),
        ("AvImage", {"common_mode": "0"}, "a text: write it without quotes"),
        ("AvImage", {"foo": 1}, "no argument 'foo' in AvImage; there are 'detname'"),
        ("AvImage", {"numEvt": 1}, "Did you mean 'numEvts'?"),
        ("AvImage", {"detname": "opal"}, "multiple values for argument 'detname'"),
        ("pixelHistogram", {"numEvts": "x"}, "numEvts = 'x' is not a whole number"),
        ("getImages", {"numEvts": "x"}, "numEvts = 'x' is not a whole number"),
    ],
)
def test_a_wrong_argument_is_named(anaps, command, options, told):
    with pytest.raises(ParameterError) as caught:
        getattr(anaps, command)("opal", **options)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers(anaps):
    image = anaps.AvImage("opal", np.int32(5), np.float32(1), std=np.True_, median=1)
    assert image.n_used == 5


def test_help_shows_types_as_they_are_written(anaps):
    text = str(inspect.signature(anaps.AvImage))
    assert "(detname: str | None = 'None', numEvts: int = 100," in text
    assert "useFilter: Filter | None = None" in text
    assert anaps.AvImage.__doc__.startswith("Average calibrated images")


def test_the_newest_image_is_the_default(anaps, monkeypatch):
    for detector in ("epix100", "opal", "epix100"):
        anaps.AvImage(detector, 5)
    anaps.AvImage("opal", 5)
    asked = []

    def answer(question: str) -> str:
        asked.append(question)
        return ""

    monkeypatch.setattr("smalldata_ana.session.prompts.somebody_there", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    anaps.interactive = True
    assert anaps.getAvImage().detector == "opal"
    assert "[opal]" in asked[0]


def test_what_commands_return_is_one_line(anaps, tmp_path):
    entry = anaps.SelectRegion("epix100", ROI=[[0, 1], [2, 9], [3, 8]]).accept()
    assert repr(entry) == "<Entry detector.epix100.roi 'ROI_0', runs 14->"
    report = anaps.exportParams(runs=14)
    assert repr(report) == f"<ExportReport: 1 entry in {tmp_path / 'p.toml'}>"
    assert "\n" not in repr(anaps.pixelHistogram("opal", 3))
    assert "of 1 event," in repr(anaps.AvImage("opal", 1))


# ---- what people are told beside --------------------------------------------------


@pytest.fixture
def sensors(tmp_path):
    """Return a session on a run with a jungfrau and with photons on an epix100."""
    rng = np.random.default_rng(1)
    pedestals = rng.uniform(99, 101, (1, 1, 64, 64)).astype(np.float32)
    noise = pedestals[0] + rng.normal(0, 3, (20, 1, 64, 64))
    photons = rng.uniform(size=noise.shape) < 0.05
    path = write_run(
        tmp_path / "sensors.h5",
        experiment=EXPERIMENT,
        run=RUN,
        images={
            "jf": np.full((20, 1, 512, 1024), 2900, np.uint16),
            "epix": (noise + 60 * photons).round().astype(np.uint16),
        },
        dettypes={"jf": "jungfrau", "epix": "epix100"},
        constants={
            "jf": {"pedestals": np.full((3, 1, 512, 1024), 2900, np.float32)},
            "epix": {"pedestals": pedestals},
        },
    )
    opened = Hdf5Run(path)
    yield SmallDataAna_psana(
        opened, places_of=lambda name: places(name, directory=tmp_path)
    )
    opened.close()


def test_suggested_common_mode_is_told_once(sensors, capsys):
    sensors.AvImage("jf", 2, common_mode=0)
    assert "hint" not in capsys.readouterr().out
    sensors.AvImage("jf", 2)
    assert "common_mode=7 is suggested" in capsys.readouterr().out
    sensors.AvImage("jf", 2)
    assert "hint" not in capsys.readouterr().out


def test_histogram_says_where_no_and_one_photon_are(sensors, capsys):
    sensors.pixelHistogram("epix", -1, nBins=200, common_mode=0)
    said = capsys.readouterr().out
    positions = [float(p) for p in re.findall(r"at (\S+) \+-", said)]
    np.testing.assert_allclose(positions, [0, 60], atol=0.5)


def test_histogram_without_light_has_no_photon_peak(sensors, capsys):
    sensors.pixelHistogram("jf", 2, common_mode=0)
    assert "no peaks are fitted" in capsys.readouterr().out
