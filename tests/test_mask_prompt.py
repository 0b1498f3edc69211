"""The conversation of MakeMask at the real prompt."""

from __future__ import annotations

import numpy as np
from test_prompt import OUT, say, start  # noqa: F401 (a fixture)


def answer(shell, question, text):
    shell.expect_exact(question)
    shell.sendline(text)


def test_a_mask_is_made_by_letters_and_saved(start, tmp_path):  # noqa: F811
    shell = start("--simple-prompt")
    say(shell, "anaps.AvImage('opal', 3)")
    shell.sendline("mask = anaps.MakeMask('opal')")
    answer(shell, "edgepixels(e)? More with ?:", "bogus")
    answer(shell, "edgepixels(e)? More with ?:", "?")
    answer(shell, "edgepixels(e)? More with ?:", "r")
    answer(shell, "without the last ones?", "2 6 3")
    answer(shell, "without the last ones?", "2 6 3 8")
    answer(shell, "Add this mask? (y/n) [y]", "")
    answer(shell, "Done? (y/n) [n]", "n")
    shell.expect_exact("edgepixels(e)? More with ?:")
    shell.sendcontrol("c")
    shell.expect(OUT)
    assert "nothing is taken" in shell.before
    assert "20 pixels of 384" in say(shell, "mask")
    shell.sendline("mask = anaps.MakeMask('opal')")
    answer(shell, "More with ?:", "e")
    answer(shell, "edge rows and columns", "1")
    answer(shell, "Add this mask?", "y")
    answer(shell, "Done?", "y")
    answer(shell, "masked pixels will get rejected) (y/n) [n]", "")
    answer(shell, "Accept it for exportParams? (y/n) [y]", "")
    answer(shell, "Save to calibdir? (y/n) [n]", "")
    answer(shell, "Save to local? (y/n) [n]", "y")
    answer(shell, "[Mask_AvImg_raw_opal_xpptut15_Run014.data]", "")
    shell.expect(OUT)
    good = np.loadtxt(tmp_path / "Mask_AvImg_raw_opal_xpptut15_Run014.data")
    assert good.sum() == 22 * 14
    assert "'mask'" in say(shell, "anaps.pending")
