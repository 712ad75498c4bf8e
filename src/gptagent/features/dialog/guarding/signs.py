"""Signs that a text wants to give a model orders. They are noted, and nothing else: many are innocent. Pure.

A customer may well ask what the agent was told, and an article may say "ignore the earlier price list". What
keeps a turn within its bounds does not depend on them: what a model may do is decided after it has spoken.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gptagent.features.inference.fencing import FENCE, HIDDEN

Origin = Literal["customer", "crm", "memory", "passage", "script", "company"]
Kind = Literal[
    "override", "role", "prompt", "secret", "authority", "tool", "exfiltration", "block", "hidden", "encoded"
]
LOOKED_AT_CHARS = 20_000  # of one text

PATTERNS: dict[Kind, re.Pattern[str]] = {
    "override": re.compile(
        r"(?i)\b(?:ignor\w*|disregard|forget|override|bypass)\b[^.\n]{0,40}?\b(?:instruction|rule|prompt|guideline"
        r"|restriction|polic)\w*|\b(?:игнорир\w*|забудь\w*|отбрось\w*|не\s+обращай\w*\s+внимани\w*|обойди\w*|отмени\w*)"
        r"[^.\n]{0,40}?(?:инструкц|правил|указани|ограничени|промпт|настройк)\w*"
        r"|\bnew\s+(?:instructions|rules)\s*:|\bновые\s+(?:инструкции|правила)\s*:"
    ),
    "role": re.compile(
        r"(?i)\byou\s+are\s+(?:now|no\s+longer)\b|\b(?:act|behave)\s+as\s+(?:if|an?\s+(?:ai|assistant|admin|unrestricted))\b|\bpretend\s+(?:to\s+be|that)\b"
        r"|\b(?:developer|debug|god|jailbreak|dan)\s+mode\b|\bdo\s+anything\s+now\b"
        r"|\b(?:теперь\s+ты|ты\s+теперь|ты\s+больше\s+не)\b|\bпритворись\b|\bпредставь,?\s+что\s+ты\b"
        r"|\bрежим\w*\s+(?:разработчик|отладк|бога)\w*"
    ),
    "prompt": re.compile(
        r"(?i)\b(?:system|initial|hidden|original)\s+(?:prompt|message|instruction)s?\b"
        r"|\b(?:show|print|repeat|reveal|output|tell)\b[^.\n]{0,40}?\b(?:your\s+(?:prompt|instructions|rules)"
        r"|text\s+above|everything\s+above)\b"
        r"|\bсистемн\w*\s+(?:промпт|сообщени|инструкци)\w*"
        r"|\b(?:покажи|выведи|повтори|раскрой|напиши|процитируй)\w*[^.\n]{0,40}?(?:промпт|свои\s+инструкци|твои\s+инструкци"
        r"|ваши\s+инструкци|текст\s+выше|всё\s+выше|все\s+выше)\w*"
    ),
    "secret": re.compile(
        r"(?i)\b(?:api|access|secret|private)[\s_-]?(?:key|token)s?\b|\bpasswords?\s+(?:of|to|for)\b"
        r"|\benvironment\s+variables?\b|\b(?:апи|api)[\s-]?ключ\w*|\bпарол[ьия]\w*\s+(?:от|к|админ)\w*|\bтокен\w*\s+доступа"
    ),
    "authority": re.compile(
        r"(?i)\b(?:i\s+am|i'm|this\s+is)\s+(?:the|your|an?)\s+(?:admin|administrator|developer|owner|creator|operator"
        r"|system)\b|\b(?:as|from)\s+(?:the\s+)?(?:system\s+administrator|openai|anthropic|kommo\s+support)\b"
        r"|\bя\s+(?:твой\s+|ваш\s+)?(?:администратор|разработчик|владелец|создатель)\b|\bот\s+имени\s+администратор\w*"
    ),
    "tool": re.compile(
        r"(?i)\b(?:call|invoke|use|execute|run)\b[^.\n]{0,20}?\b(?:the\s+)?(?:tool|function)\b|\btool_calls?\b"
        r"|\b(?:вызови|выполни|запусти)\w*[^.\n]{0,20}?(?:инструмент|функци)\w*"
        r"|\b(?:drop|delete\s+from|truncate)\s+(?:table\s+)?\w+\s*;"
    ),
    "exfiltration": re.compile(
        r"(?i)!\[[^\]\n]{0,200}\]\(\s*https?://|\b(?:send|post|forward|upload)\b[^.\n]{0,60}?\bhttps?://"
        r"|\b(?:отправь|перешли|выгрузи)\w*[^.\n]{0,60}?https?://"
        r"|https?://[^\s)]{0,200}[?&][\w-]{1,40}=(?:\{|\[|<|%7B)"
    ),
    "block": re.compile(
        r"(?im)\[/?INST\]|^[^\S\n]*#{2,}\s*(?:system|instruction|система|инструкция)|^[^\S\n]*(?:system|assistant)\s*:"
    ),
    "hidden": HIDDEN,
    "encoded": re.compile(
        r"(?<![\w+/=])(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*\d)[A-Za-z0-9+/]{60,}={0,2}"
    ),
}
# Markup by which a page hides words from readers, as far as it is left in a text.
HIDING = re.compile(
    r"(?i)<!--|display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|color\s*:\s*(?:white|#fff(?:fff)?)\b"
)


@dataclass(frozen=True, slots=True)
class Sign:
    """What a text looks like, and whose text it is."""

    kind: Kind
    origin: Origin

    def __str__(self) -> str:
        return f"{self.origin}:{self.kind}"


def signs_in(texts: Sequence[tuple[Origin, str]]) -> list[Sign]:
    """Return the signs of each text's origin, each once, in the order of the texts."""
    return list(dict.fromkeys(Sign(kind, origin) for origin, text in texts for kind in _kinds(text)))


def _kinds(text: str) -> Iterator[Kind]:
    looked_at = text[:LOOKED_AT_CHARS]
    plain = HIDDEN.sub("", looked_at)  # so that an order in pieces is one
    seen_as: dict[Kind, bool] = {
        "hidden": bool(HIDDEN.search(looked_at) or HIDING.search(plain)),
        "block": bool(FENCE.search(plain)),
    }
    for kind, pattern in PATTERNS.items():
        if seen_as.get(kind) or (kind != "hidden" and pattern.search(plain)):
            yield kind
