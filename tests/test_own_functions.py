"""Own functions in a parameter file: ``call``, and the file that registers them."""

from __future__ import annotations

import multiprocessing
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from produced import results
from small_run import small_run

from smalldata_ana import own_functions
from smalldata_ana.commands.params import main
from smalldata_ana.errors import FileError, ParameterError, UserCodeError
from smalldata_ana.own_functions import load_functions
from smalldata_ana.parameters.file import ParameterFile, problems_of_file
from smalldata_ana.pipeline import build_detectors

PAGE = Path(__file__).parents[1] / "docs/own_function.md"
HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
CALL = """
[[detector.opal.function]]
runs = "1-"
name = "bright"
call = "above"
threshold = 1500.0
"""
IMPORTS = """\
import numpy as np
from traitlets import Float
from smalldata_ana import DetObjectFunc
from smalldata_ana.errors import ParameterError
"""


def code_of_the_page():
    """Return the part of the documentation's page that registers a function."""
    parts = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (code,) = [part for part in parts if "@own_function" in part]
    return IMPORTS + code


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Let no test see the functions of another."""
    monkeypatch.setattr(own_functions, "_functions", {})
    monkeypatch.setattr(own_functions, "_loaded", [])


@pytest.fixture
def functions(tmp_path):
    path = tmp_path / "functions.py"
    path.write_text(code_of_the_page())
    return path


@pytest.fixture
def write(tmp_path):
    def write(*parts):
        path = tmp_path / "p.toml"
        path.write_text(HEAD + "".join(parts), encoding="utf-8")
        return path

    return write


@pytest.fixture
def run(tmp_path):
    run = small_run(tmp_path)
    yield run
    run.close()


def resolved(path, code=None):
    return replace(ParameterFile.load(path).resolve(12), functions=code)


# -- what the page says ----------------------------------------------------------------


def test_the_entry_of_the_page_is_right(functions, write):
    (entry,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    load_functions(functions)
    path = write(entry)
    assert problems_of_file(path) == []
    (read,) = ParameterFile.load(path).entries
    assert read.make().threshold == 10.0
    assert read.make().name == "bright"


def test_the_function_works_on_events(functions, write, run):
    code = load_functions(functions)
    chained = '[[detector.opal.roi]]\nruns = "1-"\nname = "A"\nROI = [[0, 5], [0, 9]]\n'
    chained += CALL.replace('"bright"', '"inner"') + 'of = "A"\n'
    detectors = build_detectors(run, resolved(write(CALL, chained), code))
    for event in range(2):
        row = results(run, detectors, event)
        image = run.read("opal", event).astype(np.float32) * detectors[0].good
        assert row["opal/bright_n"] == np.count_nonzero(image > 1500)
        assert row["opal/bright_sum"] == image[image > 1500].sum(dtype=np.float64)
        corner = image[:5, :9]
        assert row["opal/A_inner_n"] == np.count_nonzero(corner > 1500)


def test_without_a_name_it_is_called_after_the_call(functions, write):
    path = write(CALL.replace('name = "bright"\n', "") * 2)
    before = [e.name for e in ParameterFile.load(path).entries]
    load_functions(functions)
    after = [e.name for e in ParameterFile.load(path).entries]
    assert before == after == ["above", "above_1"]


# -- what is wrong with entries --------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"above"', '"abvoe"', "no own function 'abvoe'; .*Did you mean 'above'"),
        ("threshold =", "treshold =", "Did you mean 'threshold'"),
        ("threshold = 1500.0", "", "'threshold' is missing: .unit of the image"),
        ("1500.0", '"high"', "threshold"),
        ('call = "above"', "", "'call' is missing: the name that the own function"),
        ('call = "above"', "call = 3", "call"),
    ],
)
def test_entries_are_checked_like_others(functions, write, old, new, message):
    load_functions(functions)
    problems = problems_of_file(write(CALL.replace(old, new)))
    assert any(re.search(message, problem) for problem in problems), problems
    assert all(problem.startswith("line ") for problem in problems)


def test_without_the_file_an_entry_can_stand_but_not_work(write, run):
    path = write(CALL)
    assert problems_of_file(path) == []
    message = "line 4: .*call = 'above': own functions .* --functions FILE"
    with pytest.raises(ParameterError, match=message):
        build_detectors(run, resolved(path))


def test_an_unknown_call_is_found_at_the_set_up_as_well(functions, write, run):
    found = resolved(write(CALL.replace("above", "abvoe")))
    with pytest.raises(ParameterError, match="Did you mean 'above'"):
        build_detectors(run, replace(found, functions=load_functions(functions)))


def test_check_says_what_it_did_not_check(functions, write, capsys):
    path = str(write(CALL.replace("threshold", "treshold")))
    assert main(["check", path]) == 0
    assert "not checked without --functions FILE" in capsys.readouterr().out
    assert main(["check", path, "--functions", str(functions)]) == 2
    assert "Did you mean 'threshold'" in capsys.readouterr().err
    assert main(["show", path, "-r", "1", "--functions", str(functions)]) == 2


def test_a_parameter_file_loads_nothing(functions, write, run):
    path = write(CALL, f'file = "{functions}"\n')
    with pytest.raises(ParameterError, match="--functions FILE"):
        build_detectors(run, resolved(path))


# -- the file --------------------------------------------------------------------------


def test_loading_is_done_once(functions):
    first = load_functions(functions)
    (function,) = own_functions._functions.values()
    assert load_functions(functions) == first
    assert list(own_functions._functions.values()) == [function]
    made = pickle.loads(pickle.dumps(function))
    assert made is function


def test_another_version_takes_the_place(functions):
    first = load_functions(functions)
    functions.write_text(code_of_the_page().replace('"above"', '"over"'))
    second = load_functions(functions)
    assert list(own_functions._functions) == ["over"]
    assert first.sha256 != second.sha256
    with pytest.raises(ParameterError, match="has changed meanwhile"):
        load_functions(functions, first.sha256)


def _n_bright(path, where):
    run = small_run(where)
    detectors = build_detectors(run, path)
    row = results(run, detectors, 1)
    run.close()
    return int(row["opal/bright_n"])


def test_other_processes_load_it_by_its_path(functions, write, run, tmp_path):
    found = resolved(write(CALL), load_functions(functions))
    (tmp_path / "other").mkdir()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        there = pool.submit(_n_bright, found, tmp_path / "other").result()
    row = results(run, build_detectors(run, found), 1)
    assert there == row["opal/bright_n"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\n1 / 0\n", r'functions.py", line 2, in(?s:.*)ZeroDivisionError'),
        ("def f(:\n", "SyntaxError"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        (
            "from smalldata_ana.own_functions import own_function\n"
            "@own_function('a')\nclass A:\n    pass\n",
            "not a class of DetObjectFunc",
        ),
        (
            IMPORTS + "from smalldata_ana.own_functions import own_function\n"
            "@own_function('a')\nclass A(DetObjectFunc):\n    runs = Float()\n",
            "has a parameter 'runs', which every entry has",
        ),
        (code_of_the_page() * 2, "there are two own functions 'above'"),
    ],
)
def test_a_mistake_in_the_file_is_the_users(functions, capsys, write, code, message):
    load_functions(functions)
    functions.write_text(code)
    with pytest.raises(UserCodeError, match=message) as error:
        load_functions(functions)
    assert str(error.value).startswith(f"{functions} failed\n")
    assert "user_code.py" not in str(error.value)
    assert list(own_functions._functions) == ["above"]  # as before
    assert main(["check", str(write(CALL)), "--functions", str(functions)]) == 1
    assert "functions.py" in capsys.readouterr().err


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        load_functions(tmp_path / "none.py")
    with pytest.raises(FileError, match="cannot read"):
        load_functions(tmp_path)
    (tmp_path / "empty.py").touch()
    with pytest.raises(ParameterError, match="registers no function"):
        load_functions(tmp_path / "empty.py")


@pytest.mark.parametrize("method", ["setFromDet(self, det)", "process(self, data)"])
def test_a_function_that_fails_at_its_set_up(functions, write, run, method):
    line = f"    def {method}:\n"
    functions.write_text(code_of_the_page().replace(line, f"{line}        1 / 0\n"))
    found = resolved(write(CALL), load_functions(functions))
    with pytest.raises(UserCodeError, match=r"line 4: detector\.opal\.function"):
        build_detectors(run, found)


def test_what_a_function_refuses_is_a_problem_of_the_parameters(functions, write, run):
    line = "        self._good = det.good\n"
    refuse = "        raise ParameterError('never')\n"
    functions.write_text(code_of_the_page().replace(line, refuse))
    found = resolved(
        write(CALL, CALL.replace("opal", "oval")), load_functions(functions)
    )
    with pytest.raises(ParameterError) as error:
        build_detectors(run, found)
    assert "never" in str(error.value)
    assert "no area detector 'oval'" in str(error.value)
