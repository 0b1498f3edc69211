"""Who made something, when, how, and on which image."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from smalldata_ana.parameters.provenance import made, made_on

CONSTANT = {"validity": "10-end", "origin": "store", "time": ""}


def image(**made_with):
    return SimpleNamespace(name="AvImg_opal", n_used=100, made=made_with)


def test_who_when_and_how():
    record = made("typed", run=3, image=None)
    assert set(record) == {"by", "at", "tool", "how", "run"}
    assert "@" in record["by"]
    assert datetime.now(UTC) - record["at"] < timedelta(minutes=1)
    assert record["tool"].startswith("smalldata_ana ")


def test_on_an_image():
    given = image(selection="xon", common_mode=7, constants={"pedestals": CONSTANT})
    record = made_on("SelectRegion", 12, given, note="a")
    assert {k: record[k] for k in set(record) - {"by", "at", "tool"}} == {
        "how": "SelectRegion",
        "run": 12,
        "image": "AvImg_opal",
        "events": 100,
        "selection": "xon",
        "common_mode": 7,
        "calibration": {"pedestals": "10-end"},
        "note": "a",
    }


def test_what_is_not_known_is_left_out():
    known = {"by", "at", "tool", "how", "run"}
    assert set(made_on("typed", 12, image(selection=""))) == known | {"image", "events"}
    assert set(made_on("typed", 12, None)) == known
