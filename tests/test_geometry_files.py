"""Geometry files of other programs, read back by a small parser of our own."""

from __future__ import annotations

import re

import numpy as np
import pytest
from psana_reference import psana_module
from rotated_panels import SIZE, detector

from smalldata_ana.detector.beam_geometry import BeamGeometry
from smalldata_ana.detector.geometry_files import read_psana_geometry, write_crystfel
from smalldata_ana.errors import FileError, GeometryError, ParameterError
from smalldata_ana.sources.base import DetectorInfo

BEAM = BeamGeometry((700.0, -450.0), 60.0, energy=9.5)


def parsed(path):
    """Return what stands before the first panel, and the panels and bad regions."""
    head, parts = {}, {}
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith(";"):
            continue
        key, value = (side.strip() for side in line.split("=", 1))
        name, _, item = key.partition("/")
        if item:
            parts.setdefault(name, {})[item] = value
        else:
            head[key] = value
    return head, parts


def vector(words):
    found = dict.fromkeys("xyz", 0.0)
    for number, axis in re.findall(r"([+-][\d.]+)([xyz])", words):
        found[axis] += float(number)
    return np.array([found[axis] for axis in "xyz"])


def places(path, shape):
    """Return where CrystFEL has the middles of the pixels [m], (rows, columns, 3)."""
    head, parts = parsed(path)
    size = 1 / float(head["res"])
    found = np.full((shape[0] * shape[1], shape[2], 3), np.nan)
    for name, part in parts.items():
        if name.startswith("bad"):
            continue
        s0, s1, f0, f1 = (
            int(part[k]) for k in ("min_ss", "max_ss", "min_fs", "max_fs")
        )
        ss, fs = np.mgrid[: s1 - s0 + 1, : f1 - f0 + 1] + 0.5
        corner = np.array([float(part["corner_x"]), float(part["corner_y"]), 0])
        at = corner + ss[..., None] * vector(part["ss"])
        at = size * (at + fs[..., None] * vector(part["fs"]))
        at[..., 2] += float(head["clen"]) + float(part["coffset"])
        assert np.isnan(found[s0 : s1 + 1, f0 : f1 + 1]).all()
        found[s0 : s1 + 1, f0 : f1 + 1] = at
    return found


@pytest.fixture(scope="module")
def positions():
    return detector()


def test_pixels_are_where_they_are(tmp_path, positions):
    path = tmp_path / "det.geom"
    write_crystfel(path, positions, BEAM)
    found = 1e6 * places(path, positions.x.shape)
    x, y, z = (
        a.reshape(found.shape[:2]) for a in (positions.x, positions.y, positions.z)
    )
    np.testing.assert_allclose(found[..., 0], -(y - BEAM.center[1]), atol=1e-3)
    np.testing.assert_allclose(found[..., 1], -(x - BEAM.center[0]), atol=1e-3)
    np.testing.assert_allclose(found[..., 2], 60000 - (z - z.mean()), atol=1e-3)


def test_tilted_beam(tmp_path, positions):
    path = tmp_path / "det.geom"
    beam = BeamGeometry((700.0, -450.0), 60.0, 9.5, (2.0, -3.0))
    write_crystfel(path, positions, beam)
    found = 1e6 * places(path, positions.x.shape)
    centre = np.array([*beam.center, positions.z.mean()])
    sample = centre + beam.direction * 60000 / beam.direction[2]
    rays = np.stack([positions.x, positions.y, positions.z], -1).reshape(found.shape)
    rays -= sample
    np.testing.assert_allclose(
        np.linalg.norm(found, axis=-1), np.linalg.norm(rays, axis=-1), atol=1e-3
    )
    np.testing.assert_allclose(found[..., 2], rays @ beam.direction, atol=1e-3)


def test_head_and_groups(tmp_path, positions):
    path = tmp_path / "det.geom"
    write_crystfel(path, positions, BEAM, adu_per_ev=0.001, data="/data/frames")
    head, parts = parsed(path)
    assert float(head["photon_energy"]) == pytest.approx(9500)
    assert float(head["res"]) == pytest.approx(1e6 / SIZE)
    assert head["data"] == "/data/frames"
    assert [head[f"dim{n}"] for n in range(3)] == ["%", "ss", "fs"]
    assert float(head["adu_per_eV"]) == 0.001
    assert head["rigid_group_p2"] == "p2a0,p2a1"
    assert head["rigid_group_collection_panels"] == "p0,p1,p2,p3,p4,p5"
    assert set(parts) == {f"p{n}a{m}" for n in range(6) for m in range(2)}


def test_bad_regions_are_inclusive_and_cut_at_gaps(tmp_path, positions):
    path = tmp_path / "det.geom"
    write_crystfel(path, positions, BEAM, bad=[((1, 2), (3, 5), (6, 10))])
    _, parts = parsed(path)
    regions = {name: part for name, part in parts.items() if name.startswith("bad")}
    limits = ("panel", "min_ss", "max_ss", "min_fs", "max_fs")
    assert [tuple(part[k] for k in limits) for part in regions.values()] == [
        ("p1a0", "15", "16", "6", "7"),
        ("p1a1", "15", "16", "8", "9"),
    ]


@pytest.mark.parametrize("box", [((0, 7), (0, 1), (0, 1)), ((0, 1), (3, 3), (0, 1))])
def test_bad_regions_must_be_on_the_detector(tmp_path, positions, box):
    path = tmp_path / "det.geom"
    with pytest.raises(ParameterError, match="not on a detector"):
        write_crystfel(path, positions, BEAM, bad=[box])
    assert not path.exists()


def test_energy_is_needed(tmp_path, positions):
    with pytest.raises(ParameterError, match="photon energy"):
        write_crystfel(tmp_path / "x.geom", positions, BeamGeometry((0.0, 0.0), 60.0))


def test_psana_text(tmp_path):
    access = psana_module("psana.pscalib.geometry.GeometryAccess").GeometryAccess()
    text = (
        "# a title\nCAM 0 JUNGFRAU:V2 0 0 20625 7 0 0 180 0.1 0.2 0.3\n"
        "CAM 0 JUNGFRAU:V2 1 0 -20625 0 0 0 180 0 0 0\n"
        "IP 0 CAM 0 10 20 1000 90 0 0 1.5 0 0\n"
    )
    path = tmp_path / "0-end.data"
    path.write_text(text)
    info = DetectorInfo("det", "jungfrau", (2, 512, 1024), np.dtype("u2"), (0, 1))
    positions = read_psana_geometry(path, info)
    access.load_pars_from_str(text)
    for mine, theirs in zip(
        (positions.x, positions.y, positions.z), access.get_pixel_coords(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs.reshape(mine.shape))
    assert positions.origin == str(path)
    assert positions.note == ""
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="not a text"):
        read_psana_geometry(path, info)
    path.write_text("nothing\n")
    with pytest.raises(GeometryError, match="not a geometry text"):
        read_psana_geometry(path, info)
    with pytest.raises(FileError, match="cannot read"):
        read_psana_geometry(tmp_path / "none", info)
