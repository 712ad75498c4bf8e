"""Rules that decide which requests go wrong. Both emulators use them."""

import random
import re
from typing import Generic, TypeVar

import msgspec

ANYTHING = frozenset({"", "*"})


class FaultRule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What any rule has: how often it strikes. `count` of None means without end."""

    count: int | None = None
    probability: float = 1.0

    def __post_init__(self) -> None:
        """Refuse, with ValueError, patterns that are no regular expressions."""
        for name in {"method", "path", "query", "match", "model"} & set(self.__struct_fields__):
            _compiled(getattr(self, name))


Rule = TypeVar("Rule", bound=FaultRule)


class FaultBook(Generic[Rule]):
    """The rules in force, in order; the first that matches and whose dice say yes is used up by one."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._random = random.Random(0)  # noqa: S311 - repeatable dice, no secret

    def seed(self, value: int) -> None:
        self._random.seed(value)

    def take(self, *subjects: tuple[str, str]) -> Rule | None:
        """Return the rule to apply to a request described by (attribute, value) pairs, or None."""
        for rule in self.rules:
            if all(_matches(getattr(rule, name), value) for name, value in subjects) and self._strikes(rule):
                return self._use_up(rule)
        return None

    def _strikes(self, rule: Rule) -> bool:
        return rule.probability >= 1 or self._random.random() < rule.probability

    def _use_up(self, rule: Rule) -> Rule:
        if rule.count is not None:
            rule.count -= 1
            if rule.count <= 0:
                self.rules.remove(rule)
        return rule


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile("" if pattern in ANYTHING else pattern)
    except re.error as error:
        raise ValueError(f"{pattern}: {error}") from error


def _matches(pattern: str, value: str) -> bool:
    return pattern in ANYTHING or _compiled(pattern).search(value) is not None
