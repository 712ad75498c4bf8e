"""When a conversation is to be handed over, and what becomes of that. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.conversations.model import Message
from gptagent.features.dialog.model import Answer

Reason = Literal["asked_for_person", "model_hands_over", "person"]
MadeBy = Literal["agent", "person"]
ASKED: Reason = "asked_for_person"
MODEL: Reason = "model_hands_over"
NOTE_MAX_CHARS = 1_000
SUMMARY_MESSAGES = 6
SUMMARY_MESSAGE_CHARS = 300
HANDOFF_MARK = "HAND_OVER"
RULE = (
    "If the customer asks for a person, complains, or needs something only a colleague can do or decide, "
    f"write exactly {HANDOFF_MARK} and nothing else: a colleague then takes over."
)

# Whom a customer asks for, and the words by which they do. To speak of people is no request: tables are for
# four of them, and courses train managers.
_PERSON_EN = (
    r"(?:a|an|the|your|some|any)?\s*(?:real\s+|live\s+|actual\s+)?"
    r"(?:human(?:\s+being)?|person|operator|manager|representative|agent|colleague|supervisor|someone\s+real)\b"
)
_BY_ITSELF_EN = (
    r"(?:a|an)?\s*(?:human|operator|representative|(?:real|live)\s+(?:human|person|agent|operator))"
)
_PERSON_RU = (
    r"(?:жив\w+\s+|реальн\w+\s+|настоящ\w+\s+|ваш\w*\s+)?"
    r"(?:человек\w*|людьми|оператор\w*|менеджер\w*|сотрудник\w*|специалист\w*|консультант\w*|руководител\w*)"
)
_ADDRESS_RU = (
    r"(?:позов\w+|позва\w+|соедини\w+|переключи\w+|перевед\w+|свяж\w+|связа\w+|поговор\w+|пообща\w+|подключи\w+"
    r"|пригласи\w+)"
)
_ENDS = r"(?:\s*,?\s*(?:please|пожалуйста))?\s*(?:[,.!?;)]|$)"
_WISHES = re.compile(
    rf"\b(?:talk|speak|chat)\s+(?:to|with)\s+{_PERSON_EN}"
    rf"|\b(?:connect|transfer|switch|put|pass|hand)\s+(?:me|us)\s+(?:over\s+|through\s+)?(?:to|with)\s+{_PERSON_EN}"
    rf"|\b(?:call|get|give|bring)\s+(?:me\s+)?{_PERSON_EN}{_ENDS}"
    rf"|\b(?:need|want|like)\s+{_BY_ITSELF_EN}{_ENDS}"
    rf"|\b{_ADDRESS_RU}\b[^.?!\n\d]{{0,20}}\b{_PERSON_RU}"
    rf"|\b(?:нужен|нужна|хочу|дайте|дай|требую)\s+(?:мне\s+)?{_PERSON_RU}{_ENDS}"
    rf"|\b(?:жив\w+|реальн\w+|настоящ\w+)\s+(?:человек\w*|людьми|оператор\w*|менеджер\w*|сотрудник\w*)"
    rf"|^[^\w\n]*(?:{_BY_ITSELF_EN}|{_PERSON_RU}){_ENDS}[^\w\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
# A run of spaces is one: the patterns would try each of its spaces in each of their gaps.
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")
REFUSED_WITHIN_CHARS = 200  # before the words by which somebody asks
_REFUSALS = re.compile(
    r"\b(?:do\s+not|don['’]t|does\s+not|no\s+need|without|not)\b[^.?!\n]{0,25}$|\b(?:не|без)\s+(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Handoff:
    """A hand-off and how its parts stand: states of message, task and note; None: there is no such part."""

    id: UUID
    made_by: MadeBy
    by_name: str
    assignee_id: UUID | None
    reason: Reason
    note: str
    created_at: datetime
    after_seq: int
    message_state: str | None
    message_reason: str | None
    task_state: str | None
    summary_state: str | None


def asks_for_person(text: str) -> bool:
    """Whether the customer asks to be answered by a person, in Russian or English."""
    plain = _LINES.sub("\n", _SPACES.sub(" ", text))
    wishes = (one.start() for one in _WISHES.finditer(plain))
    return any(not _REFUSALS.search(plain[max(0, at - REFUSED_WITHIN_CHARS) : at]) for at in wishes)


def hands_over(answer: Answer | None) -> bool:
    """Whether the turn's answer is to give the conversation to a colleague."""
    return answer is not None and answer.outcome == "handed_off" and answer.reason in {ASKED, MODEL}


def said_last(messages: Sequence[Message], names: dict[str, str]) -> str:
    """Return the last words of both sides, a line each. `names` says who an author is."""
    told = [one for one in messages if one.told][-SUMMARY_MESSAGES:]
    return "\n".join(
        f"{one.author_name or names[one.author]}: {' '.join(one.told.split())[:SUMMARY_MESSAGE_CHARS]}"
        for one in told
    )
