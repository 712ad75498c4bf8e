"""What an attempt's answers come to by a scenario's checks. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from gptagent.features.dialog.scenarios.languages import speaks
from gptagent.features.dialog.scenarios.model import Check, Failure, Reply, Subject

_WORD = re.compile(r"[\w+%€$₽]+\*?")
ANY_ENDING = "*"


def judge(checks: Sequence[Check], replies: Sequence[Reply]) -> list[Failure]:
    """Return everything that is not as it must be, in the order of the checks."""
    return [failure for check in checks for failure in _failures(check, replies)]


def _failures(check: Check, replies: Sequence[Reply]) -> Iterator[Failure]:
    if check.at > len(replies):
        yield Failure("too_short", at=check.at)
        return
    looked_at = list(enumerate(replies, start=1))
    if check.at:
        looked_at = looked_at[check.at - 1 : check.at]
    name = check.value if check.subject == "outcome" else check.subject
    if check.subject == "language":
        yield from _wrong_language(check, looked_at)
    elif check.must:
        if not any(holds(check, reply) for _at, reply in looked_at):
            yield Failure(f"{name}_at" if check.at else name, check.value, check.at)
    else:
        for at, reply in looked_at:
            if holds(check, reply):
                yield Failure(f"{name}_not", check.value, at)


def _wrong_language(check: Check, looked_at: Sequence[tuple[int, Reply]]) -> Iterator[Failure]:
    """Every answer counts; one of which the language cannot be told is not held against the agent."""
    for at, reply in looked_at:
        is_spoken = speaks(reply.text, check.value)
        if check.must and is_spoken is False:
            yield Failure("language_at", check.value, at)
        elif not check.must and is_spoken:
            yield Failure("language_not", check.value, at)


def holds(check: Check, reply: Reply) -> bool:
    """Tell whether an answer has what the check names."""
    return _HOLDS[check.subject](check.value, reply)


def plain(text: str) -> str:
    """Return a text without what nobody means: case, spaces, ё."""
    return " ".join(text.casefold().replace("ё", "е").split())


def words_of(text: str) -> list[str]:
    return _WORD.findall(plain(text))


def _has_words(text: str, wanted: str) -> bool:
    present = {word.rstrip(ANY_ENDING) for word in words_of(text)}
    return all(
        any(one.startswith(word[:-1]) for one in present) if word.endswith(ANY_ENDING) else word in present
        for word in words_of(wanted)
    )


def _is_written(wanted: str, name: str, value: str) -> bool:
    field, has_value, expected = wanted.partition("=")
    return plain(field) == plain(name) and (not has_value or plain(expected) == plain(value))


_HOLDS: Mapping[Subject, Callable[[str, Reply], bool]] = {
    "contains": lambda wanted, reply: plain(wanted) in plain(reply.text),
    "words": lambda wanted, reply: _has_words(reply.text, wanted),
    "action": lambda wanted, reply: plain(wanted) in {plain(one) for one in reply.actions},
    "field": lambda wanted, reply: any(_is_written(wanted, *one) for one in reply.fields),
    "language": lambda wanted, reply: speaks(reply.text, wanted) is True,
    "outcome": lambda wanted, reply: reply.outcome == wanted,
    "source": lambda wanted, reply: any(plain(wanted) in plain(title) for title in reply.sources),
}
