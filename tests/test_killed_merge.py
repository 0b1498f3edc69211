"""A job that is killed while it writes its file leaves nothing for ever."""

from __future__ import annotations

import os
import shutil
import signal

import numpy as np
import pytest
from producing_run import assert_equal, output, parts

from smalldata_ana.cubes.cube_file import CubeFile
from smalldata_ana.cubes.making import Making
from smalldata_ana.cubes.planning import plan
from smalldata_ana.cubes.variables import Variables
from smalldata_ana.errors import FileError
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.producing import merging
from smalldata_ana.producing.executors import Workers
from smalldata_ana.producing.space import check_room
from smalldata_ana.safe_files import asides
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

pytest_plugins = ["producing_fixtures"]


def killed_in(home, name, produce):
    """Produce in a process that is killed when it comes to a step of its merge."""
    child = os.fork()
    if child == 0:
        try:
            setattr(home, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            produce()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("option", [(), ("--no-resume",)], ids=["resumed", "anew"])
def test_what_it_left_is_removed(site, reference, tmp_path, capsys, option):
    killed_in(merging, "mark", lambda: site.produce(tmp_path, "--nproc", 1))
    (left,) = asides(output(tmp_path))
    assert left.stat().st_size > 0
    assert not output(tmp_path).exists()
    assert parts(tmp_path)
    theirs = tmp_path / ".xppsim01_Run0002.0123_abc.h5"
    theirs.touch()
    assert site.produce(tmp_path, "--nproc", 1, *option) == 0
    assert ("by an earlier job" in capsys.readouterr().out) == (option == ())
    assert sorted(tmp_path.glob("*.h5")) == [theirs, output(tmp_path)]
    assert_equal(output(tmp_path), reference)


def test_also_where_the_file_is_a_link(site, tmp_path):
    elsewhere = tmp_path / "elsewhere/file.h5"
    elsewhere.parent.mkdir()
    out = tmp_path / "out"
    out.mkdir()
    output(out).symlink_to(elsewhere)
    killed_in(merging, "mark", lambda: site.produce(out, "--nproc", 1))
    assert len(list(elsewhere.parent.iterdir())) == 1
    assert site.produce(out, "--nproc", 1) == 0
    assert list(elsewhere.parent.iterdir()) == [elsewhere]


def test_of_a_cube(tmp_path):
    path = write_run(
        tmp_path / "run.h5",
        experiment="xpptut15",
        run=12,
        images={"opal": np.ones((4, 8, 6), np.uint16)},
        scalars={"x/value": np.arange(4.0)},
    )
    text = """\
schema = "smalldata-ana-params/1"
experiment = "xpptut15"
[cube.c]
laser = false
bins = { var = "x/value", edges = [0, 2, 4] }
[cube.c.detectors.opal]
"""
    out = tmp_path / "out"
    out.mkdir()
    run = Hdf5Run(path)
    resolved = ParameterFile.parse(text, tmp_path / "p.toml").resolve(12)
    variables = Variables.of(run, resolved, tmp_path / "small.h5")
    planned = plan(run, resolved, "c", tmp_path / "parts", variables)
    making = Making(planned, out / "Cube_c.h5")
    killed_in(CubeFile, "finish", lambda: making.run(Workers(1)))
    assert len(list(asides(out / "Cube_c.h5"))) == 1
    assert making.run(Workers(1)).reused == 4
    assert list(out.iterdir()) == [out / "Cube_c.h5"]
    run.close()


def test_its_room_is_free_for_the_next_job(tmp_path):
    target = tmp_path / "run.h5"
    free, left = shutil.disk_usage(tmp_path).free, 1 << 40
    with pytest.raises(FileError, match="are free"):
        check_room(target, free + left // 2, tmp_path / "parts")
    with (tmp_path / ".run.0123_abc.h5").open("wb") as file:
        file.truncate(left)
    check_room(target, free + left // 2, tmp_path / "parts")
