"""Promises in a reply: sentences that say somebody of the company will call, send, check or come back. Pure.

A careful recogniser for Russian and English, and the model's own mark. What depends on the customer first,
what is asked, denied, quoted, or stands word for word in the knowledge base is no promise.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from gptagent.features.dialog.model import Promised

MARK = "[PROMISE]"
DUE_MINUTES = 60
DUE_MIN_MINUTES, DUE_MAX_MINUTES = 15, 60 * 24 * 30
_HOUR, _DAY = 60, 60 * 24

_MARK = re.compile(r"\s*\[\s*promise\s*\]", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.!?…\n]+(?:[.](?=\S)[^.!?…\n]*)*[.!?…]*")
_QUOTED = re.compile(r"«[^»]*»|“[^”]*”|\"[^\"\n]*\"")
_WORD = re.compile(r"\w+")

_BEFORE = r"(?:\w+\s+){0,5}?"  # "сразу же вам", "happily also"
_RU_FIRST = (
    r"перезвон(?:ю|им)|позвон(?:ю|им)|набер(?:у|[её]м)|отправ(?:лю|им)|пришл(?:ю|[её]м)|выш(?:лю|лем)"
    r"|скин(?:у|ем)|направ(?:лю|им)|переш(?:лю|л[её]м)|верн(?:усь|[её]мся)|свяж(?:усь|емся)|уточн(?:ю|им)"
    r"|узна(?:ю|ем)|провер(?:ю|им)|напиш(?:у|ем)|переда(?:м|дим)|сообщ(?:у|им)|напомн(?:ю|им)|спро(?:шу|сим)"
    r"|да(?:м|дим)\s+(?:вам\s+)?знать"
)
_RU_OTHERS = (
    r"перезвон(?:ит|ят)|позвон(?:ит|ят)|свяж(?:ется|утся)|напиш(?:ет|ут)|пришл(?:[её]т|ют)|отправ(?:ит|ят)"
    r"|выш(?:лет|лют)|верн(?:[её]тся|утся)|ответ(?:ит|ят)|уточн(?:ит|ят)|сообщ(?:ит|ат)"
)
_RU_WHO = (
    r"менеджер\w*|специалист\w*|коллег\w*|сотрудник\w*|консультант\w*|оператор\w*|администратор\w*|эксперт\w*"
)
_EN_VERB = (
    r"call|ring|phone|ask|send|e-?mail|text|write|message|forward|get\s+back|come\s+back|be\s+in\s+touch|get\s+in\s+touch"
    r"|reach\s+out|contact|check|find\s+out|clarify|look\s+into|let\s+you\s+know|follow\s+up|pass|update\s+you"
    r"|notify|remind|inform"
)
_EN_WHO = (
    r"manager|colleagues?|specialist|team|representative|consultant|operator|advis[eo]r|expert"
    r"|somebody|someone"
)
_EN_SOON = r"(?:(?:also|then|gladly|happily|definitely|certainly|just|surely|personally|be\s+sure\s+to)\s+)?"
_PROMISE = re.compile(
    rf"\b(?:{_RU_FIRST})\b"
    rf"|\b(?:{_RU_WHO})\s+{_BEFORE}(?:{_RU_OTHERS})\b"
    rf"|\bвам\s+{_BEFORE}(?:перезвонят|позвонят|напишут|ответят|пришлют|сообщат)\b"
    rf"|\bс\s+вами\s+{_BEFORE}свяж(?:ется|утся)\b"
    rf"|\b(?:I|we)(?:['’]ll|\s+will|\s+shall|['’](?:m|re)\s+going\s+to|\s+(?:am|are)\s+going\s+to)\s+"
    rf"{_EN_SOON}(?:{_EN_VERB})\b"
    rf"|\b(?:{_EN_WHO})\b(?:['’]ll|\s+will)\s+{_EN_SOON}(?:{_EN_VERB})\b"
    r"|\byou(?:['’]ll|\s+will)\s+(?:be\s+(?:called|contacted|notified)|(?:get|receive)\s+(?:a|our)\s+call)\b",
    re.IGNORECASE,
)
# It is up to the customer first, or it is not said at all.
_OPEN = re.compile(
    r"\bесли\s+(?:вы|вам|вас|нужно|надо|хотите|захотите|оставите|пришл[её]те|напишете|потребуется|удобно)\b"
    r"|\b(?:как\s+только|когда|после\s+того,?\s+как)\s+вы\b|\bпосле\s+(?:вашего|вашей|оплаты|заказа)\b"
    r"|\bдавайте\b|\bне\s+(?:смо(?:гу|жем)\s+)?(?:\w+\s+)?"
    rf"(?:{_RU_FIRST}|{_RU_OTHERS}|перезвонить|позвонить|отправить|прислать)\b"
    r"|\b(?:if|once|when|as\s+soon\s+as|after|should)\s+you(?:r)?\b|\bif\s+(?:needed|necessary|so)\b"
    r"|\blet['’]?s\b|\b(?:will|shall)\s+(?:not|never)\b|['’]ll\s+(?:not|never)\b|\bafter\s+payment\b",
    re.IGNORECASE,
)
_UNITS = {
    "мин": 1,
    "час": _HOUR,
    "дн": _DAY,
    "ден": _DAY,
    "сут": _DAY,
    "нед": 7 * _DAY,
    "min": 1,
    "hou": _HOUR,
    "day": _DAY,
    "wee": 7 * _DAY,
}
_SPAN = re.compile(
    r"\b(?:через|в\s+течение|in|within)\s+(?:(\d{1,3}|an?|one|the|пар[уы])\s+)?(?:next\s+)?"
    r"(мин|час|дн|ден|сут|нед|min|hou|day|wee)",
    re.IGNORECASE,
)
_SAID_DUE = (
    (re.compile(r"\bпослезавтра\b|\bday\s+after\s+tomorrow\b", re.IGNORECASE), 2 * _DAY),
    (re.compile(r"\bзавтра\b|\btomorrow\b", re.IGNORECASE), _DAY),
    (re.compile(r"\bсегодня\b|\btoday\b", re.IGNORECASE), 4 * _HOUR),
    (re.compile(r"\bна\s+следующей\s+неделе\b|\bnext\s+week\b", re.IGNORECASE), 7 * _DAY),
)


def unmarked(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a model's text without its marks, and the sentences that it has marked as promises."""
    marked: list[str] = []
    begin = 0
    for mark in _MARK.finditer(text):
        said = list(sentences(text[begin : mark.start()]))
        marked += said[-1:]
        begin = mark.end()
    return _MARK.sub("", text).strip(), tuple(marked)


def promises_in(text: str, *, marked: Iterable[str] = (), known: Sequence[str] = ()) -> list[Promised]:
    """Return the promises of a reply. `marked`: sentences the model itself calls one. `known`: texts of the
    knowledge base, of which a sentence that stands there word for word is a quotation.
    """
    own = {_words(one) for one in marked}
    quoted = [_words(one) for one in known]
    found = []
    for sentence in sentences(text):
        words = _words(sentence)
        is_said = any(words in one or one in words for one in own) if words else False
        if is_said or (is_promise(sentence) and not any(f" {words} " in f" {one} " for one in quoted)):
            found.append(Promised(sentence, due_in(sentence)))
    return found


def is_promise(sentence: str) -> bool:
    if sentence.rstrip('»”" )').endswith("?"):
        return False
    bare = _QUOTED.sub(" ", sentence)
    return _PROMISE.search(bare) is not None and _OPEN.search(bare) is None


def due_in(sentence: str) -> int:
    """Return in how many minutes the promise is to be kept, as far as the sentence says so."""
    span = _SPAN.search(sentence)
    if span is not None:
        count = (
            int(span[1])
            if span[1] and span[1].isdecimal()
            else (2 if (span[1] or "").startswith("пар") else 1)
        )
        return min(max(count * _UNITS[span[2].lower()], DUE_MIN_MINUTES), DUE_MAX_MINUTES)
    return next((minutes for said, minutes in _SAID_DUE if said.search(sentence)), DUE_MINUTES)


def without(text: str, promises: Iterable[Promised]) -> str:
    """Return the text without these sentences; lines that become empty go as well."""
    for one in promises:
        text = text.replace(one.text, "", 1)
    lines = (re.sub(r"[ \t]{2,}", " ", line).strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences as they stand in the text, each without space around it."""
    for match in _SENTENCE.finditer(text):
        sentence = match[0].strip()
        if sentence:
            yield sentence


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
