"""What is told of an agent's actions, and to whom: names for codes, arguments where prompts may be read."""

from typing import get_args
from uuid import uuid4

import pytest
from starlette.datastructures import FormData

from gptagent.features.agents.offering import ACTION_NAMES as EDITED
from gptagent.features.dialog.acting.api import looked
from gptagent.features.dialog.acting.model import ACTION_NAMES, UNKNOWN, Called, Run
from gptagent.features.dialog.acting.textual import read_calls
from gptagent.features.dialog.acting.tools import TOOLS
from gptagent.features.dialog.acting.web import ACTIONS
from gptagent.features.dialog.guarding.signs import Kind, Origin
from gptagent.features.dialog.scenarios import forms
from gptagent.features.dialog.scenarios.model import Check, Failure
from gptagent.features.dialog.scenarios.saying import failure_said
from gptagent.features.dialog.tracing.telling import SIGN_ORIGINS, SIGNS
from gptagent.features.organizations.policy import PERMISSIONS


def test_every_action_and_every_sign_of_an_attack_has_its_words():
    assert set(ACTION_NAMES) == EDITED.keys() == ACTIONS.keys() - {UNKNOWN}
    assert TOOLS.keys() - forms.ACTIONS.keys() == {"tell_intent"}
    assert SIGNS.keys() == set(get_args(Kind))
    assert SIGN_ORIGINS.keys() == set(get_args(Origin))


def test_who_may_not_read_prompts_is_not_told_the_arguments_with_the_intent_either():
    """MSG-14"""
    calls = (Called("create_task", "taken", {"text": "Call +7 912"}),)
    run = Run(uuid4(), "done", "booking", 0.9, None, calls)
    told = {role: looked(run, PERMISSIONS[role]) for role in ("member", "admin")}
    assert {one.intent for one in told.values()} == {"booking"}
    assert [one.arguments for one in told["member"].calls] == [None]
    assert [one.arguments for one in told["admin"].calls] == [{"text": "Call +7 912"}]


def test_an_action_of_a_scenario_is_chosen_by_its_name_and_told_by_it():
    """AGT-27: one that there is not, or no more, stays what it is"""
    form = FormData({"check-0-look": "action:create_contact", "check-0-at": "2", "check-0-must": "not"})
    (check,) = forms.read_scenario(form).play.checks
    assert check == Check("action", "create_contact", must=False, at=2)
    rows = [forms.Row("action:add_tags"), forms.Row("action:made_up")]
    looks = dict(forms.looks(rows))
    assert looks["action:add_tags"] == "Add tags" and looks["action:made_up"] == "made_up"
    assert len(dict(forms.looks())) == len(looks) - 1
    said = failure_said("ru", Failure("action_at", "create_task", 1))
    assert said == "С ответом 1 агент не запланировал действие «Поставить задачу»."
    assert "«made_up»" in failure_said("ru", Failure("action", "made_up"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I will call.",
        "[]",
        "{}",
        '{"calls": [{"name": "create_task"}]}',
        '{"calls": [], "more": 1}',
        '{"calls": [{"name": "x", "arguments": {}, "lead_id": 1}]}',
        '{"calls": []} and more',
        '{"calls": [{"name": "x", "arguments": "{}"}]}',
        '{"calls": [{"name": "x", "arguments": {"a": ' + "[" * 100_000,
    ],
)
def test_what_is_not_exactly_the_form_asked_for_names_no_calls(text):
    """MSG-13"""
    assert read_calls(text) is None


def test_calls_in_words_may_stand_in_a_block_of_code():
    assert read_calls('{"calls": []}') == ()
    (call,) = read_calls('```json\n{"calls": [{"name": "x", "arguments": {"a": 1}}]}\n```\n')
    assert (call.name, call.arguments) == ("x", {"a": 1})


def test_calls_in_words_hold_nothing_that_a_database_refuses():
    """MSG-13: a zero is named within JSON that is itself a text, so no adapter sees it"""
    (call,) = read_calls(
        r'{"calls": [{"name": "x", "arguments": {"a\u0000": ["\u0000b", {"c": "\u0000"}]}}]}'
    )
    assert call.arguments == {"a": ["b", {"c": ""}]}
