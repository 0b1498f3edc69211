"""What determines results: the same for the same results, and changes in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import smalldata_ana.pipeline  # noqa: F401 (it knows all that parameters may hold)
from smalldata_ana import own_functions
from smalldata_ana.detector.mask_entries import mask_entry, stored
from smalldata_ana.parameters.file import ParameterFile, file_text
from smalldata_ana.parameters.record import describe_changes
from smalldata_ana.parameters.resolved import Definition
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.parameters.user_code import CodeFile

HEAD = 'schema = "smalldata-ana-params/1"\nexperiment = "xpptut15"\n'
A = """
[[detector.det.roi]]
runs = "12-"
name = "A"
ROI = [[0, 1], [100, 120], [50, 60]]
thresADU = 5.0
[detector.det.roi.made]
by = "somebody"
"""
B = '\n[[detector.det.roi]]\nruns = "1-"\nname = "B"\nROI = [[0, 1], [2, 3], [4, 5]]\n'
OTHER = '\n[[detector.other.sums]]\nruns = "1-"\nsums = ["calib"]\n'
EVENT = "\n[event]\nttCalib = [0.0, 1.0]\n"
ALL = (A, B, OTHER, EVENT)


@pytest.fixture
def resolve(tmp_path):
    def resolve(*parts, run=20):
        path = tmp_path / "p.toml"
        path.write_text(HEAD + "".join(parts), encoding="utf-8")
        return ParameterFile.load(path).resolve(run)

    return resolve


# -- what makes no difference ----------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        (EVENT, OTHER, B, A),
        (A.replace("5.0", "5"), B, OTHER, EVENT),
        ("# a comment\n", A.replace("somebody", "me"), "\n\n", B, OTHER, EVENT),
        (A.replace('"12-"', '"3-40"'), B, OTHER, EVENT),
        (*ALL, A.replace('"12-"', '"21-"').replace("5.0", "7.0")),
        (*ALL, B.replace('"B"', '"C"').replace('"1-"', '"1-19"')),
        (A.replace("100, 120", "0, 9").replace('"12-"', '"10-"'), *ALL),
        (*ALL, B.replace("det.", "off."), '[[detector.off.use]]\nruns="1-"\nuse=false'),
        (*ALL, B.replace('"1-"', '"1-"\nenabled = false').replace('"B"', '"D"')),
    ],
)
def test_what_makes_no_difference(resolve, parts):
    before, after = resolve(*ALL), resolve(*parts)
    assert after.record() == before.record()
    assert after.digest() == before.digest()
    assert after.digests() == before.digests()
    assert describe_changes(before.record(), after.record()) == []


# -- what does -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "part", "sentence"),
    [
        (
            (A.replace("100, 120", "100, 130"), B, OTHER, EVENT),
            "det",
            "det roi 'A': ROI was [[0,1],[100,120],[50,60]], "
            "is [[0,1],[100,130],[50,60]]",
        ),
        (
            (A.replace("thresADU = 5.0", ""), B, OTHER, EVENT),
            "det",
            "det roi 'A': thresADU was 5, is not given",
        ),
        (
            (A, B + "writeArea = true\n", OTHER, EVENT),
            "det",
            "det roi 'B': writeArea is True, was not given",
        ),
        ((A, OTHER, EVENT), "det", "det roi 'B': no longer there"),
        ((*ALL, B.replace('"B"', '"C"')), "det", "det roi 'C': new"),
        ((A, B, EVENT), "other", "other: no longer there"),
        ((*ALL, OTHER.replace("other", "more")), "more", "more: new"),
        (
            (A, B, OTHER, EVENT.replace("1.0", "2.0")),
            "event",
            "event: ttCalib was [0,1], is [0,2]",
        ),
        ((A, B, OTHER), "event", "event: no longer there"),
        (
            (A, B + 'of = "A"\n', OTHER, EVENT),
            "det",
            "det roi 'B': of is 'A', was not given",
        ),
    ],
)
def test_changes_in_words(resolve, parts, part, sentence):
    before, after = resolve(*ALL), resolve(*parts)
    assert describe_changes(before.record(), after.record()) == [sentence]
    old, new = before.digests(), after.digests()
    assert {k for k in old.keys() | new.keys() if old.get(k) != new.get(k)} == {part}
    assert before.digest() != after.digest()


def test_a_long_value_is_shortened(resolve):
    boxes = [[[n, n + 1], [0, 9], [0, 9]] for n in range(30)]
    after = resolve(A.replace("[[0, 1], [100, 120], [50, 60]]", str(boxes)))
    (sentence,) = describe_changes(resolve(A).record(), after.record())
    assert sentence.endswith("…")
    assert len(sentence) < 250


@pytest.mark.parametrize("where", [0, 40, 59])
def test_of_long_values_the_part_that_differs_is_shown(resolve, where):
    boxes = [[[n, n + 1], [0, 9], [0, 9]] for n in range(60)]
    changed = [list(box) for box in boxes]
    changed[where] = [[where, where + 1], [0, 8], [0, 9]]
    texts = [
        A.replace("[[0, 1], [100, 120], [50, 60]]", str(b)) for b in (boxes, changed)
    ]
    before, after = map(resolve, texts)
    (sentence,) = describe_changes(before.record(), after.record())
    was, is_ = sentence.split(", is ")
    assert f"[{where},{where + 1}],[0,9]" in was or "[0,9]," in was
    assert "[0,8]" in is_
    assert "[0,8]" not in was
    assert len(sentence) < 270


def mask_text(folder: Path, good: np.ndarray) -> str:
    entry = stored(mask_entry("det", good, RunRange(1)), folder)
    return file_text("xpptut15", [entry])


def test_a_mask_is_its_content(tmp_path):
    good = np.ones((1, 4, 5), bool)
    path = tmp_path / "p.toml"
    path.write_text(mask_text(tmp_path, good))
    before = ParameterFile.load(path).resolve(1)
    (entry,) = before.detectors["det"]
    moved = tmp_path / "masks/moved.h5"
    (tmp_path / entry.values["file"]).rename(moved)
    path.write_text(path.read_text().replace(entry.values["file"], "masks/moved.h5"))
    assert ParameterFile.load(path).resolve(1).record() == before.record()
    good[0, 2, 2] = False
    path.write_text(mask_text(tmp_path, good))
    after = ParameterFile.load(path).resolve(1)
    told = describe_changes(before.record(), after.record())
    assert told == ["det mask 'mask': changed"]


def test_a_text_that_names_a_file_is_its_content(resolve, tmp_path):
    ghost = tmp_path / "ghost.h5"
    text = '[[detector.det.common_mode]]\nruns = "1-"\n'
    text += 'common_mode = { number = 180, ghost = "ghost.h5" }\n'
    ghost.write_bytes(b"one")
    before = resolve(text)
    first = before.record()
    ghost.write_bytes(b"two")
    assert resolve(text).record() != first
    (sentence,) = describe_changes(first, resolve(text).record())
    assert sentence.startswith("det common_mode: common_mode was")
    ghost.write_bytes(b"one")
    assert resolve(text).record() == first


def test_code_is_its_content(resolve, monkeypatch):
    monkeypatch.setattr(own_functions, "_functions", {})  # of no other test
    call = '[[detector.det.function]]\nruns = "1-"\nname = "F"\ncall = "f"\n'
    code = CodeFile(Path("functions.py"), "1" * 64)
    before = replace(resolve(call, B, OTHER), functions=code)
    after = replace(before, functions=CodeFile(Path("moved.py"), "1" * 64))
    assert after.record() == before.record()
    after = replace(before, functions=CodeFile(Path("functions.py"), "2" * 64))
    told = describe_changes(before.record(), after.record())
    assert told == ["det function 'F': the file of functions changed"]
    assert before.digests()["other"] == after.digests()["other"]
    codes = (Definition(CodeFile(Path("c.py"), s)) for s in "12")
    one, two = (replace(before, define_dets=code) for code in codes)
    assert describe_changes(one.record(), two.record()) == ["define_dets: changed"]
