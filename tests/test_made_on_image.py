"""What an entry tells of the image that it was chosen on."""

import dataclasses
import hashlib
from types import SimpleNamespace

import numpy as np
from rings_image import ring_image
from small_run import JUNGFRAU

from smalldata_ana.parameters.appending import append
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.made_on_image import made_on_image

SESSION = SimpleNamespace(run=SimpleNamespace(number=3))


def image(**changes):
    data = np.arange(np.prod(JUNGFRAU), dtype=np.float32).reshape(JUNGFRAU)
    good = np.ones(JUNGFRAU, bool)
    return dataclasses.replace(
        ring_image(JUNGFRAU[1:]), **{"data": data, "good": good} | changes
    )


def test_checksum_and_statistics_of_the_good_pixels():
    average = image()
    average.good[0] = False
    average.data[1, 0, 0] = np.nan
    made = made_on_image("SelectRegion", SESSION, average, note="n")
    assert (made["how"], made["run"], made["note"]) == ("SelectRegion", 3, "n")
    assert made["image_sha256"] == hashlib.sha256(average.data.tobytes()).hexdigest()
    values = average.data[1].ravel()[1:].astype(float)
    found = made["statistics"]
    np.testing.assert_allclose(
        [found["mean"], found["p50"], found["p99"]],
        [values.mean(), *np.percentile(values, (50, 99))],
        rtol=1e-5,
    )
    used = values.size / average.data.size
    np.testing.assert_allclose(found["masked"], 1 - used, rtol=1e-5)


def test_an_image_without_a_good_pixel():
    nothing = image(good=np.zeros(JUNGFRAU, bool))
    assert made_on_image("typed", SESSION, nothing)["statistics"] == {"masked": 1}


def test_without_an_image_nothing_is_said_of_it():
    assert {"image_sha256", "statistics"}.isdisjoint(
        made_on_image("typed", SESSION, None)
    )


def test_it_stands_in_the_parameter_file(tmp_path):
    made = made_on_image("typed", SESSION, image())
    box = {"ROI": [[0, 1], [0, 2], [0, 2]]}
    entry = Entry("det", "roi", RunRange(3), box, "A", made=made)
    append(tmp_path / "p.toml", [entry], "xpptut15")
    (read,) = ParameterFile.load(tmp_path / "p.toml", "xpptut15").entries
    assert dict(read.made) == made
