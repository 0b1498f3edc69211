"""MakeMask: its tool by script and by mouse, its files, and its conversation."""

from __future__ import annotations

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
import session_run
from mouse import Mouse
from session_run import RUN

from smalldata_ana.detector.mask_drawings import Circle, Rectangle
from smalldata_ana.errors import (
    DetectorNotFound,
    FileError,
    GeometryError,
    ParameterError,
    UsageError,
)
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.places import places
from smalldata_ana.session import mask_commands
from smalldata_ana.session.anaps import SmallDataAna_psana
from smalldata_ana.session.mask_commands import MaskCommands
from smalldata_ana.session.tools import dialogue
from smalldata_ana.session.tools.dialogue import Dialogue
from smalldata_ana.session.tools.mask_range import stage_and_range
from smalldata_ana.session.tools.mask_talk import HELP, MaskTalk
from smalldata_ana.sources.constants_store import ConstantsStore
from smalldata_ana.sources.hdf5_run import Hdf5Run, write_run

BOX = {"shape": "rectangle", "rows": [2, 6], "columns": [3, 8]}
DISC = {"shape": "circle", "center": [12, 9], "radius": 3}
MASKED = np.zeros((24, 16), bool)
MASKED[2:6, 3:8] = True
DISTANCE = np.hypot(np.indices((24, 16))[0] - 12, np.indices((24, 16))[1] - 9)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with_data = Hdf5Run(session_run.write(tmp_path_factory.mktemp("run")))
    yield with_data
    with_data.close()


@pytest.fixture
def anaps(run, tmp_path):
    def places_of(experiment: str):
        return places(
            experiment,
            directory=tmp_path,
            params=tmp_path / "p.toml",
            calib_dir=tmp_path / "calib",
        )

    yield SmallDataAna_psana(run, places_of=places_of)
    plt.close("all")


@pytest.fixture
def shown(anaps):
    """Return a session with a window in which a mask can be drawn."""
    anaps.AvImage("opal", 3)
    return anaps.MakeMask("opal")


# ---- by script -----------------------------------------------------------------------


def test_shapes_are_masked_and_counted(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX, DISC])
    np.testing.assert_array_equal(mask.selected, MASKED | (DISTANCE <= 3))
    np.testing.assert_array_equal(mask.good, ~mask.selected)
    disc = int((DISTANCE <= 3).sum())
    assert [(c.pixels, c.up_to) for c in mask.counts] == [(20, 20), (disc, 20 + disc)]
    assert f"masked: {20 + disc} pixels of 384" in repr(mask)
    assert mask.shapes == [BOX, DISC]
    assert mask.picture is None


def test_layers_are_added_switched_removed_and_inverted(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    mask.add(DISC)
    mask.switch(0)
    np.testing.assert_array_equal(mask.selected, DISTANCE <= 3)
    assert mask.shapes[0] == {**BOX, "on": False}
    mask.switch(0, True)
    mask.remove(1)
    np.testing.assert_array_equal(mask.selected, MASKED)
    mask.invert()
    np.testing.assert_array_equal(mask.selected, ~MASKED)
    with pytest.raises(UsageError, match="there is no layer 2; there are 2"):
        mask.remove(2)


def test_every_step_can_be_undone_and_redone(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    mask.add(DISC)
    mask.remove(0)
    mask.undo()
    mask.undo()
    np.testing.assert_array_equal(mask.selected, MASKED)
    mask.redo()
    assert mask.shapes == [BOX, DISC]
    mask.reset()
    assert mask.shapes == [BOX]
    mask.undo()
    assert mask.shapes == [BOX, DISC]


def test_a_shape_that_makes_no_sense_changes_nothing(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    for wrong in ({"shape": "circel"}, {"shape": "central"}, {**BOX, "panel": 4}):
        with pytest.raises(ParameterError):
            mask.add(DISC, wrong)
    assert mask.shapes == [BOX]


def test_masks_of_arrays_are_combined_in_frame_and_image(anaps):
    mask = anaps.MakeMask("opal", extMask=(~MASKED).astype(np.int64))
    np.testing.assert_array_equal(mask.selected, MASKED)
    mask.combine(DISTANCE > 3)
    np.testing.assert_array_equal(mask.selected, MASKED | (DISTANCE <= 3))
    stacked = np.ones((30, 20), bool)
    stacked[4, 5] = False
    panel = anaps.MakeMask("epix100", extMask=stacked)
    assert np.argwhere(panel.selected).tolist() == [[0, 4, 5]]
    with pytest.raises(ParameterError, match="neither one of frames"):
        mask.combine(np.ones((3, 4), bool))


def test_masks_are_saved_and_loaded_in_every_format(anaps, tmp_path):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    for name, options in (
        ("m.data", {}),
        ("m.npy", {"good": 0}),
        ("m.h5", {}),
        ("m.edf", {}),
    ):
        path = mask.save(tmp_path / name, **options)
        other = anaps.MakeMask("opal", shapes=[])
        other.load(path)
        np.testing.assert_array_equal(other.selected, MASKED, err_msg=name)
        assert other.layers[0].shape.label == name
    np.save(tmp_path / "foreign.npy", MASKED)
    with pytest.raises(ParameterError, match="what a good pixel is"):
        mask.load(tmp_path / "foreign.npy")
    for name in ("none.edf", "none.npy"):
        with pytest.raises(FileError, match="there is no file"):
            mask.load(tmp_path / name)


def test_an_accepted_mask_is_in_the_parameter_file_and_can_be_drawn_again(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX, {**DISC, "invert": True, "on": False}])
    entry = mask.accept()
    assert (entry.kind, entry.name, entry.detector) == ("mask", "mask", "opal")
    assert entry.made["how"] == "MakeMask"
    assert anaps.pending == [entry]
    anaps.exportParams()
    params = anaps.places.params
    (read,) = ParameterFile.load(params).resolve(RUN).detectors["opal"]
    np.testing.assert_array_equal(read.make().read(params.parent), ~MASKED)
    again = anaps.MakeMask("opal", shapes=read.values["shapes"])
    assert again.value == mask.value


def test_a_mask_gets_a_free_name_and_keeps_it(anaps):
    first = anaps.MakeMask("opal", shapes=[BOX])
    assert first.accept().name == "mask"
    first.add(DISC)
    assert first.accept().name == "mask"
    second = anaps.MakeMask("opal", shapes=[DISC])
    assert second.accept().name == "mask_1"
    assert [len(e.values["shapes"]) for e in anaps.pending] == [2, 1]
    assert anaps.MakeMask("opal", shapes=[DISC]).accept(name="mask").name == "mask"
    assert len(anaps.pending) == 2


def test_a_name_that_cannot_be_one_takes_nothing(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    with pytest.raises(ParameterError, match="'a/b' is not a name"):
        mask.accept("a/b")
    assert not anaps.pending
    assert mask.accept().name == "mask"


def test_nothing_and_everything_is_no_mask(anaps):
    mask = anaps.MakeMask("opal", shapes=[])
    with pytest.raises(UsageError, match="nothing is masked"):
        mask.accept()
    mask.invert()
    with pytest.raises(UsageError, match="every pixel is masked"):
        mask.accept()
    with pytest.raises(ParameterError, match="every pixel is masked"):
        mask.to_store()
    assert not anaps.pending


def test_the_store_gets_a_user_mask_for_the_runs_and_keeps_the_one_before(anaps):
    anaps.MakeMask("opal", shapes=[BOX]).to_store()
    path = anaps.MakeMask("opal", shapes=[DISC]).to_store(RUN, RUN + 5)
    assert path.name == f"{RUN}-{RUN + 5}.npy"
    record = ConstantsStore(anaps.places.calib).valid("opal", RUN)["pixel_mask"]
    assert "MakeMask" in record.made["origin"]
    np.testing.assert_array_equal(record.read().value == 0, DISTANCE <= 3)


def test_a_panels_user_mask_is_stored_for_all_panels(anaps):
    box = {**BOX, "panel": 0}
    path = anaps.MakeMask("epix100", shapes=[box]).to_store(3, 9)
    stored = np.load(path)
    assert stored.shape == (1, 30, 20)
    assert np.argwhere(stored[0] == 0)[[0, -1]].tolist() == [[2, 3], [5, 7]]


def test_the_command_that_does_the_same_does_the_same(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX, DISC])
    mask.combine(~np.eye(24, 16, dtype=bool), label="diagonal")
    again = eval(mask.scripted(), {"anaps": anaps})  # (what a script would do)
    assert again.value == mask.value


def test_what_is_wrong_is_named(anaps):
    with pytest.raises(DetectorNotFound, match="no area detector 'opa'"):
        anaps.MakeMask("opa", shapes=[])
    with pytest.raises(ParameterError, match="has 0 panels"):
        anaps.MakeMask("opal", singleTile=0, shapes=[])
    with pytest.raises(ParameterError, match="has 1 panels"):
        anaps.MakeMask("epix100", singleTile=1, shapes=[])
    with pytest.raises(ParameterError, match="no image"):
        anaps.MakeMask("opal", shapes=[{"shape": "threshold", "of": "image", "low": 3}])
    with pytest.raises(GeometryError, match="um are not known"):
        anaps.MakeMask("epix100", shapes=[{**DISC, "unit": "um"}])
    with pytest.raises(UsageError, match="no window"):
        anaps.MakeMask("opal", shapes=[]).draw("circle")


def test_suggested_pixels_are_shown_and_only_taken_by_accept(anaps, capsys):
    image = np.ones((24, 16), np.float32)
    image[3, 4] = 90
    mask = anaps.suggestMask("opal", inImage=image)
    assert np.argwhere(mask.selected).tolist() == [[3, 4]]
    assert mask.picture is not None
    assert not anaps.pending
    out = capsys.readouterr().out
    assert "masked: 1 pixel of 384" in out
    assert "no dead pixels are suggested: there is no noise of this detector" in out
    assert anaps.suggestMask("opal", "hot", plot=False, inImage=image).picture is None
    with pytest.raises(ParameterError, match="no kind of pixels 'cold'"):
        anaps.suggestMask("opal", ["cold"], inImage=image)


def test_help_explains_the_command():
    text = inspect.getdoc(MaskCommands.MakeMask)
    for word in ("extMask", "singleTile", "accept", "to_store"):
        assert word in text


# ---- by mouse ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ((1.6, 2.6), (5.4, 7.4)),
        ((5.4, 7.4), (1.6, 2.6)),
        ((1.6, 7.4), (5.4, 2.6)),
        ((5.4, 2.6), (1.6, 7.4)),
    ],
)
def test_a_rectangle_is_drawn_in_any_direction(shown, begin, end):
    shown.draw("rectangle")
    Mouse(shown.picture.figure.ax).drag(begin, end)
    np.testing.assert_array_equal(shown.selected, MASKED)
    assert shown.layers[0].shape == Rectangle((2, 6), (3, 8))


def test_a_shape_is_one_layer_while_it_is_moved(shown):
    shown.draw("rectangle")
    mouse = Mouse(shown.picture.figure.ax)
    mouse.drag((1.6, 2.6), (5.4, 7.4))
    mouse.drag((3.5, 5), (6.5, 6))
    assert len(shown.layers) == 1
    assert shown.layers[0].shape == Rectangle((5, 9), (4, 9))
    shown.undo()
    assert shown.layers[0].shape == Rectangle((2, 6), (3, 8))
    shown.undo()
    assert not shown.layers


def test_circle_ellipse_and_polygon_are_drawn(shown):
    mouse = Mouse(shown.picture.figure.ax)
    shown.draw("circle")
    mouse.drag((12, 9), (12, 12))
    assert shown.layers[0].shape == Circle((12, 9), 3)
    shown.draw("ellipse", invert=True)
    mouse.drag((4, 2), (20, 12))
    table = shown.shapes[1]
    assert table["invert"]
    assert (table["center"], table["radii"]) == ([12, 7], [8, 5])
    shown.draw("polygon")
    for corner in ((2, 2), (2, 12), (18, 6)):
        mouse.click(corner)
    shown.picture.stop()
    assert shown.shapes[2]["points"] == [[2, 2], [2, 12], [18, 6]]


def test_a_donut_is_a_circle_and_a_click(shown):
    shown.draw("donut")
    mouse = Mouse(shown.picture.figure.ax)
    mouse.drag((12, 8), (12, 13))
    mouse.click((12, 10))
    assert shown.shapes == [
        {"shape": "donut", "center": [12, 8], "radius": 5, "inner": 2}
    ]


def test_brush_strokes_are_layers_and_the_eraser_takes_away(shown):
    mouse = Mouse(shown.picture.figure.ax)
    shown.draw("brush", width=4)
    mouse.drag((5, 3), (5, 12))
    mouse.drag((15, 3), (15, 12))
    assert len(shown.layers) == 2
    before = shown.selected
    shown.draw("brush", width=2.5, erase=True)
    mouse.drag((5, 7), (15, 7))
    assert not shown.selected[4:7, 7].any()
    assert not (shown.selected & ~before).any()


def test_only_the_panel_is_drawn_on(anaps):
    anaps.AvImage("epix100", 3)
    mask = anaps.MakeMask("epix100", singleTile=0)
    mask.draw("rectangle")
    Mouse(mask.picture.figure.ax).drag((1.6, 2.6), (5.4, 7.4))
    assert mask.shapes == [{**BOX, "panel": 0}]
    assert np.argwhere(mask.selected)[[0, -1]].tolist() == [[0, 2, 3], [0, 5, 7]]


def test_suggestions_are_shown_and_nothing_is_taken(shown):
    before = shown.good
    assert shown.suggest("hot", 0.5) > 0
    np.testing.assert_array_equal(shown.good, before)
    assert not shown.layers


def test_shapes_that_cannot_be_drawn_are_named(shown):
    with pytest.raises(UsageError, match="Did you mean 'circle'"):
        shown.draw("circel")


def test_masks_that_were_taken_before_are_shown(anaps):
    anaps.MakeMask("opal", shapes=[BOX]).accept()
    anaps.AvImage("opal", 3)
    mask = anaps.MakeMask("opal")
    mask.picture.figure.figure.canvas.draw()
    assert not mask.layers


# ---- the conversation ----------------------------------------------------------------


class Answers:
    """Answers from a list; KeyboardInterrupt and calls in it are done."""

    def __init__(self, *answers):
        self.left = list(answers)
        self.said = []

    def read(self, prompt):
        self.said.append(prompt)
        answer = self.left.pop(0)
        while callable(answer) and not isinstance(answer, type):
            answer()
            answer = self.left.pop(0)
        if isinstance(answer, type):
            raise answer
        return answer

    @property
    def text(self):
        return "\n".join(self.said)


def talk(tool, *answers, windows=False):
    """Hold a conversation with these answers, all of which are needed."""
    answering = Answers(*answers)
    MaskTalk(
        tool, Dialogue(answering.read, answering.said.append), windows=windows
    ).hold()
    assert not answering.left
    return answering.text


def test_the_letters_that_users_know(anaps):
    mask = anaps.MakeMask("opal", shapes=[])
    text = talk(
        mask,
        *("R", "2 6 3 8", "y", "n"),
        *("c", "12 9 px", "3", "n", "y", "n"),
        *("p", "0 0 0 3 3 0 px", "", "n"),
        *("e", "1", "y", "y"),
        *("n", "n", "n", "n"),
    )
    kinds = [table["shape"] for table in mask.shapes]
    assert kinds == ["rectangle", "circle", "polygon", "edges"]
    np.testing.assert_array_equal(mask.selected[2:6, 3:8], True)
    assert "rectangle(r-click, R-enter), circle(c), polygon(p), dark(d)" in text
    assert "this step selects 20 pixels; masked before: 0, now: 20 of 384" in text
    assert "masked pixels will get rejected" in text


def test_answers_that_make_no_sense_are_asked_again_and_lose_nothing(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    text = talk(
        mask,
        *("z", "R", "2 6 3", "a b c d", "6 2 3 8", KeyboardInterrupt),
        *("d", "cen", "1", "?"),
        *("R", KeyboardInterrupt),
        *("R", "2 6 3 8", KeyboardInterrupt),
        *("R", "7 9 3 8", "", ""),
        KeyboardInterrupt,
    )
    assert mask.shapes == [BOX, {**BOX, "rows": [7, 9]}]
    for part in ("'z' is none of", "not 4 numbers", "more than numbers", "begin < end"):
        assert part in text
    assert "no pedestal" in text
    assert "no wide pixels" in text
    assert HELP in text
    assert "nothing is taken before .accept()" in text


def test_a_step_that_is_not_wanted_is_taken_back_and_can_be_redone(anaps):
    mask = anaps.MakeMask("opal", shapes=[])
    text = talk(
        mask, "R", "2 6 3 8", "n", "u", "L", "k", "0", "u", "o", "0", "q", *"nnnn"
    )
    assert mask.shapes == [{**BOX, "on": False}]
    assert "layer     selects     up to" in text


def test_the_end_of_the_conversation_inverts_accepts_stores_and_saves(anaps, tmp_path):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    path = str(tmp_path / "local.data")
    text = talk(mask, "q", "y", "y", "y", "y", "3 9", "y", path)
    np.testing.assert_array_equal(np.loadtxt(path), MASKED)
    (entry,) = anaps.pending
    np.testing.assert_array_equal(entry.array, MASKED)
    assert "Invert? (n/no inversion: masked pixels will get rejected)" in text
    assert (anaps.places.calib / "opal" / "pixel_mask" / "3-9.npy").exists()


def test_a_mask_that_leaves_little_is_asked_about_before_anything(anaps, caplog):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    text = talk(mask, "q", "y", "?", "n", "q", *"nnnn")
    good = mask.scene.good
    share = f"masks {100 * (~MASKED)[good].mean():.4g} % of the good pixels"
    assert f"{share} of 'opal'. Is that right?" in text
    np.testing.assert_array_equal(mask.selected, MASKED)
    mask.invert()
    mask.accept()
    mask.to_store()
    assert caplog.text.count(share) == 2
    caplog.clear()
    mask.invert()
    mask.accept()
    assert not caplog.text


def test_the_share_is_100_percent_only_if_it_is(anaps):
    one = {"shape": "rectangle", "rows": [5, 6], "columns": [5, 6]}
    mask = anaps.MakeMask("opal", shapes=[one, {"shape": "inversion"}])
    number = mask.scene.good.sum()
    assert f"{100 * (number - 1) / number:.4g} %" in mask.warning()
    all_ = {"shape": "rectangle", "rows": [0, 24], "columns": [0, 16]}
    assert "100 %" in anaps.MakeMask("opal", shapes=[all_]).warning()


def test_a_mask_in_the_store_is_replaced_only_after_a_question(anaps):
    anaps.MakeMask("opal", shapes=[DISC]).to_store(14)
    mask = anaps.MakeMask("opal", shapes=[BOX])
    path = anaps.places.calib / "opal" / "pixel_mask" / "14-end.npy"
    before = np.load(path)
    text = talk(mask, "q", "n", "n", "y", "14", "?", "n", "20 30", "n")
    assert f"{path} is there already" in text
    np.testing.assert_array_equal(np.load(path), before)
    assert path.with_name("20-30.npy").exists()
    talk(mask, "q", "n", "n", "y", "", "y", "n")
    np.testing.assert_array_equal(np.load(path), ~MASKED)


def test_every_question_has_help(anaps, tmp_path):
    np.save(tmp_path / "m.npy", np.ones((24, 16)))
    anaps.AvImage("opal", 3)
    mask = anaps.MakeMask("opal")
    text = talk(
        mask,
        *("R", "?", "2 6 3 8", "?", "y", "?", "n"),
        *("c", "?", "12 9 px", "?", "3", "?", "n", "y", "n"),
        *("p", "?", "0 0 0 3 3 0 px", "y", "n"),
        *("e", "?", "1", "y", "n", "s", "?", "hot", "?", "0.5", "?", "n"),
        *("f", "?", str(tmp_path / "m.npy"), "?", "1", "y", "n"),
        *("t", "?", "0 9999", "y", "n", "o", "?", "0", "q"),
        *("?", "n", "?", "y", "?", "y", "?", "", "?", "y", "?", KeyboardInterrupt, "n"),
    )
    assert text.count("?") > 60
    for part in ("half-open", "the diameter", "no inversion", "1 is used and 0 masked"):
        assert (part in text) == (part != "the diameter")


def test_ctrl_c_at_the_end_takes_the_inversion_back(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    talk(mask, "q", "y", KeyboardInterrupt, KeyboardInterrupt)
    np.testing.assert_array_equal(mask.selected, MASKED)


def test_without_a_window_no_width_of_a_brush_is_asked_for(anaps):
    mask = anaps.MakeMask("opal", shapes=[])
    text = talk(mask, "x", "b", KeyboardInterrupt)
    assert text.count("there is no window to draw in: no brush by mouse") == 2
    assert "width" not in text


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """Return a run of an epix100 with constants, and with its usual geometry."""
    shape = (1, 704, 768)
    pedestals = np.full(shape, 2500, np.float32)
    pedestals[0, 3, 4:7] = [9000, 9000, np.nan]
    path = write_run(
        tmp_path_factory.mktemp("calibrated") / "run.h5",
        experiment=session_run.EXPERIMENT,
        run=RUN,
        images={"det": np.zeros((1, *shape), np.uint16)},
        dettypes={"det": "epix100"},
        constants={
            "det": {"pedestals": pedestals, "pixel_rms": np.full(shape, 3, np.float32)}
        },
    )
    run = Hdf5Run(path)
    yield run
    run.close()


@pytest.fixture
def with_constants(calibrated, tmp_path):
    def places_of(experiment: str):
        return places(experiment, directory=tmp_path, params=tmp_path / "p.toml")

    yield SmallDataAna_psana(calibrated, places_of=places_of)
    plt.close("all")


def test_pedestals_and_noise_are_shown_while_their_range_is_asked_for(
    with_constants, tmp_path, capsys
):
    mask = with_constants.MakeMask("det", shapes=[])
    shown = []

    def look():
        shown.extend(plt.figure(label) for label in plt.get_figlabels())

    text = talk(
        mask,
        *("d", look, "100 5000", look, "", "n"),
        *("n", look, KeyboardInterrupt, look, KeyboardInterrupt),
    )
    assert mask.shapes == [
        {"shape": "threshold", "of": "pedestal", "low": 100.0, "high": 5000.0}
    ]
    assert mask.counts[0].pixels == 3
    assert "Enter allowed pedestal range (min max):" in text
    assert [figure.get_label() for figure in shown] == ["det_pedestal", "det_noise"]
    for image, histogram, *_ in (figure.axes for figure in shown):
        assert image.images[0].get_array().shape == with_constants.det.imgShape
        assert histogram.get_yscale() == "log"
    highest = shown[0].axes[1].patches[0].get_xy()[:, 0].max()
    assert highest == 9000
    printed = capsys.readouterr().out
    for quantity in ("pedestal", "noise"):
        name = f"{session_run.EXPERIMENT}_Run{RUN:04d}_det_{quantity}.png"
        assert (tmp_path / "images" / name).stat().st_size > 10_000
        assert name in printed


def test_a_place_in_the_wrong_unit_is_not_added_by_enter(with_constants):
    mask = with_constants.MakeMask("det", shapes=[])
    text = talk(
        mask,
        *("c", "510 510", "5 2", "", "", "p", "1 1 1 3 3 3", ""),
        *("p", "100 100 100 130 130 100 px", "", "y", *"nnnn"),
    )
    (polygon,) = mask.shapes
    assert polygon["shape"] == "polygon"
    assert text.count("this step selects 0 pixels") == 2
    assert text.count("were taken as um. For row and column") == 2
    assert "center (x y) [um], or row column px?" in text
    assert "points (x1 y1 x2 y2 …) [um], or row1 column1 … px?" in text


def test_a_mask_of_everything_is_not_added_by_enter(anaps):
    mask = anaps.MakeMask("opal", shapes=[])
    text = talk(mask, *("r", "0 1000 0 1000", ""), EOFError)
    assert "now: 384 of 384" in text
    assert not mask.shapes


def test_without_a_geometry_places_are_rows_and_columns(anaps):
    text = talk(
        anaps.MakeMask("opal", shapes=[]), "c", KeyboardInterrupt, "p", "", EOFError
    )
    assert "center (row column) [pixels]?" in text
    assert "points (row1 column1 …) [pixels]?" in text


def test_the_end_without_a_shape_says_why_it_asks_again(anaps):
    text = talk(anaps.MakeMask("opal", shapes=[]), "q", KeyboardInterrupt)
    assert "nothing is masked yet: choose a shape, or leave with Ctrl-C" in text


@pytest.mark.parametrize(
    ("answer", "stage", "allowed"),
    [("10 100", 0, [10, 100]), ("G1 10 100", 1, [10, 100]), ("G2 5,6", 2, [5, 6])],
)
def test_upstreams_answer_to_the_range_is_of_the_first_stage(answer, stage, allowed):
    assert stage_and_range(answer, ["G0", "G1", "G2"]) == (stage, allowed)


@pytest.mark.parametrize("answer", ["G3 1 2", "G1", "1", "G1 1 2 3"])
def test_a_range_that_makes_no_sense_is_asked_again(answer):
    with pytest.raises(UsageError):
        stage_and_range(answer, ["G0", "G1", "G2"])


def test_what_fails_at_the_end_is_asked_again(anaps, tmp_path):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    nowhere, path = (str(tmp_path / name) for name in ("none/m.data", "m.data"))
    answers = ("q", "n", "y", "y", "9 3", "3 9", "y", nowhere, "y", path)
    text = talk(mask, *answers)
    assert "is not a range of runs" in text
    assert "cannot write" in text
    assert "no format of masks 'y'" in text
    assert len(anaps.pending) == 1
    assert (anaps.places.calib / "opal" / "pixel_mask" / "3-9.npy").exists()
    np.testing.assert_array_equal(np.loadtxt(path), MASKED == 0)


def test_what_cannot_be_accepted_is_asked_again(anaps, monkeypatch):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    accept, errors = mask.accept, [ParameterError("not this one")]

    def refuse_once(name=None):
        if errors:
            raise errors.pop()
        return accept(name)

    monkeypatch.setattr(mask, "accept", refuse_once)
    assert "not this one" in talk(mask, "q", "n", "y", "y", "n", "n")
    assert len(anaps.pending) == 1


def test_a_file_that_is_not_there_is_asked_again(anaps, tmp_path):
    path = tmp_path / "m.data"
    mask = anaps.MakeMask("opal", shapes=[BOX])
    mask.save(path)
    other = anaps.MakeMask("opal", shapes=[])
    text = talk(other, "f", str(tmp_path / "no.data"), str(path), "y", "y", *"nnnn")
    assert "no.data" in text
    np.testing.assert_array_equal(other.good, mask.good)


def test_ctrl_c_goes_back_one_step_from_every_question(anaps):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    back = KeyboardInterrupt
    talk(
        mask,
        *("c", "12 9 px", back),
        *("e", "1", "y", back),
        *("q", back),
        *("q", "n", "n", "y", back, "n", "y", back, back),
        back,
    )
    assert [table["shape"] for table in mask.shapes] == ["rectangle", "edges"]
    assert not anaps.pending


def test_radii_that_make_no_sense_are_asked_again(anaps):
    mask = anaps.MakeMask("opal", shapes=[])
    text = talk(mask, "c", "12 9 px", "3 9", "5 2", "n", "", "y", *"nnnn")
    assert "below radius = 3" in text
    assert mask.shapes == [
        {"shape": "donut", "center": [12, 9], "radius": 5, "inner": 2}
    ]


def test_a_circle_that_was_not_drawn_changes_no_other_shape(shown):
    shown.add(BOX)
    talk(shown, "c", "y", "n", "", "p", "y", "", KeyboardInterrupt, windows=True)
    assert shown.shapes == [BOX]


def test_at_a_terminal_the_command_asks(anaps, monkeypatch):
    answering = Answers("R", "2 6 3 8", "", "y", "", "", "", "")
    monkeypatch.setattr(mask_commands, "somebody_there", lambda: True)
    monkeypatch.setattr(
        dialogue, "Dialogue", lambda: Dialogue(answering.read, answering.said.append)
    )
    anaps.interactive = True
    mask = anaps.MakeMask("opal")
    np.testing.assert_array_equal(mask.selected, MASKED)
    assert [entry.name for entry in anaps.pending] == ["mask"]


def test_any_image_can_be_drawn_on(anaps):
    image = np.arange(384, dtype=np.float32).reshape(24, 16)
    shapes = [{"shape": "threshold", "of": "image", "high": 379}]
    mask = anaps.MakeMask("opal", shapes=shapes, inImage=image)
    assert np.argwhere(mask.selected)[:, 1].tolist() == [12, 13, 14, 15]


def test_what_was_done_is_in_the_record(anaps, tmp_path):
    mask = anaps.MakeMask("opal", shapes=[BOX])
    mask.accept()
    mask.to_store(3)
    mask.save(tmp_path / "m.h5")
    commands = [step.command for step in anaps.record.steps]
    assert commands == [
        f"{mask.scripted()}.accept(name='mask')",
        f"{mask.scripted()}.to_store(begin=3, end=None, keep=True)",
        f"{mask.scripted()}.save({str(tmp_path / 'm.h5')!r}, good=1, of='frame')",
    ]


def test_without_an_image_it_is_said_how_to_get_one(anaps, capsys):
    assert anaps.MakeMask("opal").picture is None
    assert "AvImage() makes one" in capsys.readouterr().out


def test_thresholds_show_what_values_there_are(shown):
    text = talk(shown, "t", "1000 2000", "", "y", "n", "n", "n", "n")
    image = shown.average.data
    expected = (image < 1000) | (image > 2000)
    np.testing.assert_array_equal(shown.selected, expected)
    assert f"100 %: {image.max():.4g}" in text


def test_suspicious_pixels_are_taken_after_they_were_shown(shown):
    text = talk(
        shown, "s", "hot", "0.5", "n", "s", "hot", "0.5", "y", "y", "y", *"nnnn"
    )
    assert [table["shape"] for table in shown.shapes] == ["suspicious"]
    assert "hot pixels, not masked before" in text


def test_files_are_loaded_with_what_they_mean(anaps, tmp_path):
    path = tmp_path / "m.npy"
    np.save(path, MASKED.astype(np.uint8))
    mask = anaps.MakeMask("opal", shapes=[])
    talk(mask, "f", str(path), "0", "y", "y", *"nnnn")
    np.testing.assert_array_equal(mask.selected, MASKED)


def test_with_a_window_shapes_are_drawn(shown):
    mouse = Mouse(shown.picture.figure.ax)
    talk(
        shown,
        *("r", lambda: mouse.drag((1.6, 2.6), (5.4, 7.4)), "", "y", "n"),
        *("c", "y", "n", lambda: mouse.drag((12, 9), (12, 12)), "", "n", "y", "n"),
        *("p", "y", *[lambda p=p: mouse.click(p) for p in ((1, 1), (1, 5), (5, 1))]),
        *("", "y", "n"),
        *("b", "3", lambda: mouse.drag((20, 2), (20, 9)), "", "y", "y"),
        *"nnnn",
        windows=True,
    )
    kinds = [table["shape"] for table in shown.shapes]
    assert kinds == ["rectangle", "circle", "polygon", "brush"]
