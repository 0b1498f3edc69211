"""The producer's command line on a small run: output, exit codes, errors."""

import re

import h5py
import numpy as np
import pytest
from small_run import EVENTS, MISSING, frames, small_run

from smalldata_ana import opening
from smalldata_ana.commands.producer import main
from smalldata_ana.errors import RunNotFound, unknown
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.producing.interruption import StoppedError

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
RAW = '[[detector.jungfrau1M.common_mode]]\nruns = "1-"\ncommon_mode = -1\n'
BOX = '[[detector.jungfrau1M.roi]]\nruns = "1-"\nROI = [[0, 1], [4, 20], [5, 15]]\n'
WINDOW = np.s_[:, 0, 4:20, 5:15]


@pytest.fixture
def problems():
    """Sentences on what is wrong with the data of the run."""
    return []


@pytest.fixture
def produce(tmp_path, monkeypatch, problems):
    """Return a function that runs the producer on a parameter file's text."""

    def open_run(experiment, number, **places):
        if number != 12:
            raise RunNotFound(unknown("run", str(number), ["12"], experiment))
        run = small_run(tmp_path)
        run.problems = problems
        return run

    monkeypatch.setattr(opening, "open_run", open_run)
    monkeypatch.delenv("EXPERIMENT", raising=False)
    monkeypatch.delenv("RUN_NUM", raising=False)
    path = tmp_path / "xpptut15.toml"

    def run_it(text, *options, source=("-e", "xpptut15", "-r", "12")):
        path.write_text(text)
        folder = ["-d", str(tmp_path / "out"), "--params", str(path)]
        # Another process would not have this `open_run`.
        return main([*source, *folder, "--nproc", "1", *options])

    return run_it


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "xpptut15_Run0012.h5"


def test_the_columns_are_numpys(produce, output, capsys):
    assert produce(HEAD + RAW + BOX) == 0
    images = frames()["jungfrau1M"][WINDOW].astype(float)
    expected = images.sum(axis=(1, 2))
    expected[MISSING] = np.nan
    with h5py.File(output) as file:
        columns = file["jungfrau1M"]
        assert set(columns) == {"ROI_0_sum", "ROI_0_mean", "ROI_0_max", "ROI_0_com"}
        np.testing.assert_array_equal(columns["ROI_0_sum"], expected)
        np.testing.assert_allclose(columns["ROI_0_mean"], expected / 160)
        assert columns["ROI_0_com"].shape == (EVENTS, 2)
        assert columns["ROI_0_sum"].attrs["units"] == "ADU"
        assert file["timestamp"].dtype == np.int64
        assert file["timestamp"][0] == 1 << 32
    told = capsys.readouterr().out
    assert "7 of 7 events" in told
    assert "jungfrau1M: 1 events without data" in told
    assert str(output) in told


def test_the_configuration_says_how_it_was_made(produce, output, tmp_path):
    older = '[[detector.opal.roi]]\nruns = "1-11"\n'
    assert produce(HEAD + RAW + BOX + older) == 0
    with h5py.File(output) as file:
        configuration = file["UserDataCfg"]
        text = configuration["params"].asstr()[()]
        (path, checksum) = (
            configuration["params"].attrs[k] for k in ("path", "sha256")
        )
        detector = configuration["jungfrau1M"]
        assert detector["mask"].shape == (2, 24, 16)
        assert detector["unit"].asstr()[()] == "ADU"
        assert detector["common_mode"][()] == -1
        assert detector["ROI_0__ROI_0_ROI"][()].tolist() == [[0, 1], [4, 20], [5, 15]]
        assert "opal" not in configuration
    source = tmp_path / "xpptut15.toml"
    assert path == str(source)
    assert checksum == ParameterFile.load(source).resolve(12).sha256
    kinds = [e.kind for e in ParameterFile.parse(text, source).entries]
    assert kinds == ["common_mode", "roi"]


def test_nevents(produce, output):
    assert produce(HEAD + RAW + BOX, "-n", "3") == 0
    with h5py.File(output) as file:
        assert len(file["timestamp"]) == len(file["jungfrau1M/ROI_0_sum"]) == 3


def test_chained_entries(produce, output):
    child = '[[detector.jungfrau1M.roi]]\nruns = "1-"\nname = "in"\nof = "ROI_0"\n'
    assert produce(HEAD + RAW + BOX + child + "ROI = [[0, 2], [0, 3]]") == 0
    with h5py.File(output) as file:
        found = file["jungfrau1M/ROI_0_in_sum"][0]
    assert found == frames()["jungfrau1M"][0, 0, 4:6, 5:8].sum()


def test_a_detector_that_is_switched_off_is_left_out(produce, output):
    other = '[[detector.opal.roi]]\nruns = "1-"\n'
    off = '[[detector.jungfrau1M.use]]\nruns = "1-"\nuse = false\n'
    assert produce(HEAD + RAW + BOX + off + other) == 0
    with h5py.File(output) as file:
        assert "jungfrau1M" not in file
        assert "opal" in file


def test_experiment_and_run_from_the_environment(produce, output, monkeypatch):
    monkeypatch.setenv("EXPERIMENT", "xpptut15")
    monkeypatch.setenv("RUN_NUM", "12")
    assert produce(HEAD + RAW + BOX, source=()) == 0
    assert output.exists()


def test_incomplete_data(produce, output, problems, capsys):
    problems.append("the file a.xtc2 is truncated")
    assert produce(HEAD + RAW + BOX) == 3
    assert output.exists()
    assert "a.xtc2 is truncated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "schema"),
        (HEAD.replace("xpptut15", "xpp00123"), "xpp00123"),
        (HEAD + RAW + BOX.replace("20", "25"), r"line 6: .*\[4, 25\]"),
        (HEAD + BOX.replace("jungfrau1M", "jungfrau"), "Did you mean 'jungfrau1M'?"),
        (HEAD + BOX.replace("1-", "13-"), "nothing is to be done for run 12"),
        (HEAD + BOX + 'of = "ROI_1"', "no function 'ROI_1'"),
        (HEAD + BOX + 'of = "ROI_0"', "circle"),
        (HEAD + BOX + "writeAera = true", "Did you mean 'writeArea'?"),
    ],
)
def test_wrong_parameters_write_nothing(produce, tmp_path, capsys, text, message):
    assert produce(text) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert re.search(message, told)
    assert not (tmp_path / "out").exists()


def test_all_problems_are_in_one_report(produce, capsys):
    wrong = BOX.replace("20", "25") + BOX.replace("15", "99")
    assert produce(HEAD + RAW + wrong + '[[detector.opl.roi]]\nruns = "1-"') == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_what_the_run_lacks_is_told_with_what_is_wrong_in_the_file(produce, capsys):
    wrong = BOX + "writeAera = true\n"
    chained = '[[detector.jungfrau1M.roi]]\nruns = "1-"\nof = "ROI_0"\n'
    outside = BOX.replace("15", "99")
    absent = '[[detector.opl.roi]]\nruns = "1-"\n'
    event = '[event]\nepics = ["sam_q"]\n'
    assert produce(HEAD + RAW + wrong + chained + outside + absent + event) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 4
    for line, text in zip(
        told, ["writeAera", "sam_q", "[5, 99]", "'opl'"], strict=True
    ):
        assert text in line


def test_what_depends_on_a_wrong_entry_is_not_told_too(produce, capsys):
    geometry = '[[detector.jungfrau1M.geometry]]\nruns = "1-"\ndis_to_sam = -1.0\n'
    azav = '[[detector.jungfrau1M.azav]]\nruns = "1-"\npolarization = "vertical"\n'
    assert produce(HEAD + RAW + geometry + azav) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "dis_to_sam" in told


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((), "which experiment"),
        (("-e", "xpptut15"), "which run"),
        (("-e", "xpptut15", "-r", "13"), "no run '13' in xpptut15"),
        (("-e", "xpptut15", "-r", "12", "-n", "0"), "--nevents 0"),
    ],
)
def test_wrong_arguments(produce, output, capsys, source, message):
    assert produce(HEAD + RAW + BOX, source=source) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_a_wrong_run_number_in_the_environment(produce, monkeypatch, capsys):
    monkeypatch.setenv("RUN_NUM", "twelve")
    assert produce(HEAD, source=("-e", "xpptut15")) == 2
    told = capsys.readouterr().err
    assert "RUN_NUM = 'twelve': 'twelve' is no run and no range of runs" in told
    assert "'12-'" not in told


def test_a_run_that_fails_does_not_end_the_others(produce, output, capsys):
    assert produce(HEAD + RAW + BOX, source=("-e", "xpptut15", "-r", "11-13")) == 2
    assert output.exists()
    told = capsys.readouterr()
    assert "run 12: 7 of 7 events" in told.out
    assert told.err.splitlines()[0].startswith("error: run 11: no run '11' in xpptut15")
    assert told.err.splitlines()[-1] == "2 of 3 runs failed: 11, 13"


def test_the_largest_code_of_several_runs_counts(produce, problems, capsys):
    problems.append("the file a.xtc2 is truncated")
    assert produce(HEAD + RAW + BOX, source=("-e", "xpptut15", "-r", "12,13")) == 3
    assert capsys.readouterr().err.endswith("1 of 2 runs failed: 13\n")


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (StoppedError(143), 143)]
)
def test_an_interruption_ends_all_runs(produce, output, monkeypatch, error, code):
    def interrupted(*arguments, **options):
        raise error

    monkeypatch.setattr(opening, "open_run", interrupted)
    assert produce(HEAD + RAW + BOX, source=("-e", "xpptut15", "-r", "11-12")) == code
    assert not output.exists()


def test_usage(produce):
    with pytest.raises(SystemExit) as error:
        produce(HEAD, "--nevent")
    assert error.value.code == 2


def test_no_place_to_write(produce, tmp_path, capsys):
    (tmp_path / "out").touch()
    assert produce(HEAD + RAW + BOX) == 2
    assert "it is a file" in capsys.readouterr().err


def test_rows_are_written_in_batches(produce, output):
    area = BOX + "writeArea = true\n"
    assert produce(HEAD + RAW + area, "--gather_interval", "3") == 0
    expected = frames()["jungfrau1M"][WINDOW].astype(np.float32)
    expected[MISSING] = np.nan
    with h5py.File(output) as file:
        assert len(set(file["timestamp"])) == EVENTS
        assert (np.diff(file["timestamp"]) > 0).all()
        np.testing.assert_array_equal(file["jungfrau1M/ROI_0_area"], expected)


def test_an_interruption_leaves_the_file_of_before(produce, output, monkeypatch):
    assert produce(HEAD + RAW + BOX) == 0
    before = output.read_bytes()

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("smalldata_ana.producing.rows.stored_names", interrupted)
    assert produce(HEAD + RAW + BOX) == 130
    assert output.read_bytes() == before
    found = sorted(path.name for path in output.parent.iterdir())
    assert found == [".xpptut15_Run0012.parts", output.name]
