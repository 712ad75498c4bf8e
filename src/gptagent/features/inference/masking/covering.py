"""Marks in the place of personal data: what goes to a provider has them, what comes back has the values."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from gptagent.features.inference.masking.model import Found, Kind
from gptagent.features.inference.masking.recognising import replaced
from gptagent.features.inference.model import ModelReply, ModelRequest

# Models put such a mark into other brackets, or escape it for Markdown.
MARK = re.compile(
    r"\\?\[?(?<![A-Za-z])(EMAIL|IBAN|CARD|SNILS|PASSPORT|INN|PHONE|TEXT)\\?_(\d{1,4})(?!\d)\\?\]?",
    re.IGNORECASE,
)
LITERAL = "TEXT"  # what looks like a mark already
SAID = (
    "Marks such as [PHONE_1] stand in the place of personal data. Where you need the value, write its mark "
    "unchanged; never make one up."
)


@dataclass(slots=True)
class Cover:
    """The marks of one request and what stands behind them. The same texts have the same marks."""

    kinds: Collection[Kind]
    _marks: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _values: dict[str, str] = field(default_factory=dict, repr=False)
    _choices: dict[str, str] = field(default_factory=dict, repr=False)

    def cover(self, text: str) -> str:
        """Return the text with marks. What looks like one already gets one too, and so means nothing else."""
        plain = MARK.sub(lambda mark: self._mark(LITERAL, mark[0], mark[0]), text)
        return replaced(plain, self.kinds, self._of)

    def uncover(self, text: str) -> str:
        """Return the text with the values. A mark that was never given stays."""
        return MARK.sub(lambda mark: self._values.get(f"{mark[1].upper()}_{int(mark[2])}", mark[0]), text)

    def request(self, request: ModelRequest) -> ModelRequest:
        """Return the request as a provider may see it, which is told what the marks are if there are any."""
        if not self.kinds:
            return request
        system = self.cover(request.system)
        turns = tuple(replace(turn, text=self.cover(turn.text)) for turn in request.turns)
        tools = tuple(
            replace(one, description=self.cover(one.description), parameters=self._form(one.parameters))
            for one in request.tools
        )
        schema = None if request.schema is None else self._form(request.schema)
        if self._values:
            system = f"{system}\n\n{SAID}"
        return replace(request, system=system, turns=turns, tools=tools, schema=schema)

    def _form(self, schema: Mapping[str, object]) -> Mapping[str, object]:
        """Return a schema as a provider may see it: names of stages, people and tags come from a CRM.

        What there is to choose from is remembered as it stands: one value may be written in two ways.
        """
        return {self.cover(key): self._covered(value, key) for key, value in schema.items()}

    def _covered(self, value: object, key: str = "") -> object:
        if isinstance(value, str):
            return self.cover(value)
        if isinstance(value, Mapping):
            return self._form(value)
        if not isinstance(value, list | tuple):
            return value
        if key != "enum":
            return [self._covered(one) for one in value]
        for one in value:
            if isinstance(one, str):
                self._choices.setdefault(self.cover(one), one)
        return list(dict.fromkeys(self._covered(one) for one in value))

    def reply(self, reply: ModelReply) -> ModelReply:
        """Return the reply with the values, also in what tools are called with."""
        calls = tuple(
            replace(
                call,
                arguments={
                    self.uncover(name): self._uncovered(value) for name, value in call.arguments.items()
                },
            )
            for call in reply.tool_calls
        )
        return replace(reply, text=self.uncover(reply.text), tool_calls=calls)

    def _uncovered(self, value: object) -> object:
        if isinstance(value, str):
            return self._choices.get(value) or self.uncover(value)
        if isinstance(value, list):
            return [self._uncovered(one) for one in value]
        if isinstance(value, dict):
            return {self.uncover(str(key)): self._uncovered(one) for key, one in value.items()}
        return value

    def counts(self) -> tuple[str, ...]:
        """Return how many values of each kind were hidden, such as "phone 2"."""
        kinds = [kind for kind, _ in self._marks if kind != LITERAL]
        return tuple(f"{kind.casefold()} {kinds.count(kind)}" for kind in dict.fromkeys(kinds))

    def _of(self, found: Found) -> str:
        return self._mark(found.kind.upper(), found.key, found.text)

    def _mark(self, kind: str, key: str, text: str) -> str:
        if (kind, key) not in self._marks:
            number = 1 + sum(one == kind for one, _ in self._marks)
            self._marks[kind, key] = f"[{kind}_{number}]"
            self._values[f"{kind}_{number}"] = text
        return self._marks[kind, key]


def marks_left(text: str) -> list[str]:
    """Return the marks in a text, each once: in a reply they are made up."""
    return list(dict.fromkeys(mark[0] for mark in MARK.finditer(text)))
