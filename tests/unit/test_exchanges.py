"""KB-28: what was asked and answered in a talk, and when a person is done with it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from gptagent.features.conversations.model import Message
from gptagent.features.dialog.model import TurnRecord
from gptagent.features.dialog.proposing.model import LEFT_FOR, SILENT_FOR, exchanges_of, wait_for

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TURN = UUID(int=7)


def talk(*said, minutes=1):
    """Return messages: `c` the customer's, `h` a person's, `a` the agent's, `b` a bot's."""
    said_at = NOW - timedelta(minutes=minutes)
    authors = {"c": "customer", "h": "human", "a": "agent", "b": "bot"}
    return [
        Message(seq, authors[who], "", text, None, TURN if who == "a" else None, said_at)
        for seq, (who, text) in enumerate(said, start=1)
    ]


def turns(outcome, first, last):
    return [TurnRecord(TURN, outcome, None, None, first, last)]


def found(messages, tried=()):
    return [(one.question, one.answers, one.turns) for one in exchanges_of(messages, tried)]


def test_a_refusal_of_the_agent_leaves_the_question_open_for_the_person():
    messages = talk(("c", "Q1"), ("a", "Unknown"), ("c", "Q2"), ("h", "A1"), ("h", "A2"), ("c", "Bye"))
    assert found(messages, turns("not_found", 1, 1)) == [("Q1 Q2", ("A1", "A2"), (TURN,))]


def test_what_the_agent_has_answered_is_no_question_unless_the_person_adds_to_it():
    answered = [("c", "Q1"), ("a", "R1")]
    tried = turns("reply", 1, 1)
    assert found(talk(*answered, ("c", "Q2"), ("h", "A2")), tried) == [("Q2", ("A2",), ())]
    assert found(talk(*answered, ("h", "A1")), tried) == [("Q1", ("A1",), (TURN,))]


def test_each_answer_belongs_to_the_question_before_it():
    messages = talk(
        ("h", "Hi"), ("c", "Q1"), ("c", " "), ("h", "A1"), ("b", "Menu"), ("c", "Q2"), ("h", "A2")
    )
    assert found(messages) == [("Q1", ("A1",), ()), ("Q2", ("A2",), ())]
    assert found(talk(("h", "Hi"), ("c", "Q1"))) == []


@pytest.mark.parametrize(("last", "patience"), [("h", SILENT_FOR), ("c", LEFT_FOR)])
def test_a_person_is_done_after_a_silence_or_when_the_agent_has_the_chat_again(last, patience):
    messages = talk(("c", "Q"), ("h", "A"), (last, "End"), minutes=30)
    left = patience - timedelta(minutes=30)
    assert wait_for(messages, is_held=True, now=NOW) == left
    assert wait_for(messages, is_held=True, now=NOW + left) is None
    assert wait_for(messages, is_held=False, now=NOW) is None
