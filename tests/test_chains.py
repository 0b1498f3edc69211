"""Functions that work on what others pass on, and results of any length."""

import itertools

import numpy as np
import pytest
from image_source import Images, attached
from traitlets import Int

from smalldata_ana.ana_funcs import DetObjectFunc, ROIFunc
from smalldata_ana.ana_funcs.base import Passed
from smalldata_ana.detector.protocol import Field, Length
from smalldata_ana.errors import ParameterError

SHAPE = (2, 6, 8)


class Doubled(DetObjectFunc):
    """Passes the image on with twice its values."""

    passes = Passed.IMAGE
    lookback = 2

    @property
    def unit(self):
        return f"2 {self.source.unit}"

    def process(self, data):
        return {"sum": data.sum(), **self.pass_on(2 * data)}


class Above(DetObjectFunc):
    """Passes on where the image is above a threshold."""

    passes = Passed.POSITIONS
    threshold = Int(5)

    def describe(self):
        values = Field(np.dtype(np.int64), length=Length.VARIABLE)
        return {"row": values, "column": values} | self.describe_chained()

    def process(self, data):
        *_, row, column = np.nonzero(data > self.threshold)
        return {"row": row, "column": column} | self.pass_on(row)


class Counted(DetObjectFunc):
    takes = (Passed.POSITIONS,)

    def describe(self):
        return {"n": Field(np.dtype(np.int64))}

    def process(self, data):
        return {"n": len(data)}


def chain(*functions):
    """Return the first of some functions, each chained to the one before."""
    for above, func in itertools.pairwise(functions):
        above.addFunc(func)
    return functions[0]


def test_a_chain_of_any_depth_has_its_names_in_a_row():
    roi = chain(
        ROIFunc(ROI=[[1, 2], [0, 4], [2, 8]]),
        Doubled(name="twice"),
        Above(name="above", threshold=9),
        Counted(name="count"),
    )
    image = np.arange(96, dtype=np.float32).reshape(SHAPE) % 13
    found = attached(roi, Images(SHAPE)).process(image)
    above = 2 * image[1, :4, 2:8] > 9
    assert found["twice_sum"] == image[1, :4, 2:8].sum()
    assert found["twice_above_count_n"] == np.count_nonzero(above)
    np.testing.assert_array_equal(found["twice_above_row"], np.nonzero(above)[0])
    assert roi.describe().keys() == found.keys()
    assert roi.events_before() == 2


def test_what_passes_on_is_the_source_of_the_next():
    inner = Above()
    roi = ROIFunc(ROI=[[1, 2], [0, 4], [2, 8]])
    noise = np.arange(96, dtype=np.float32).reshape(SHAPE)
    chain(roi, Doubled(), inner)
    attached(roi, Images(SHAPE, noise=noise, first=(4, 0, 0)))
    assert inner.source.shape == (4, 6)
    assert inner.source.unit == "2 keV"
    assert inner.source.first == (5, 0, 2)
    np.testing.assert_array_equal(inner.source.noise, noise[1, :4, 2:8])


def test_a_lone_set_up_prepares_what_is_chained_at_its_first_use():
    func = chain(Doubled(), inner := Doubled(name="inner"))
    func.setFromDet(Images(SHAPE))
    assert func.process(np.ones(SHAPE, np.float32))["inner_sum"] == 2 * 96
    assert inner.source is func


@pytest.mark.parametrize(
    ("above", "func", "message"),
    [
        (Counted(), ROIFunc(), "Counted 'Counted' passes nothing on.*ROIFunc 'ROI'"),
        (Above(), ROIFunc(), "works on an image, and .* gives a list of positions"),
        (ROIFunc(), Counted(), "works on a list of positions, and .* gives an image"),
    ],
)
def test_chains_that_cannot_work_are_refused(above, func, message):
    with pytest.raises(ParameterError, match=message):
        above.addFunc(func)


def test_a_circle_is_refused():
    first, second = Doubled(name="a"), Doubled(name="b")
    first.addFunc(second)
    with pytest.raises(ParameterError, match="round for ever"):
        second.addFunc(first)
    with pytest.raises(ParameterError, match="round for ever"):
        first.addFunc(first)


def test_what_does_not_fit_is_not_chained():
    roi = attached(ROIFunc(ROI=[[0, 1], [0, 2], [0, 2]]), Images(SHAPE))
    with pytest.raises(ParameterError, match="does not lie"):
        roi.addFunc(ROIFunc(name="inner", ROI=[[0, 3], [0, 2]]))
    assert not roi.funcs


def test_fields_of_any_length_are_stored_by_their_function():
    func = chain(Doubled(name="a"), Above(name="b"))
    fields = attached(func, Images(SHAPE)).describe()
    above = {f"f_{key}": field.below("f") for key, field in fields.items()}
    assert above["f_b_row"].path("f_b_row") == ("var_f_b", "row")
    assert above["f_sum"].path("f_sum") == ("f_sum",)
    assert above["f_b_row"].missing().shape == (0,)
    ragged = Field(np.dtype(np.int64), length=Length.RAGGED)
    assert ragged.path("f_row") == ("ragged_f_row",)


@pytest.mark.parametrize(
    "value", [np.zeros(3), np.zeros((2, 2)), np.zeros(2, complex), ["a", "b"]]
)
def test_a_value_that_is_not_as_described_is_an_error(value):
    with pytest.raises(ParameterError, match="described as float64 of shape"):
        Field(np.dtype(np.float64), (2,)).checked("f_x", value)


def test_a_detector_gives_images_only():
    with pytest.raises(ParameterError, match="'jungfrau1M' gives an image"):
        attached(Counted(), Images(SHAPE))


def test_an_image_of_another_shape_than_said_is_not_passed_on():
    class Cropped(DetObjectFunc):
        passes = Passed.IMAGE

        def process(self, data):
            return self.pass_on(data[:, :3])

    func = chain(Cropped(name="crop"), Doubled())
    func.setFromDet(Images(SHAPE))
    with pytest.raises(ParameterError, match=r"'crop' passes on an image of \(2, 3, 8"):
        func.process(np.zeros(SHAPE, np.float32))
