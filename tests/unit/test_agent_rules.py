"""Pure rules of agents: who fits where, when hours are open, what becomes of a model's words."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from gptagent.features.agents.choosing import choose, fits, overshadowed_by, stage_text
from gptagent.features.agents.model import (
    Agent,
    Channels,
    Hours,
    Opening,
    PipelineRule,
    Pipelines,
    Place,
    Settings,
    StageText,
)
from gptagent.features.agents.opening import wait_until_open
from gptagent.features.dialog.wording import plain, shortened

HERE, ELSEWHERE = UUID(int=1), UUID(int=2)
AT = Place(HERE, "waba", 10, 100)
WEEK = (Opening(1, "09:00", "18:00"), Opening(6, "10:00", "23:59"))
HOURS = Hours(is_on=True, timezone="Europe/Berlin", week=WEEK)
HOUR = timedelta(hours=1)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def agent(number, settings=Settings(), *, is_active=True):  # noqa: B008 - frozen
    now = at("2026-01-01T00:00")
    return Agent(UUID(int=number), f"Agent {number}", is_active, settings, 1, now, now)


def limited(*rules, **changes):
    return replace(Settings(), pipelines=Pipelines(all=False, chosen=rules), **changes)


@pytest.mark.parametrize(
    ("settings", "place", "is_fitting"),
    [
        (Settings(), Place(HERE, "", None, None), True),
        (limited(PipelineRule(HERE, 10)), AT, True),
        (limited(PipelineRule(HERE, 10)), replace(AT, stage_id=101), True),
        (limited(PipelineRule(HERE, 10, all_stages=False, stages=(100, 102))), AT, True),
        (limited(PipelineRule(HERE, 10, all_stages=False, stages=(101,))), AT, False),
        (limited(PipelineRule(HERE, 10, is_active=False)), AT, False),
        (limited(PipelineRule(ELSEWHERE, 10)), AT, False),
        (limited(PipelineRule(HERE, 11)), AT, False),
        (limited(PipelineRule(HERE, 10)), replace(AT, pipeline_id=None, stage_id=None), False),
        (limited(PipelineRule(HERE, 10)), replace(AT, stage_id=None), False),
        (replace(Settings(), channels=Channels(all=False, chosen=("telegram", "waba"))), AT, True),
        (replace(Settings(), channels=Channels(all=False, chosen=("telegram",))), AT, False),
        (limited(PipelineRule(HERE, 10), channels=Channels(all=False, chosen=("telegram",))), AT, False),
    ],
)
def test_an_agent_fits_by_channel_pipeline_and_stage(settings, place, is_fitting):
    """AGT-13, AGT-15"""
    assert fits(settings, place) == is_fitting


def test_the_first_that_fits_answers_and_one_behind_an_agent_for_everything_waits():
    """AGT-13"""
    sales, support, rest = agent(1, limited(PipelineRule(HERE, 10))), agent(2), agent(3)
    assert choose([sales, support, rest], AT) == sales
    assert choose([sales, support, rest], replace(AT, pipeline_id=11)) == support
    assert choose([sales], Place(HERE, "waba")) is None
    everybody = [sales, support, rest]
    assert [overshadowed_by(everybody, one) for one in everybody] == [None, None, support]
    assert overshadowed_by([replace(support, is_active=False), rest], rest) is None


def test_a_stage_has_its_text_also_where_all_deals_are_taken():
    """AGT-14"""
    rule = PipelineRule(HERE, 10, instructions=(StageText(100, "Ask for the size."),))
    for settings in (limited(rule), replace(Settings(), pipelines=Pipelines(chosen=(rule,)))):
        assert stage_text(settings, AT) == "Ask for the size."
        for other in (replace(AT, stage_id=101), replace(AT, connection_id=ELSEWHERE), Place(HERE, "waba")):
            assert stage_text(settings, other) == ""


@pytest.mark.parametrize(
    ("now", "wait"),
    [
        ("2026-11-30T08:00", None),  # Monday, 9 o'clock in Berlin
        ("2026-11-30T07:00", HOUR),
        ("2026-11-30T16:59", None),
        ("2026-11-30T17:00", timedelta(days=4, hours=16)),  # till Saturday at 10
        ("2026-12-05T22:59:30", None),  # the last minute of Saturday
        ("2026-12-05T23:00", timedelta(days=1, hours=9)),
        ("2026-10-24T22:30", timedelta(days=1, hours=9.5)),  # clocks go back meanwhile
    ],
)
def test_hours_are_those_of_the_place(now, wait):
    """AGT-29"""
    assert wait_until_open(HOURS, at(now)) == wait


def test_holidays_are_closed_and_without_hours_it_is_always_open():
    """AGT-29"""
    monday = at("2026-11-30T08:00")
    free = replace(HOURS, holidays=(date(2026, 11, 30), date(2026, 12, 5)))
    assert wait_until_open(free, monday) == timedelta(days=7)
    assert wait_until_open(replace(free, is_on=False), monday) is None
    never = replace(
        free,
        week=(Opening(1, "09:00", "10:00"),),
        holidays=tuple(date(2026, 11, 30) + timedelta(weeks=number) for number in range(60)),
    )
    assert wait_until_open(never, monday) > timedelta(days=365)


def test_markdown_becomes_plain_text():
    """AGT-30"""
    text = (
        "## Prices\n\n* **Oslo**: *from* 490 `RUB`\n+ __Bergen__\n> quoted\n"
        "See [our page](https://example.com/a_b) or <b>. 2 * 3 * 4, snake_case_name\n```\ncode\n```"
    )
    assert plain(text) == (
        "Prices\n\n- Oslo: from 490 RUB\n- Bergen\nquoted\n"
        "See our page (https://example.com/a_b) or <b>. 2 * 3 * 4, snake_case_name\ncode"
    )


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Short.", "Short."),
        ("One is here. Two is here. Three is here.", "One is here. Two is here."),
        ("It costs 1.5 million roubles at the least", "It costs 1.5 million roubles…"),
        ("a" * 40, "a" * 29 + "…"),
        ("First line\nand a second one that is long", "First line"),
    ],
)
def test_what_is_too_long_ends_with_a_whole_sentence_or_word(text, short):
    """AGT-30"""
    assert shortened(text, 30) == short
    assert len(short) <= 30
