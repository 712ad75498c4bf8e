"""What Russian and English messages say of their writer by patterns: for where no model is asked."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gptagent.features.conversations.memory.days import day_named
from gptagent.features.conversations.memory.model import TEXT_MAX_CHARS, Found, Kind, topic_of_text

COMMITMENT_DAYS = 14  # one that names no day
CONTEXT_DAYS = 1
_REST = r"(?:[^.!?;\n]|\.(?=\d)){0,80}"
_OBJECT = r"([^.,!?;:\n]{2,60})"
_WORD = r"[A-ZА-ЯЁ][a-zа-яё]+(?:-[A-ZА-ЯЁ][a-zа-яё]+)?"


@dataclass(frozen=True, slots=True)
class _Pattern:
    """`topic` None: the first group is what it is about."""

    kind: Kind
    topic: str | None
    pattern: re.Pattern[str]
    confidence: float


_NAME_LEAD = (
    r"(?i:меня зовут|мо[её] имя|зовите меня|обращайтесь ко мне|my name is|my name's|call me|i am called)"
)
_NOT_NAMES = r"(?!(?:Back|Later|Tomorrow|Today|Tonight|Now|When|If|On|At|After|Before|By|Please|Asap)\b)"
_PLACE_LEAD = (
    r"(?i:\b(?:я|мы) (?:(?:сейчас )?(?:живу|жив[её]м|нахожусь|находимся) в|из)|\bмой город\s*[-—–:]?"
    r"|\bi live in|\bwe live in|\bi am based in|\bi'm based in|\bwe are based in|\bi'm from|\bi am from"
    r"|\bwe are from|\bwe're from)"
)
_PHONE = r"(?<![\w+])((?:\+\d{1,3}|8)[ (-]{0,2}\d{3}[ )-]{0,2}\d{3}[ -]?\d{2}[ -]?\d{2})\b"
_PLACE = rf"{_PLACE_LEAD}\s+(?:(?i:городе|город|г\.)\s*)?({_WORD}(?:[ -]{_WORD})?)"
_NOW = (
    r"(?i)\b(?:я|мы) сейчас (?!жив|нахо)[^.!?;\n]{3,80}",
    r"(?i)\b(?:сейчас|сегодня) (?:я|мы|у меня|у нас) [^.!?;\n]{3,80}",
    r"(?i)\b(?:right now|today) i(?:'m| am)? [^.!?;\n]{3,80}",
    r"(?i)\bi(?:'m| am) (?:currently|right now|now|today) [^.!?;\n]{3,80}",
)
_LIKES = r"(?:люблю|обожаю|предпочитаю|предпочитаем|мне нрав[ия]тся|нам нрав[ия]тся|мне удобн(?:о|ее))"
_DISLIKES = r"(?:не люблю|не переношу|не терплю|мне не нрав[ия]тся|нам не нрав[ия]тся|мне неудобно)"
_EN_LIKES = r"\b(?:i|we) (?:really |always |also )?(?:like|love|prefer|enjoy)\b"
_EN_DISLIKES = r"\b(?:i|we) (?:really )?(?:do not like|don't like|dislike|hate|can't stand|cannot stand)\b"
_PATTERNS = (
    _Pattern("fact", "name", re.compile(rf"\b{_NAME_LEAD}\s+{_NOT_NAMES}({_WORD}(?:\s+{_WORD})?)"), 0.9),
    _Pattern("fact", "email", re.compile(r"(?<![\w.+-])([\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+)"), 0.9),
    _Pattern("fact", "phone", re.compile(_PHONE), 0.85),
    _Pattern("fact", "city", re.compile(_PLACE), 0.8),
    _Pattern("preference", None, re.compile(rf"(?i)\b{_DISLIKES}\s+{_OBJECT}"), 0.7),
    _Pattern("preference", None, re.compile(rf"(?i){_EN_DISLIKES}\s+{_OBJECT}"), 0.7),
    _Pattern("preference", None, re.compile(rf"(?i)(?<!не )\b{_LIKES}\s+{_OBJECT}"), 0.7),
    _Pattern("preference", None, re.compile(rf"(?i){_EN_LIKES}\s+{_OBJECT}"), 0.7),
    *(_Pattern("context", "now", re.compile(one), 0.6) for one in _NOW),
)

# What is promised, by its word: the same promise in both languages is one.
_PROMISES = {
    "call": r"(?:пере)?звон(?:ю|им)|позвон(?:ю|им)|call(?: you)?(?: back)?|ring you",
    "pay": r"оплачу|оплатим|заплачу|заплатим|переведу деньги|внесу предоплату|pay|transfer the money",
    "come": r"приеду|приедем|приду|придем|придём|подъеду|подойду|зайду|заеду|come|visit|drop by|stop by",
    "write": r"напишу|напишем|отпишусь|сообщу|отвечу|write|reply|let you know|get back to you|text you",
    "send": r"пришлю|пришлем|пришлём|вышлю|отправлю|скину|send",
    "decide": r"подумаю|подумаем|решу|посоветуюсь|think about it|think it over|decide",
    "order": r"закажу|закажем|куплю|купим|заберу|подпишу|order|buy|pick it up|sign",
}
_PROMISED = "|".join(f"(?P<{name}>{words})" for name, words in _PROMISES.items())
_WILL = r"(?:'ll| will|'m going to| am going to| are going to|'re going to) (?:definitely |probably )?"
_RU_PROMISE = re.compile(rf"(?i)(?<![\w-])(?<!не )(?:{_PROMISED})\b{_REST}")
_EN_PROMISE = re.compile(rf"(?i)\b(?:i|we){_WILL}(?:{_PROMISED})\b{_REST}")
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_QUESTION = re.compile(r"[^.,!?;\n]*\?")


def found_in(text: str, seq: int, said_at: datetime) -> Iterator[Found]:
    """Yield what one message of a customer says of them. Questions say nothing."""
    told = _QUESTION.sub(lambda match: " " * len(match[0]), text.replace("’", "'"))
    for one in _PATTERNS:
        for match in one.pattern.finditer(told):
            quote = _clause(match[0])
            topic = one.topic or topic_of_text(match[1])
            until = said_at.date() + timedelta(days=CONTEXT_DAYS) if one.kind == "context" else None
            yield Found(one.kind, topic, quote, quote, one.confidence, seq, said_at, until)
            if one.kind == "preference":
                told = told[: match.start()] + " " * len(match[0]) + told[match.end() :]
    yield from _promises(told, seq, said_at)


def _promises(text: str, seq: int, said_at: datetime) -> Iterator[Found]:
    for pattern in (_RU_PROMISE, _EN_PROMISE):
        for match in pattern.finditer(text):
            name = next(key for key, value in match.groupdict().items() if value)
            if pattern is _RU_PROMISE and not _CYRILLIC.match(match[0]):
                continue  # "call" alone is no promise
            quote = _clause(match[0])
            until = _until(quote, said_at.date())
            yield Found("commitment", name, quote, quote, 0.7, seq, said_at, until)


def _until(text: str, said_on: date) -> date:
    return day_named(text, said_on) or said_on + timedelta(days=COMMITMENT_DAYS)


def _clause(text: str) -> str:
    return " ".join(text.split())[:TEXT_MAX_CHARS].rstrip(" ,:-")
