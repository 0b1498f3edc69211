"""The launcher and the producers get into the right Python, from anywhere."""

from __future__ import annotations

import pytest
from environment_checkout import Checkout, add_packages, bare_python, script

ECHO = 'echo "venv:$*"'


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a complete environment, beside a Python that was asked before."""
    made = Checkout.make(tmp_path / "a checkout", tmp_path / "bin")
    monkeypatch.syspath_prepend(made.root / "producers")
    made.complete(ECHO)
    python = script(made.bin / "python", 'echo "asked:$*" >&2; exit 7')
    (made.venv / ".asked").write_text(f"/another/python\n{python}\n")
    return made


@pytest.fixture
def launcher(checkout):
    return checkout.root / "producers/runSmallDataAna"


def test_the_arguments_arrive_and_no_other_python_is_started(checkout, launcher):
    done = checkout.run([launcher, "-r", "1", "-c", "a  b"])
    assert done.stdout == "venv:-P -m smalldata_ana -r 1 -c a  b\n"
    assert done.stderr == ""


def test_through_symbolic_links(checkout, launcher, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links/first").symlink_to("second")
    (tmp_path / "links/second").symlink_to("../a checkout/producers/runSmallDataAna")
    done = checkout.run(["./first", "-h"], cwd=tmp_path / "links")
    assert done.stdout == "venv:-P -m smalldata_ana -h\n"


def test_the_exit_code_is_that_of_the_session(checkout, launcher):
    checkout.complete("exit 3")
    assert checkout.run([launcher]).returncode == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda checkout: (checkout.root / "pyproject.toml").touch(),
        lambda checkout: (checkout.root / "constraints.txt").touch(),
        lambda checkout: (checkout.venv / ".ready").unlink(),
        lambda checkout: (checkout.venv / ".ready").write_text("/elsewhere\n"),
        lambda checkout: (checkout.venv / ".asked").unlink(),
        lambda checkout: (checkout.venv / ".asked").write_text("/another/python\n"),
        lambda checkout: (checkout.venv / "bin/python").unlink(),
    ],
    ids=["project", "constraints", "unfinished", "moved", "first", "other", "damaged"],
)
def test_it_asks_where_it_cannot_be_sure(checkout, launcher, change):
    change(checkout)
    done = checkout.run([launcher])
    script_path = checkout.root / "producers/environment.py"
    assert done.stderr == f"asked:{script_path} --called {checkout.bin}/python\n"
    assert done.returncode == 7


def test_a_machine_without_python(checkout, launcher):
    (checkout.bin / "python").unlink()
    (checkout.venv / ".ready").unlink()
    done = checkout.run([launcher])
    assert done.returncode == 2
    assert "sudo apt install" in done.stderr


# ---- the producers ----


@pytest.fixture
def producer(checkout):
    """A program that starts as the producers do."""
    path = checkout.root / "producers/program.py"
    path.write_text(
        "import sys\n"
        "if '--mpi' in sys.argv:\n"
        "    sys.modules['mpi4py.MPI'] = sys\n"
        "import environment\n"
        "environment.enter()\n"
        "print('here:', *sys.argv[1:])\n"
    )
    return path


@pytest.fixture
def bare(tmp_path):
    return bare_python(tmp_path / "bare")


def test_a_producer_starts_over_in_the_right_python(checkout, producer, bare):
    done = checkout.run([bare, producer.name, "-r", "1 2"], cwd=producer.parent)
    assert done.stdout == "venv:program.py -r 1 2\n"


def test_a_producer_in_the_right_python_goes_on(checkout, producer, bare):
    add_packages(bare, *checkout.modules()["checkout"].NEEDED)
    done = checkout.run([bare, producer, "-r", "1", "--mpi"])
    assert done.stdout == "here: -r 1 --mpi\n"


def test_a_process_of_mpi_cannot_start_over(checkout, producer, bare):
    done = checkout.run([bare, producer, "--mpi"])
    assert done.returncode == 2
    assert f"use {checkout.venv}/bin/python" in done.stderr


def test_a_damaged_environment_does_not_start_over_for_ever(checkout, producer, bare):
    checkout.complete()
    python = checkout.venv / "bin/python"
    python.unlink()
    (checkout.venv / "bin").rmdir()
    bare_python(checkout.venv)
    done = checkout.run([python, producer])
    assert done.returncode == 2
    assert "make clean-env env" in done.stderr
