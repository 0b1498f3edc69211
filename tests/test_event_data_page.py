"""docs/event_data.md is complete, and what it shows can be read."""

import re
from pathlib import Path

import pytest

from smalldata_ana.event_data import EventParameters
from smalldata_ana.event_data.tables import FIELDS, SCALARS
from smalldata_ana.event_data.time_tool import MEANINGS, SPELLINGS
from smalldata_ana.event_data.topic import LARGEST_ARRAY
from smalldata_ana.parameters.file import ParameterFile
from smalldata_ana.producing import windows
from smalldata_ana.sources.light_rules import GENERIC, TABLE, parse_rules, rule_of

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/event_data.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)


def rows_below(title):
    """Return the cells of the rows of the first table below a title."""
    text = PAGE.split(f" {title}\n", 1)[1]
    table = re.search(r"\|---.*\n((?:\|.*\n)+)", text)[1]
    return [[c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines()]


def test_every_parameter_is_described():
    keys = [key.strip("`") for key, _ in rows_below("The table `[event]`")]
    assert sorted(keys) == sorted(EventParameters.file_keys())
    example = ParameterFile.parse(EXAMPLES[0], Path("p.toml")).resolve(12).event
    given = {k for k in keys if getattr(example, k) not in (None, [], "")}
    assert given == set(keys)


@pytest.mark.parametrize(("run", "lights"), [(12, 2), (40, 4)])
def test_the_light_by_runs(run, lights):
    event = ParameterFile.parse(EXAMPLES[1], Path("p.toml")).resolve(run).event
    assert len(rule_of(parse_rules(event.light_status), run).lights) == lights


def test_the_codes_of_the_hutches():
    def codes(light):
        return [*light.drop, *(-code for code in light.request)]

    rules = {row.experiments: row.rule for row in TABLE if "LCLS-II" in row.generations}
    rules["any other"] = GENERIC
    rows = rows_below("Light")
    assert [hutch for hutch, *_ in rows] == list(rules)
    for hutch, xray, laser in rows:
        rule = rules[hutch]
        assert [int(n) for n in re.findall(r"-?\d+", laser)] == codes(rule.laser)
        wanted = codes(rule.xray) or [rule.destination]
        assert [int(n) for n in re.findall(r"-?\d+", xray)] == wanted


def test_every_name_of_the_tables_is_there():
    named = set(re.findall(r"`(?:[\w<>]+/)?(\w+)`", PAGE))
    assert {name.name for name in FIELDS.values()} <= named
    assert {name.name for _, name in SCALARS.values()} <= named
    assert {*MEANINGS, *SPELLINGS.values(), "ttCorr"} <= named
    assert windows.fields_of({}).keys() <= named
    assert f"more than {LARGEST_ARRAY} values" in PAGE


@pytest.mark.parametrize("page", ["README.md", "docs/producer.md"])
def test_it_can_be_found(page):
    assert "event_data.md" in (ROOT / page).read_text()
