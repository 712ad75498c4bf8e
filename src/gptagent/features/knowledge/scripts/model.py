"""Scripts and objections, their limits, and which of them fit a deal and a message."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from gptagent.features.knowledge.lexical import covered_share
from gptagent.features.knowledge.staging.model import StageKey, stage_errors
from gptagent.kernel.errors import FieldError, Invalid

Family = Literal["script", "objection"]
ScriptKind = Literal["greeting", "qualification", "presentation", "objection_handling", "closing"]
ObjectionKind = Literal["price", "timing", "need", "competitor", "trust", "other"]
KINDS: Mapping[Family, tuple[str, ...]] = {
    "script": get_args(ScriptKind),
    "objection": get_args(ObjectionKind),
}

TITLE_MAX_CHARS: Mapping[Family, int] = {"script": 255, "objection": 1_000}
CONTENT_MAX_CHARS = 4_000
PRIORITY_MIN, PRIORITY_MAX, PRIORITY = 1, 100, 50
SCRIPTS_MAX = 500  # of a workspace, of each family: every question looks through all of them
# What one question's prompt gets: it is paid for with every answer.
SCRIPTS_GIVEN, OBJECTIONS_GIVEN, GIVEN_MAX_CHARS = 5, 3, 6_000


@dataclass(frozen=True, slots=True)
class NewScript:
    """`stages` empty: at every stage, and without a deal. A lower `priority` comes first."""

    kind: str
    title: str
    content: str
    stages: tuple[StageKey, ...] = ()
    is_active: bool = True
    priority: int = PRIORITY

    def checked(self, family: Family) -> "NewScript":
        """Return it tidied up. Raises Invalid by field."""
        title, content = self.title.strip(), self.content.strip()
        wrong: list[FieldError] = []
        if self.kind not in KINDS[family]:
            wrong.append(FieldError("kind", "Choose one of the offered types."))
        for name, text, most in (
            ("title", title, TITLE_MAX_CHARS[family]),
            ("content", content, CONTENT_MAX_CHARS),
        ):
            if not text:
                wrong.append(FieldError(name, "Fill in this field."))
            elif len(text) > most:
                wrong.append(FieldError(name, "Write at most {max} characters.", {"max": most}))
        if not PRIORITY_MIN <= self.priority <= PRIORITY_MAX:
            params = {"least": PRIORITY_MIN, "most": PRIORITY_MAX}
            wrong.append(FieldError("priority", "Enter a number from {least} to {most}.", params))
        stages = tuple(sorted(set(self.stages)))
        wrong += stage_errors(stages)
        if wrong:
            raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(wrong))
        return NewScript(self.kind, title, content, stages, self.is_active, self.priority)


@dataclass(frozen=True, slots=True)
class Script:
    """`used` counts replies that named it as a source, `used_at` is the last of them.

    Not `is_everywhere` and no `stages`: the accounts of its stages are disconnected, and it is used nowhere.
    """

    id: UUID
    family: Family
    kind: str
    title: str
    content: str
    is_everywhere: bool
    is_active: bool
    priority: int
    used: int
    used_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
    stages: tuple[StageKey, ...] = ()

    @property
    def wordings(self) -> list[str]:
        """Of an objection: what customers say, each wording."""
        return [line.strip() for line in self.title.splitlines() if line.strip()]


@dataclass(frozen=True, slots=True)
class Given:
    """A script or an answer to an objection as an agent is given it, its variables filled."""

    id: UUID
    family: Family
    kind: str
    title: str
    text: str


# A message makes an objection if it says at least this share of one of its wordings.
OBJECTION_FITS = 0.5


def fit(wording: Collection[str], message: Sequence[str]) -> float:
    """Return the share (0-1) of a wording's lexemes that the message's lexemes say, or their kin."""
    return covered_share(dict.fromkeys(wording, 1.0), message)
