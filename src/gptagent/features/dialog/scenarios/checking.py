"""What a scenario may be: every fault is told with its place. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from gptagent.features.agents.model import LANGUAGES
from gptagent.features.dialog.scenarios.judging import words_of
from gptagent.features.dialog.scenarios.model import (
    CHANNEL_MAX_CHARS,
    CHECKS_MAX,
    CUSTOMERS,
    GOAL_MAX_CHARS,
    MESSAGE_MAX_CHARS,
    MESSAGES_MAX,
    NAME_MAX_CHARS,
    OUTCOMES,
    PERSONA_MAX_CHARS,
    REPEATS_MAX,
    SUBJECTS,
    TURNS_MAX,
    VALUE_MAX_CHARS,
    Check,
    NewScenario,
    Play,
)
from gptagent.kernel.errors import FieldError, Invalid

LONGEST = "Write at most {max} characters."


def checked(new: NewScenario) -> NewScenario:
    """Return it without needless white space. Raises Invalid naming every fault."""
    name, play = " ".join(new.name.replace("\0", " ").split()), new.play
    play = replace(
        play,
        messages=tuple(_tidy(one) for one in play.messages if one.strip()),
        persona=_tidy(play.persona),
        goal=_tidy(play.goal),
        where=replace(play.where, channel=_tidy(play.where.channel)),
        checks=tuple(replace(one, value=" ".join(_tidy(one.value).split())) for one in play.checks),
    )
    faults = tuple(_faults(name, play))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=faults)
    return replace(new, name=name, play=play)


def checked_repeats(repeats: int) -> int:
    """Raises Invalid."""
    if not 1 <= repeats <= REPEATS_MAX:
        raise Invalid.field("repeats", "From {low} to {high}.", low=1, high=REPEATS_MAX)
    return repeats


def _tidy(text: str) -> str:
    return text.replace("\0", " ").strip()


def _faults(name: str, play: Play) -> Iterator[FieldError]:
    if not name:
        yield FieldError("name", "Give the scenario a name.")
    elif len(name) > NAME_MAX_CHARS:
        yield FieldError("name", LONGEST, {"max": NAME_MAX_CHARS})
    if play.customer not in CUSTOMERS:
        yield FieldError("customer", "Choose one of the list.")
    elif play.customer == "fixed":
        yield from _faults_of_messages(play)
    else:
        yield from _faults_of_part(play)
    if len(play.where.channel) > CHANNEL_MAX_CHARS:
        yield FieldError("where/channel", LONGEST, {"max": CHANNEL_MAX_CHARS})
    if not play.checks:
        yield FieldError("checks", "Say at least one thing that must or must not be.")
    if len(play.checks) > CHECKS_MAX:
        yield FieldError("checks", "Write at most {max}.", {"max": CHECKS_MAX})
    for number, check in enumerate(play.checks[:CHECKS_MAX]):
        yield from _faults_of_check(check, f"checks/{number}", play.most_turns)


def _faults_of_messages(play: Play) -> Iterator[FieldError]:
    if not play.messages:
        yield FieldError("messages", "Write at least one message of the customer.")
    if len(play.messages) > MESSAGES_MAX:
        yield FieldError("messages", "Write at most {max}.", {"max": MESSAGES_MAX})
    if any(len(one) > MESSAGE_MAX_CHARS for one in play.messages):
        yield FieldError("messages", "A message has at most {max} characters.", {"max": MESSAGE_MAX_CHARS})


def _faults_of_part(play: Play) -> Iterator[FieldError]:
    if not play.persona:
        yield FieldError("persona", "Say who the customer is.")
    elif len(play.persona) > PERSONA_MAX_CHARS:
        yield FieldError("persona", LONGEST, {"max": PERSONA_MAX_CHARS})
    if not play.goal:
        yield FieldError("goal", "Say what the customer wants.")
    elif len(play.goal) > GOAL_MAX_CHARS:
        yield FieldError("goal", LONGEST, {"max": GOAL_MAX_CHARS})
    if not 1 <= play.turns <= TURNS_MAX:
        yield FieldError("turns", "From {low} to {high}.", {"low": 1, "high": TURNS_MAX})


def _faults_of_check(check: Check, place: str, turns: int) -> Iterator[FieldError]:
    if check.subject not in SUBJECTS:
        yield FieldError(f"{place}/subject", "Choose one of the list.")
        return
    if not check.value:
        yield FieldError(f"{place}/value", "Say what it looks for.")
    elif len(check.value) > VALUE_MAX_CHARS:
        yield FieldError(f"{place}/value", LONGEST, {"max": VALUE_MAX_CHARS})
    elif check.subject == "words" and not words_of(check.value):
        yield FieldError(f"{place}/value", "Say what it looks for.")
    elif check.subject == "language" and check.value not in LANGUAGES:
        yield FieldError(
            f"{place}/value", "Write the code of a language: {codes}.", {"codes": ", ".join(LANGUAGES)}
        )
    elif check.subject == "outcome" and check.value not in OUTCOMES:
        yield FieldError(f"{place}/value", "Write one of: {codes}.", {"codes": ", ".join(OUTCOMES)})
    if not 0 <= check.at <= turns:
        yield FieldError(f"{place}/at", "The customer does not write so many messages.")
