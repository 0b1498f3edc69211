"""Shapes of masks against pictures that are computed another way."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tomllib

import numpy as np
import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as MplPath
from rotated_panels import detector as six_panels

from smalldata_ana.detector.geometry import ImageGeometry
from smalldata_ana.detector.image_masks import image_from_raw
from smalldata_ana.detector.kinds import GENERIC, kind_of
from smalldata_ana.detector.mask_drawings import (
    Brush,
    Circle,
    Donut,
    Ellipse,
    Polygon,
    Rectangle,
)
from smalldata_ana.detector.mask_layers import (
    SHAPES,
    Layer,
    layers_of,
    select,
    shape_of,
)
from smalldata_ana.detector.mask_selections import (
    Central,
    Edges,
    Pixels,
    Suspicious,
    Threshold,
)
from smalldata_ana.detector.mask_shapes import Inversion, Scene
from smalldata_ana.errors import GeometryError, ParameterError

SHAPE = (40, 50)
ROW, COLUMN = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)


def scene(shape=SHAPE, positions=None, kind=GENERIC, good=None, **values):
    """Return what shapes are drawn on; values are arrays by name."""
    geometry = ImageGeometry.from_positions(positions, shape)
    known = {name: values.get(name) for name in ("image", "pedestal", "noise")}
    return Scene(
        geometry,
        kind,
        np.ones(shape, bool) if good is None else good,
        {name: (lambda v=value: v) for name, value in known.items()},
    )


def drawn(shape):
    return shape.selected(scene())


# ---- drawn shapes --------------------------------------------------------------------


def test_a_rectangle_is_half_open_as_a_region():
    expected = np.zeros(SHAPE, bool)
    expected[3:7, 10:12] = True
    np.testing.assert_array_equal(drawn(Rectangle((3, 7), (10, 12))), expected)


def test_a_rectangle_that_reaches_out_of_the_image_is_cut():
    expected = np.zeros(SHAPE, bool)
    expected[:5, 45:] = True
    np.testing.assert_array_equal(drawn(Rectangle((-90, 5), (45, 1e6))), expected)


def test_circle_and_donut_hold_what_is_not_farther_than_the_radius():
    distance = np.hypot(ROW - 20.5, COLUMN - 48)
    np.testing.assert_array_equal(drawn(Circle((20.5, 48), 7)), distance <= 7)
    expected = (distance <= 7) & (distance >= 3)
    np.testing.assert_array_equal(drawn(Donut((20.5, 48), 7, 3)), expected)


def test_an_ellipse_is_turned_from_rows_to_columns():
    found = drawn(Ellipse((20, 25), (12, 4), angle=30))
    turned = (ROW - 20 + 1j * (COLUMN - 25)) * np.exp(-1j * np.pi / 6)
    expected = (turned.real / 12) ** 2 + (turned.imag / 4) ** 2 <= 1
    np.testing.assert_array_equal(found, expected)
    # its long axis goes down and to the right
    assert found[28, 30]
    assert not found[28, 20]


def test_a_polygon_is_what_matplotlib_fills():
    corners = [(2.3, 5.1), (30.2, 8.4), (25.7, 44.6), (15.1, 20.2), (4.4, 41.3)]
    points = np.stack([ROW.ravel(), COLUMN.ravel()], axis=-1)
    expected = MplPath([*corners, corners[0]]).contains_points(points).reshape(SHAPE)
    np.testing.assert_array_equal(drawn(Polygon(corners)), expected)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-10, 60), st.integers(-10, 60)), min_size=3, max_size=7
    )
)
def test_polygons_of_any_corners_are_those_of_the_winding_rule(corners):
    # Off the pixels' middles, where the two cannot disagree by rounding.
    corners = [(r + 0.37, c + 0.41) for r, c in corners]
    rows, columns = np.array([*corners, corners[0]]).T
    inside = np.zeros(SHAPE, bool)
    for r0, r1, c0, c1 in zip(
        rows[:-1], rows[1:], columns[:-1], columns[1:], strict=True
    ):
        if r0 != r1:
            crosses = (min(r0, r1) <= ROW) & (max(r0, r1) > ROW)
            inside ^= crosses & (c0 + (ROW - r0) / (r1 - r0) * (c1 - c0) > COLUMN)
    np.testing.assert_array_equal(drawn(Polygon(corners)), inside)


def test_two_polygons_with_a_common_line_share_no_pixel_and_leave_none():
    left = drawn(Polygon([(0, 0), (39, 0), (39, 20), (0, 20)]))
    right = drawn(Polygon([(0, 20), (39, 20), (39, 49), (0, 49)]))
    assert not (left & right).any()
    np.testing.assert_array_equal((left | right)[:39, :49], True)


def test_a_brush_holds_what_is_near_to_its_path():
    path = np.array([(5, 5), (30, 12), (30, 40)], float)
    dense = np.concatenate(
        [np.linspace(a, b, 2000) for a, b in itertools.pairwise(path)]
    )
    near = np.min(
        np.hypot(
            ROW.ravel()[:, None] - dense[:, 0], COLUMN.ravel()[:, None] - dense[:, 1]
        ),
        axis=1,
    ).reshape(SHAPE)
    found = drawn(Brush(path, 6.2))
    assert found[near < 3.09].all()
    assert not found[near > 3.11].any()


def test_a_brush_that_only_touched_is_a_dot():
    expected = np.hypot(ROW - 10, COLUMN - 12) <= 2
    np.testing.assert_array_equal(drawn(Brush([(10, 12)], 4)), expected)


def test_a_shape_on_a_turned_detector_is_the_same_on_its_image():
    positions = six_panels(tilted=False)
    place = scene(positions.x.shape, positions)
    geometry = place.geometry
    middle = geometry.image_pixel(2, 6, 2)
    found = Circle(middle, 9.5).selected(place)
    rows, columns = np.indices(geometry.shape)
    disc = np.hypot(rows - middle[0], columns - middle[1]) <= 9.5
    shown = ~image_from_raw(~found, geometry, gaps=True)
    np.testing.assert_array_equal(shown, disc & geometry.covered)
    assert 0 < found.sum() < found.size


def test_um_are_those_of_the_pixels_positions():
    positions = six_panels(tilted=False)
    place = scene(positions.x.shape, positions)
    centre = positions.x[2].mean(), positions.y[2].mean()
    found = Circle(centre, 600, unit="um").selected(place)
    distance = np.hypot(positions.x - centre[0], positions.y - centre[1])
    # the image's pixels are up to half a diagonal away from the detector's
    assert found[distance < 600 - 75].all()
    assert not found[distance > 600 + 75].any()


def test_um_need_positions():
    with pytest.raises(GeometryError, match="um are not known"):
        Circle((0, 0), 600, unit="um").selected(scene((2, 20, 30)))


def test_a_shape_on_a_panel_has_its_coordinates():
    found = Rectangle((1, 3), (4, 9), panel=1).selected(scene((2, 20, 30)))
    expected = np.zeros((2, 20, 30), bool)
    expected[1, 1:3, 4:9] = True
    np.testing.assert_array_equal(found, expected)


def test_inverted_on_a_panel_it_stays_on_the_panel():
    found = Rectangle((1, 3), (4, 9), panel=1, invert=True).selected(scene((2, 20, 30)))
    assert not found[0].any()
    assert found[1].sum() == 600 - 10


def test_a_detector_without_panels_has_panel_0():
    inside = Rectangle((1, 3), (4, 9), panel=0)
    np.testing.assert_array_equal(drawn(inside), drawn(Rectangle((1, 3), (4, 9))))
    with pytest.raises(ParameterError, match="none of the 1 panels"):
        drawn(Rectangle((1, 3), (4, 9), panel=1))


# ---- by values -----------------------------------------------------------------------


def test_a_threshold_selects_what_is_not_allowed_and_no_numbers():
    image = np.arange(2000, dtype=np.float32).reshape(SHAPE)
    image[0, 5] = np.nan
    found = Threshold("image", 3, 1990).selected(scene(image=image))
    expected = (image < 3) | (image > 1990) | np.isnan(image)
    np.testing.assert_array_equal(found, expected)


def test_a_threshold_of_the_pedestal_is_of_one_gain_stage():
    stages = np.stack([np.full(SHAPE, 10.0), ROW])
    found = Threshold("pedestal", high=20, stage=1).selected(scene(pedestal=stages))
    np.testing.assert_array_equal(found, ROW > 20)
    with pytest.raises(ParameterError, match="there are 2 gain stages"):
        Threshold("pedestal", high=20, stage=2).selected(scene(pedestal=stages))


def test_what_is_not_there_is_named():
    with pytest.raises(ParameterError, match=r"no image.*AvImage"):
        Threshold("image", 0).selected(scene())
    with pytest.raises(ParameterError, match="no noise"):
        Suspicious("noisy").selected(scene())


def test_edges_and_central_rows_of_a_jungfrau():
    kind = kind_of("jungfrau", (2, 512, 1024))
    place = scene((2, 512, 1024), kind=kind)
    rim = Edges(2, 3).selected(place)
    assert rim.sum() == 2 * (512 * 1024 - 508 * 1018)
    assert rim[0, :2].all()
    wide = Central(1, 1).selected(place)
    assert np.flatnonzero(wide[1].all(axis=1)).tolist() == [255, 256]
    assert np.flatnonzero(wide[1].all(axis=0)).tolist() == [
        255,
        256,
        511,
        512,
        767,
        768,
    ]


def test_a_detector_without_wide_pixels_says_so():
    with pytest.raises(ParameterError, match="no wide pixels"):
        Central().selected(scene())


def test_hot_pixels_are_found_on_a_ring_and_the_ring_is_not():
    rng = np.random.default_rng(4)
    row, column = np.mgrid[:200, :220]
    ring = 50 * np.exp(-(((np.hypot(row - 90, column - 100) - 60) / 6) ** 2))
    image = rng.poisson((ring + 2) * 20) / 20
    hot = np.zeros(image.shape, bool)
    hot[rng.integers(0, 200, 30), rng.integers(0, 220, 30)] = True
    image[hot] += 60
    found = Suspicious("hot").selected(scene(image.shape, image=image))
    np.testing.assert_array_equal(found & hot, hot)
    assert (found & ~hot).sum() <= 0.0005 * image.size


def test_single_photons_are_not_hot():
    photons = (np.random.default_rng(7).random((100, 120)) < 0.05) * 9.5
    photons[50, 60] = 500
    found = Suspicious("hot").selected(scene(photons.shape, image=photons))
    assert np.argwhere(found).tolist() == [[50, 60]]


def test_noisy_and_dead_pixels_are_far_from_their_panel():
    rng = np.random.default_rng(5)
    noise = rng.normal(3, 0.1, (2, 60, 70))
    noise[1] *= 4
    noise[0, 3, 4] = 12.5
    noise[1, 5, 6] = 0.01
    noise[0, 7, 8] = 0
    noise[1, 9, 10] = np.nan
    place = scene(noise.shape, noise=noise)
    noisy = Suspicious("noisy").selected(place)
    dead = Suspicious("dead").selected(place)
    assert np.argwhere(noisy).tolist() == [[0, 3, 4], [1, 9, 10]]
    assert np.argwhere(dead).tolist() == [[0, 7, 8], [1, 5, 6]]


def test_what_is_masked_already_is_not_suspected():
    image = np.zeros(SHAPE)
    image[3, 4] = image[8, 9] = 100
    good = np.ones(SHAPE, bool)
    good[3, 4] = False
    found = Suspicious("hot").selected(scene(image=image, good=good))
    assert np.argwhere(found).tolist() == [[8, 9]]


def test_pixels_keep_any_mask():
    good = np.random.default_rng(6).random((2, 13, 17)) > 0.1
    shape = Pixels.of_mask(good, label="drawn.edf")
    np.testing.assert_array_equal(shape.selected(scene(good.shape)), ~good)
    with pytest.raises(ParameterError, match="is not the shape of these frames"):
        shape.selected(scene())


@pytest.mark.parametrize(
    ("frame", "packed"),
    [
        ([2, 3], "no base64!"),
        ([2, 3], "AAAA"),
        ([2000, 3], Pixels.of_mask(np.ones((2, 3), bool)).packed),
        ([2, 3], Pixels.of_mask(np.ones((9999, 9999), bool)).packed),
    ],
)
def test_pixels_that_are_no_mask_are_refused(frame, packed):
    with pytest.raises(ParameterError, match="packed"):
        shape_of({"shape": "pixels", "frame": frame, "packed": packed})


# ---- as data -------------------------------------------------------------------------

EXAMPLES = [
    Rectangle((3, 7), (10, 12)),
    Circle((20.5, 48), 7, invert=True),
    Donut((0, -300), 7000, 3, unit="um"),
    Ellipse((20, 25), (12, 4), angle=30),
    Polygon([(0, 0), (5, 8), (3, 2)], label="beam stop"),
    Brush([(1, 2), (3, 4)], 5, erase=True),
    Threshold("noise", high=3, stage=1),
    Edges(2, 1, panel=1),
    Central(2, 0),
    Suspicious("hot", 5),
    Pixels.of_mask(np.eye(5, dtype=bool)),
    Inversion(),
]


def test_there_is_an_example_of_each_shape():
    assert {shape.kind for shape in EXAMPLES} == set(SHAPES)


@pytest.mark.parametrize("shape", EXAMPLES, ids=lambda s: s.kind)
def test_a_shape_comes_back_from_toml_and_json(shape):
    table = Layer(shape, on=False).as_dict()
    for copy in (
        tomllib.loads(tomlkit.dumps({"shapes": [table]}))["shapes"][0],
        json.loads(json.dumps(table)),
    ):
        assert Layer.of(copy) == Layer(shape, on=False)


def test_what_is_as_usual_is_not_written():
    assert Rectangle((3, 7), (10, 12)).as_dict() == {
        "shape": "rectangle",
        "rows": [3, 7],
        "columns": [10, 12],
    }


def test_lists_arrays_and_numpys_numbers_are_the_same_shape():
    one = Circle(np.array([1.0, 2.0]), np.float32(3))
    assert one == Circle([1, 2], 3) == Circle((1, 2), 3.0)
    assert hash(one) == hash(Circle((1, 2), 3))


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"shape": "circel"}, "Did you mean 'circle'"),
        ({}, "which 'shape' it is"),
        ({"shape": "circle", "centre": [1, 2], "radius": 3}, "Did you mean 'center'"),
        ({"shape": "circle", "radius": 3}, "'center' is missing"),
        ({"shape": "circle", "center": [1], "radius": 3}, "is not 2 numbers"),
        ({"shape": "circle", "center": [1, 2], "radius": 0}, "not more than 0"),
        ({"shape": "circle", "center": [1, 2], "radius": "3"}, "is not a number"),
        ({"shape": "circle", "center": [1, float("nan")], "radius": 3}, "2 numbers"),
        ({"shape": "circle", "center": [1, 1e300], "radius": 3}, "2 numbers"),
        (
            {"shape": "donut", "center": [1, 2], "radius": 3, "inner": 3},
            "below radius = 3",
        ),
        ({"shape": "rectangle", "rows": [5, 5], "columns": [0, 1]}, "begin < end"),
        ({"shape": "ellipse", "center": [1, 2], "radii": [0, 1]}, "not more than 0"),
        ({"shape": "polygon", "points": [[1, 2], [3, 4]]}, "at least 3 points"),
        ({"shape": "polygon", "points": 7}, "at least 3 points"),
        ({"shape": "brush", "points": [], "width": 2}, "at least a point"),
        ({"shape": "brush", "points": [[1, 2]], "width": -2}, "not more than 0"),
        ({"shape": "threshold", "of": "gain", "low": 1}, "no quantity 'gain'"),
        ({"shape": "threshold", "of": "noise"}, "allow everything"),
        ({"shape": "threshold", "of": "noise", "low": 3, "high": 2}, "above high"),
        ({"shape": "edges", "rows": -1}, "whole number from 0"),
        ({"shape": "central", "rows": 1.5}, "whole number from 0"),
        ({"shape": "suspicious", "what": "cold"}, "no kind of pixels 'cold'"),
        ({"shape": "suspicious", "what": "hot", "sigma": 0}, "not more than 0"),
        ({"shape": "edges", "panel": -1}, "number of a panel"),
        ({"shape": "edges", "invert": 1}, "not true or false"),
        ({"shape": "edges", "label": 3}, "not a text"),
        ({"shape": "edges", "on": "no"}, "on = 'no'"),
        (
            {"shape": "circle", "center": [1, 2], "radius": 3, "unit": "mm"},
            "'pixels' or 'um'",
        ),
        (
            {
                "shape": "circle",
                "center": [1, 2],
                "radius": 3,
                "unit": "um",
                "panel": 0,
            },
            "on one panel",
        ),
        ({"shape": "pixels", "frame": [5], "packed": ""}, "shape of a frame"),
        ({"shape": "pixels", "frame": [10**30, 2], "packed": ""}, "shape of a frame"),
        ({"shape": "pixels", "frame": [5, 0], "packed": ""}, "shape of a frame"),
        ("circle", "is no shape"),
    ],
)
def test_what_makes_no_sense_is_named(table, text):
    with pytest.raises(ParameterError, match=text):
        Layer.of(table)


ATTRIBUTES = sorted({f.name for s in SHAPES.values() for f in dataclasses.fields(s)})
DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([*SHAPES, "hot", "noise", "um"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(list(SHAPES)) | DATA,
    st.dictionaries(st.sampled_from([*ATTRIBUTES, "on", "radus"]), DATA, max_size=4),
)
def test_any_table_is_a_shape_or_an_error_of_ours(kind, table):
    place = scene(image=ROW, noise=COLUMN + 1, pedestal=ROW)
    try:
        selected = Layer.of({"shape": kind, **table}).shape.selected(place)
    except (ParameterError, GeometryError):
        return
    assert selected.shape == SHAPE


# ---- layers --------------------------------------------------------------------------


def put_together(*shapes):
    place = scene()
    return select(layers_of(shapes), SHAPE, lambda shape: shape.selected(place))


def test_layers_add_erase_and_invert_in_their_order():
    ten, five = Rectangle((0, 10), (0, 10)), Rectangle((0, 5), (0, 10))
    chosen = put_together(ten, Rectangle((0, 5), (0, 10), erase=True), Inversion())
    expected = np.ones(SHAPE, bool)
    expected[5:10, :10] = False
    np.testing.assert_array_equal(chosen.selected, expected)
    assert [(c.pixels, c.up_to) for c in chosen.counts] == [
        (100, 100),
        (50, 50),
        (2000, 1950),
    ]
    assert put_together(ten, Layer(five, on=False)).selected.sum() == 100


def test_an_inversion_on_a_panel_leaves_the_others():
    place = scene((2, 4, 5))
    layers = layers_of([Edges(1, 1), Inversion(panel=1)])
    chosen = select(layers, place.shape, lambda shape: shape.selected(place))
    assert chosen.selected.sum(axis=(1, 2)).tolist() == [14, 6]
