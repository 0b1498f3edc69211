"""The conversation at a terminal, with answers that are given by the test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from terminal import Talk

from smalldata_ana.errors import UsageError
from smalldata_ana.session.tools.dialogue import (
    Back,
    numbers,
    one_of,
    whole_numbers,
    yes_or_no,
)


def test_nonsense_is_asked_again_with_the_reason():
    talk = Talk("maybe", "1 two", "7")
    found = talk.dialogue.ask("How many?", lambda text: whole_numbers(text, 1), help="")
    assert found == [7]
    assert talk.prompts == ["How many? "] * 3
    assert talk.lines == [
        "  'maybe' holds more than numbers",
        "  '1 two' holds more than numbers",
    ]


def test_an_empty_answer_takes_the_default_which_is_shown():
    talk = Talk("  ")
    assert talk.dialogue.ask("Radius?", numbers, [5.0], help="") == [5.0]
    assert talk.prompts == ["Radius? [[5.0]] "]
    talk = Talk("")
    assert talk.dialogue.ask("Radius?", numbers, [5.0], help="", shown="5") == [5.0]
    assert talk.prompts == ["Radius? [5] "]


@pytest.mark.parametrize("answer", ["", KeyboardInterrupt, EOFError])
def test_without_a_default_it_goes_back(answer):
    with pytest.raises(Back):
        Talk(answer).dialogue.ask("Radius?", numbers, help="")


@pytest.mark.parametrize("end", [KeyboardInterrupt, EOFError])
def test_ctrl_c_goes_back_although_there_is_a_default(end):
    talk = Talk(end)
    with pytest.raises(Back):
        talk.dialogue.yes("Happy?", True, help="")
    assert talk.lines == [""]


def test_a_question_mark_prints_help_and_asks_again():
    talk = Talk("?", "?", "3")
    assert talk.dialogue.ask("Radius?", numbers, help="in um") == [3]
    assert talk.lines == ["in um", "in um"]


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [("y", True), ("Y", True), ("yes", True), ("YES", True), ("n", False), ("No", 0)],
)
def test_yes_and_no_in_any_case(answer, meaning):
    assert Talk("perhaps", answer).dialogue.yes("Happy?", help="") == meaning


@pytest.mark.parametrize("default", [True, False])
def test_the_default_of_yes_and_no(default):
    talk = Talk("")
    assert talk.dialogue.yes("Happy?", default, help="") is default
    assert talk.prompts == [f"Happy? (y/n) [{'y' if default else 'n'}] "]


def test_letters_count_with_their_case():
    talk = Talk("x", "R")
    assert talk.dialogue.choose("Shape?", ["r", "R", "c"], help="") == "R"
    assert talk.lines == ["  'x' is none of 'r', 'R', 'c'."]


def test_the_nearest_name_is_told():
    with pytest.raises(UsageError, match="Did you mean 'epix100'"):
        one_of("epix10", ["epix100", "opal"])


@pytest.mark.parametrize(
    "text", ["1 2.5", "1,2.5", "[1, 2.5]", "(1 , 2.5)", " 1  2.5 "]
)
def test_numbers_in_all_spellings(text):
    assert numbers(text, 2) == [1.0, 2.5]


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        (lambda: numbers("1 2 3", 2), "is not 2 numbers; separate"),
        (lambda: numbers("[]"), "is not numbers"),
        (lambda: numbers("1;2"), "holds more than numbers"),
        (lambda: numbers("1 nan"), "not finite"),
        (lambda: numbers("inf"), "not finite"),
        (lambda: whole_numbers("1 2.5"), "not whole"),
        (lambda: yes_or_no("j"), "neither y"),
    ],
)
def test_what_is_wrong_with_an_answer(parse: Callable[[], object], message):
    with pytest.raises(UsageError, match=message):
        parse()
