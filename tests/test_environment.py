"""The set-up decides rightly which Python to use, and how to make it."""

from __future__ import annotations

import ast
import fcntl
import importlib
import itertools
import os
import pwd
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from environment_checkout import (
    SOURCE,
    Checkout,
    add_packages,
    bare_python,
    script,
)

PROJECT = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    made = Checkout.make(tmp_path / "checkout", tmp_path / "bin")
    monkeypatch.syspath_prepend(made.root / "producers")
    return made


@pytest.fixture
def bare(tmp_path):
    return bare_python(tmp_path / "bare")


@pytest.fixture
def needed(checkout):
    return checkout.modules()["checkout"].NEEDED


# ---- which Python ----


def test_a_python_that_has_the_package_is_used_and_nothing_is_installed(
    checkout, bare, needed
):
    add_packages(bare, *needed)
    done = checkout.environment(bare, "--called", "python")
    assert done.stdout == f"{bare}\n"
    assert "using the installed" in done.stderr
    assert not checkout.venv.exists()


def test_the_working_directory_does_not_count(checkout, bare, needed):
    add_packages(bare, *(name for name in needed if name != "smalldata_ana"))
    package = checkout.root / "smalldata_ana"
    package.mkdir()
    (package / "__init__.py").touch()
    command = [bare, "producers/environment.py", "--dry-run"]
    done = checkout.run(command, cwd=checkout.root)
    assert done.stdout.endswith(f"{checkout.venv}/bin/python\n")
    assert "-m venv" in done.stdout


def test_a_package_without_what_it_needs_does_not_count(checkout, bare):
    add_packages(bare, "smalldata_ana")
    assert "-m venv" in checkout.environment(bare, "--dry-run").stdout


def test_tests_need_their_tools_as_well(checkout, bare, needed):
    add_packages(bare, *needed)
    assert "-m venv" in checkout.environment(bare, "--test", "--dry-run").stdout
    add_packages(bare, *checkout.modules()["checkout"].NEEDED_BY_TESTS)
    assert checkout.environment(bare, "--test").stdout == f"{bare}\n"


def test_a_complete_venv_is_used(checkout, bare):
    checkout.complete()
    done = checkout.environment(bare, "--called", "some-python")
    assert done.stdout == f"{checkout.venv}/bin/python\n"
    assert done.stderr == ""
    assert (checkout.venv / ".asked").read_text() == "some-python\n"


def test_requirements_that_were_only_touched_are_not_installed_again(checkout, bare):
    checkout.complete()
    os.utime(checkout.venv / ".ready", (1, 1))
    assert checkout.environment(bare).stderr == ""
    assert (checkout.venv / ".ready").stat().st_mtime > 1


def test_changed_requirements_are_installed_into_the_venv_that_is_there(checkout, bare):
    checkout.complete()
    with (checkout.root / "constraints.txt").open("a") as file:
        file.write("another==1\n")
    done = checkout.environment(bare, "--dry-run")
    assert "-m venv" not in done.stdout
    assert "uv pip install" in done.stdout


def test_an_interrupted_start_is_repeated_from_the_beginning(checkout, bare):
    checkout.complete()
    (checkout.venv / ".ready").unlink()
    lines = checkout.environment(bare, "--dry-run").stdout.splitlines()
    assert lines[0] == f"# rmtree '{checkout.venv}'"
    assert "-m venv" in lines[3]


def test_a_venv_that_came_with_a_copied_checkout_is_made_again(checkout, bare):
    checkout.complete()
    (checkout.venv / ".ready").write_text("/somewhere/else\n")
    assert "rmtree" in checkout.environment(bare, "--dry-run").stdout


# ---- how it is made ----


def test_a_dry_run_says_everything_and_does_nothing(checkout, bare):
    before = sorted(checkout.root.rglob("*"))
    done = checkout.environment(bare, "--dry-run", "--called", "python")
    assert done.returncode == 0
    install = re.search(r"\$ (.*uv pip install.*)", done.stdout).group(1)
    assert f"-c {checkout.root}/constraints.txt" in install
    assert install.endswith("-e '.[mpi,gui,jupyter,test]'")
    assert "compile_all()" in done.stdout
    after = [
        path for path in checkout.root.rglob("*") if "__pycache__" not in str(path)
    ]
    assert sorted(after) == [path for path in before if "__pycache__" not in str(path)]


def test_uv_on_the_path_is_used_instead_of_pip(checkout, bare):
    uv = script(checkout.bin / "uv", "true")
    done = checkout.environment(bare, "--dry-run")
    assert "--without-pip" in done.stdout
    assert f"$ {uv} pip install" in done.stdout
    assert "-m pip" not in done.stdout


def test_a_uv_that_does_not_run_is_none(checkout, bare):
    script(checkout.bin / "uv", "exit 127")
    assert "-m pip install -qq uv" in checkout.environment(bare, "--dry-run").stdout


def test_psana_that_is_there_is_used_and_not_installed_over(checkout, bare):
    add_packages(bare, "psana", "psana/psexp")
    done = checkout.environment(bare, "--dry-run")
    assert (
        f"{bare} -m venv --prompt smalldata_ana --system-site-packages" in done.stdout
    )
    assert "--no-deps -e" in done.stdout
    assert "constraints.txt" not in done.stdout
    assert "[mpi" not in done.stdout
    assert "uv" not in done.stdout


def test_the_psana_of_lcls1_does_not_count(checkout, bare):
    add_packages(bare, "psana")
    assert (
        "--system-site-packages" not in checkout.environment(bare, "--dry-run").stdout
    )


def test_what_is_installed_over_an_environment(checkout, monkeypatch):
    install = checkout.modules()["install"]
    checkout.complete()
    monkeypatch.setattr(install, "origin", {"PyQt5": "here"}.get)
    install.write_lists()
    wanted = (checkout.venv / "wanted.txt").read_text()
    assert "tomlkit" in wanted
    assert "psana" not in wanted
    assert "PySide6" not in wanted
    there = (checkout.venv / "there.txt").read_text().lower().splitlines()
    assert any(re.fullmatch(r"numpy==\S+", line) for line in there)


def test_a_virtual_environment_with_psana_is_seen(checkout, monkeypatch):
    install = checkout.modules()["install"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = checkout.venv / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    monkeypatch.setattr(sys, "base_prefix", "/elsewhere")
    install.see_virtual_environment()
    assert "site-packages" in (site / "packages_below.pth").read_text()


# ---- a Python to make it from ----


def fake(folder, version, *, ensurepip=True, pip=(24, 0)):
    """A Python that answers the probe as told."""
    path = folder / ("python" + ".".join(map(str, version)))
    answer = {"python": str(path), "version": list(version)}
    answer |= {"ensurepip": ensurepip, "pip": list(pip)}
    text = str(answer).replace("'", '"').replace("True", "true")
    return str(script(path, f"echo '{text.replace('False', 'false')}'"))


@pytest.fixture
def pythons(checkout, monkeypatch):
    """The module, where nothing is on the path."""
    module = checkout.modules()["pythons"]
    monkeypatch.setenv("PATH", str(checkout.bin))
    return module


def offer(pythons, monkeypatch, *paths):
    monkeypatch.setattr(pythons, "candidates", lambda uv: iter(paths))


def test_the_first_python_that_psana_has_wheels_for(pythons, monkeypatch, tmp_path):
    old, new = fake(tmp_path, (3, 10)), fake(tmp_path, (3, 14))
    right, later = fake(tmp_path, (3, 12)), fake(tmp_path, (3, 11))
    broken = str(script(tmp_path / "shim", "exit 127"))
    offer(pythons, monkeypatch, None, broken, old, new, right, later)
    assert pythons.find_python()["python"] == right


def test_no_python_names_the_command_to_type(pythons, checkout, monkeypatch, tmp_path):
    offer(pythons, monkeypatch, fake(tmp_path, (3, 9)))
    with pytest.raises(Exception, match=r"apt install python3\.11 python3\.11-venv"):
        pythons.find_python()
    script(checkout.bin / "apt-cache", '[ "$2" = python3.12 ] && echo found')
    with pytest.raises(Exception, match=r"apt install python3\.12 python3\.12-venv"):
        pythons.find_python()
    script(checkout.bin / "uv", "true")
    with pytest.raises(Exception, match="uv python install"):
        pythons.find_python()


def test_a_python_that_cannot_make_venvs(pythons, monkeypatch, tmp_path):
    bare = fake(tmp_path, (3, 11), ensurepip=False, pip=(0,))
    offer(pythons, monkeypatch, bare)
    with pytest.raises(Exception, match=r"sudo apt install python3\.11-venv"):
        pythons.find_python()
    whole = fake(tmp_path, (3, 13))
    offer(pythons, monkeypatch, bare, whole)
    assert pythons.find_python()["python"] == whole


def test_pip_of_the_system_helps_a_python_without_ensurepip(
    pythons, checkout, monkeypatch, tmp_path, capsys
):
    python = fake(tmp_path, (3, 11), ensurepip=False, pip=(23, 0))
    offer(pythons, monkeypatch, python)
    install = sys.modules["bootstrap.install"]
    monkeypatch.setattr(install, "has_psana2", lambda: False)
    install.make(install.Steps(dry_run=True))
    out = capsys.readouterr().out
    assert "--without-pip" in out
    assert f"{python} -m pip --python {checkout.venv}/bin/python install" in out


# ---- what goes wrong ----


def test_a_venv_of_somebody_else_is_left_alone(checkout, bare):
    checkout.venv.mkdir()
    done = checkout.environment(bare)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"mv {checkout.venv} {checkout.venv}-own" in done.stderr
    done = checkout.environment(bare, "--remove")
    assert done.returncode == 2
    assert "it stays" in done.stderr
    assert checkout.venv.exists()


@pytest.fixture
def theirs(checkout, monkeypatch):
    """The bootstrap of a checkout of another user, in which we cannot write."""
    monkeypatch.delitem(sys.modules, "environment", raising=False)
    checkout.modules()
    module = importlib.import_module("environment")
    monkeypatch.setattr(module, "usable_here", lambda modules=(): False)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    yield module
    del sys.modules["environment"]


def test_what_to_do_about_it_is_said_in_one_line(theirs, checkout, monkeypatch):
    with pytest.raises(theirs.SetupError) as error:
        theirs.find_or_make()
    text = str(error.value)
    owner = checkout.root.owner()
    assert f"ask {owner}, whose it is, to type `make env` there" in text
    assert "a checkout of your own, which takes Python 3.11 to 3.13" in text
    assert "\n" not in text
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(theirs.SetupError, match=r"ask user \d+,"):
        theirs.find_or_make()


def test_an_old_environment_of_another_user_is_used(theirs, checkout, capsys):
    checkout.complete()
    (checkout.root / "constraints.txt").write_text("another==1\n")
    assert theirs.find_or_make() == str(checkout.venv / "bin/python")
    assert "is not up to date; ask" in capsys.readouterr().err


def test_what_is_remembered_need_not_be_writable(theirs, checkout, monkeypatch):
    checkout.complete()
    os.utime(checkout.venv / ".ready", (1, 1))

    def refused(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "utime", refused)
    assert theirs.find_or_make() == str(checkout.venv / "bin/python")
    (checkout.venv / ".asked").mkdir()
    theirs.remember("python")


def test_removing_takes_the_venv_and_nothing_else(checkout, bare):
    before = {path.name for path in checkout.root.iterdir()}
    checkout.complete()
    assert checkout.environment(bare, "--remove").returncode == 0
    assert {path.name for path in checkout.root.iterdir()} == before
    assert checkout.environment(bare, "--remove").returncode == 0


@pytest.fixture
def failing(checkout, monkeypatch):
    """The module that installs, on a machine where every command fails."""
    install = checkout.modules()["install"]
    monkeypatch.setattr(subprocess, "call", lambda *args, **options: 1)
    monkeypatch.setattr(install, "has_psana2", lambda: False)
    monkeypatch.setattr(install, "find_uv", lambda: None)
    return install


def test_a_failed_start_is_not_taken_for_complete(checkout, failing):
    with pytest.raises(failing.SetupError, match="the next start repeats it"):
        failing.make(failing.Steps())
    assert not (checkout.venv / ".ready").exists()
    assert not failing.foreign()


def test_a_failed_update_keeps_what_there_was(checkout, failing, capsys):
    checkout.complete()
    (checkout.root / "constraints.txt").write_text("another==1\n")
    before = (checkout.venv / ".ready").read_text()
    failing.make(failing.Steps())
    assert (checkout.venv / ".ready").read_text() == before
    assert "going on as before" in capsys.readouterr().err


def test_without_uv_pip_is_told_what_it_will_need(checkout, failing, capsys):
    with pytest.raises(failing.SetupError):
        failing.install_own(failing.Steps(), ["pip"])
    assert "sudo apt install gcc libkrb5-dev" in capsys.readouterr().err


def test_two_starts_at_once_wait_for_each_other(checkout, bare):
    command = [bare, checkout.root / "producers/environment.py", "--dry-run"]
    with (checkout.root / "pyproject.toml").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        second = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert "waiting for another start" in second.stderr.readline()
        checkout.complete()
    out, err = second.communicate(timeout=60)
    assert out == f"{checkout.venv}/bin/python\n"
    assert err == ""


# ---- the files agree with each other ----


def test_it_runs_under_old_pythons():
    for path in [SOURCE / "producers/environment.py", *SOURCE.glob("*/bootstrap/*.py")]:
        ast.parse(path.read_text(), feature_version=(3, 6))


def names(requirements):
    return {re.match(r"[\w.-]+", line).group().lower() for line in requirements}


def test_what_is_looked_for_is_what_the_project_needs(checkout, needed):
    module = checkout.modules()["checkout"]
    known = packages_distributions()

    def distributions(modules):
        return {known.get(name, [name])[0].lower() for name in modules}

    wanted = names(PROJECT["dependencies"]) - {"psana"}
    assert distributions(set(needed) - {"smalldata_ana"}) == wanted
    extra = names(PROJECT["optional-dependencies"]["test"])
    assert distributions(module.NEEDED_BY_TESTS) == extra


def test_the_version_of_everything_is_constrained():
    lines = (SOURCE / "constraints.txt").read_text().splitlines()
    constrained = names(line for line in lines if "==" in line)
    extras = PROJECT["optional-dependencies"].values()
    assert names(itertools.chain(PROJECT["dependencies"], *extras)) <= constrained
