"""`anaps.submit()` and ``submit_smd.sh``: with Slurm on one node, and without.

Where Slurm is not installed, a stand-in notes what sbatch was given; the tests of the
jobs themselves are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import pytest
from one_node_slurm import missing, slurm, stand_in
from producing_run import ENVIRONMENT, EVENTS, PRODUCER, assert_equal, output, parts
from session_run import EXPERIMENT, RUN, write

from smalldata_ana.errors import ParameterError, UsageError
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.places import places
from smalldata_ana.session import submission
from smalldata_ana.session.anaps import SmallDataAna_psana
from smalldata_ana.session.submission import clean_environment
from smalldata_ana.sources.hdf5_run import Hdf5Run

pytest_plugins = ["producing_fixtures"]

SCRIPT = PRODUCER.parent / "submit_smd.sh"
SAYS = "echo Submitted batch job 4711"


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Return a function that makes a session; its places are as the options say."""
    monkeypatch.delenv("ARP_SLURM_ACCOUNT", raising=False)
    monkeypatch.setenv("SIT_PSDM_DATA", str(tmp_path / "data"))
    run = Hdf5Run(write(tmp_path))

    def new(files=(), **options):
        return SmallDataAna_psana(
            run, places_of=lambda name: places(name, **options), files=files
        )

    yield new
    run.close()


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """Put a stand-in for sbatch first; return what reads its words and environment."""

    def use(answer=SAYS):
        programs = stand_in(tmp_path, answer)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

        def noted():
            lines = (tmp_path / "environment").read_text().splitlines()
            variables = dict(line.split("=", 1) for line in lines if "=" in line)
            return (tmp_path / "words").read_text().splitlines(), variables

        return noted

    return use


@pytest.fixture
def no_slurm(monkeypatch):
    find = shutil.which
    monkeypatch.setattr(
        submission.shutil,
        "which",
        lambda name: None if name == "sbatch" else find(name),
    )


# ---- the command ---------------------------------------------------------------------


@pytest.mark.usefixtures("no_slurm")
def test_without_slurm_it_is_the_plain_command(session, capsys):
    job = session().submit()
    assert job.command == (
        *(sys.executable, str(PRODUCER)),
        *("-e", EXPERIMENT, "-r", str(RUN)),
    )
    assert job.process is None
    assert capsys.readouterr().out.strip() == " ".join(job.command)


@pytest.mark.usefixtures("no_slurm")
def test_what_the_session_uses_is_handed_on(session, tmp_path):
    anaps = session(
        xtc_dir=tmp_path / "xtc", params=tmp_path / "a b.toml", calib_dir=tmp_path / "c"
    )
    job = anaps.submit("10-14", 3, options="--nevents 10 --functions 'own file.py'")
    assert job.command[2:] == (
        *("--nproc", "3", "-e", EXPERIMENT, "-r", "10-14"),
        *("--xtc-dir", str(tmp_path / "xtc")),
        *("--params", str(tmp_path / "a b.toml")),
        *("--calib-dir", str(tmp_path / "c")),
        *("--nevents", "10", "--functions", "own file.py"),
    )
    assert "'own file.py'" in str(job)


@pytest.mark.usefixtures("no_slurm")
def test_files_that_were_given_one_by_one(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    anaps = session(files=["run.h5"], loose_files=True)
    words = anaps.submit().command
    assert words[words.index("--files") + 1] == str(tmp_path / "run.h5")
    with pytest.raises(UsageError, match=f"files of run {RUN} only"):
        anaps.submit(RUN + 1)


@pytest.mark.usefixtures("no_slurm")
def test_what_is_not_exported_is_told(session, capsys):
    anaps = session()
    region = {"ROI": [[0, 1], [2, 9], [3, 7]]}
    anaps.pending.append(Entry("epix100", "roi", RunRange(1), region, name="mine"))
    anaps.submit()
    assert "note: 1 entry is not exported yet" in capsys.readouterr().out


@pytest.mark.usefixtures("no_slurm")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"run": "12-"}, ParameterError, "no last run"),
        ({"nproc": 0}, ParameterError, "nproc = 0"),
        ({"queue": "day"}, UsageError, "no Slurm here"),
        ({"account": "lcls"}, UsageError, "no Slurm here"),
    ],
)
def test_wrong_arguments(session, arguments, error, message):
    with pytest.raises(error, match=message):
        session().submit(**arguments)


def test_what_another_job_left_is_not_handed_on():
    left = {
        "OMPI_COMM_WORLD_SIZE": "4",
        "OMPI_MCA_btl": "self",
        "PMIX_RANK": "0",
        "PMI_SIZE": "4",
        "PRTE_LAUNCHED": "1",
        "SLURM_NTASKS": "4",
        "SLURM_STEP_ID": "0",
        "SLURMD_NODENAME": "a",
    }
    kept = {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "SBATCH_PARTITION": "night",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
    }
    assert clean_environment(left | kept) == kept


# ---- starting it ---------------------------------------------------------------------


def test_with_slurm_it_is_a_job(session, sbatch, monkeypatch, capsys):
    noted = sbatch()
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    anaps = session()
    job = anaps.submit(nproc=2, go=True, queue="night", account="mine")
    words, variables = noted()
    assert ["sbatch", *words] == list(job.command)
    assert words == [
        *("--account=mine", "--partition=night", "--ntasks=2", "--oversubscribe"),
        *(str(SCRIPT), "-e", EXPERIMENT, "-r", str(RUN)),
    ]
    assert not {"OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"} & set(variables)
    assert job.number == 4711
    assert "Slurm job 4711" in capsys.readouterr().out


def test_the_account_of_the_job_system(session, sbatch, monkeypatch):
    sbatch()
    monkeypatch.setenv("ARP_SLURM_ACCOUNT", "arp")
    assert session().submit().command[1] == "--account=arp"


def test_the_account_of_the_experiment_at_slac(session, sbatch, monkeypatch):
    sbatch()
    monkeypatch.setattr(submission, "at_slac", lambda: True)
    assert session().submit().command[1] == f"--account=lcls:{EXPERIMENT}"


@pytest.mark.parametrize("answer", ["echo no such partition >&2; exit 1", "true"])
def test_a_job_that_slurm_refuses(session, sbatch, answer):
    sbatch(answer)
    with pytest.raises(UsageError, match="sbatch did not take the job"):
        session().submit(go=True)


@pytest.mark.parametrize(("answer", "starts"), [("y", True), ("", False)])
def test_a_person_is_asked(session, sbatch, monkeypatch, answer, starts):
    sbatch()
    anaps = session()
    anaps.interactive = True
    monkeypatch.setattr(submission, "somebody_there", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert (anaps.submit().number == 4711) is starts


@pytest.mark.usefixtures("no_slurm")
def test_a_process_of_this_machine(made, site, tmp_path, reference):
    from simulated import ours

    run = ours(made)
    anaps = SmallDataAna_psana(
        run,
        places_of=lambda experiment: places(
            experiment,
            xtc_dir=made.xtc_dir,
            params=site.folder / "p.toml",
            calib_dir=made.calib_dir,
            directory=tmp_path / "session",
        ),
    )
    more = f"--functions {site.folder}/functions.py -d {tmp_path} --gather_interval 3"
    job = anaps.submit(go=True, nproc=1, options=more)
    assert job.process.wait(60) == 0, job.log.read_text()
    assert "24 of 24 events" in job.log.read_text()
    assert job.log.parent == tmp_path / "session" / "logs"
    assert_equal(output(tmp_path), reference)
    run.close()


# ---- the script ----------------------------------------------------------------------


def plainly(*words, **variables):
    """Call the script; return its exit code and all that it said."""
    done = subprocess.run(
        [str(SCRIPT), *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_script_submits_itself(sbatch):
    noted = sbatch()
    words = ("-e", EXPERIMENT, "-r", "1", "-q", "night", "--ncores=2", "-a", "mine")
    code, said = plainly(*words, "--nevents", "5", PMI_RANK="0", SLURM_NTASKS="9")
    assert (code, said) == (0, "Submitted batch job 4711\n")
    given, variables = noted()
    assert given == [
        *("--account=mine", "--partition=night", "--ntasks=2", "--oversubscribe"),
        *(str(SCRIPT), "--submitted", "-e", EXPERIMENT, "-r", "1", "--nevents", "5"),
    ]
    assert not {"PMI_RANK", "SLURM_NTASKS"} & set(variables)


def test_the_script_knows_the_job_system(sbatch):
    noted = sbatch()
    arp = {"EXPERIMENT": EXPERIMENT, "RUN_NUM": "3", "ARP_SLURM_ACCOUNT": "arp"}
    code, _ = plainly(**arp, JID_UPDATE_COUNTERS="http://127.0.0.1:9")
    given, variables = noted()
    assert code == 0
    assert given == ["--account=arp", str(SCRIPT), "--submitted"]
    assert variables["RUN_NUM"] == "3"
    assert variables["JID_UPDATE_COUNTERS"] == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("words", "message"),
    [(("-n", "0"), "--ncores 0 is not"), (("-q",), "-q needs a value")],
)
def test_wrong_options_of_the_script(sbatch, words, message):
    sbatch()
    code, said = plainly(*words)
    assert code == 2
    assert message in said


def test_the_script_without_slurm(tmp_path):
    for name in ("bash", "readlink", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    code, said = plainly("-r", "1", "-e", EXPERIMENT, PATH=str(tmp_path))
    assert code == 2
    assert f"without Slurm: {PRODUCER}" in said


def test_the_help_of_the_script():
    code, said = plainly("-h")
    assert code == 0
    assert "usage: submit_smd.sh" in said


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck")
def test_the_script_is_clean():
    subprocess.run(["shellcheck", str(SCRIPT)], check=True)


# ---- jobs ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    why = missing()
    if why:
        pytest.skip(why)
    # The path of a socket must be short.
    with (
        tempfile.TemporaryDirectory(prefix="slurm") as folder,
        slurm(Path(folder)) as environment,
    ):
        yield ENVIRONMENT | environment


def submit(cluster, out, *words):
    """Submit a job; return its number."""
    out.mkdir(exist_ok=True)
    done = subprocess.run(
        ["sbatch", f"--output={out}/said", "--open-mode=append", *map(str, words)],
        env=cluster,
        cwd=out,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()[-1]


def await_end(cluster):
    """Wait until there are no jobs."""
    end = time.monotonic() + 90
    while said(cluster, "squeue", "-h"):
        assert time.monotonic() < end
        time.sleep(0.2)


def said(cluster, *command):
    done = subprocess.run(
        command, env=cluster, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.parametrize("how", [[], ["--mpi"]], ids=["processes", "mpi"])
def test_a_job_is_cancelled_and_goes_on(cluster, site, tmp_path, reference, how):
    site.order(wait=[EVENTS // 2])
    words = [SCRIPT, *how, *site.arguments(tmp_path)]
    number = submit(cluster, tmp_path, "--ntasks=1", "--oversubscribe", *words)
    site.await_waiting(EVENTS // 2)
    said(cluster, "scancel", "--batch", "--signal=TERM", number)
    time.sleep(1)
    site.go()
    await_end(cluster)
    job = said(cluster, "scontrol", "show", "job", number)
    assert "ExitCode=143:0" in job, job + (tmp_path / "said").read_text()
    assert "finished parts are kept" in (tmp_path / "said").read_text()
    assert parts(tmp_path)
    assert not output(tmp_path).exists()
    site.order()
    submit(cluster, tmp_path, *words)
    await_end(cluster)
    assert "by an earlier job" in (tmp_path / "said").read_text()
    assert_equal(output(tmp_path), reference)


def test_options_behind_the_script_make_another_job(cluster, site, tmp_path):
    words = [SCRIPT, "-q", "night", "-n", "1", "-a", "mine", *site.arguments(tmp_path)]
    first = submit(cluster, tmp_path, *words)
    await_end(cluster)
    text = (tmp_path / "said").read_text()
    assert "Submitted batch job" in text
    second = text.split()[3]
    assert int(second) > int(first)
    job = said(cluster, "scontrol", "show", "job", second)
    for part in ("Partition=night", "NumTasks=1", "Account=mine", "ExitCode=0:0"):
        assert part in job
    with h5py.File(output(tmp_path)) as file:
        assert "--nproc 1" in file["UserDataCfg/producer/command"].asstr()[()][0]
