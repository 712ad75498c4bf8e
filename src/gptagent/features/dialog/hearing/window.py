"""How long to listen before answering: whether a message looks finished decides; pure.

The agent's delay is the longest silence that is waited for. What is plainly a whole message waits a part of
it only. Kommo tells nobody outside that a customer is typing (that is known to the messenger's own channel),
so there is no such sign to wait for.
"""

import re
import unicodedata
from datetime import timedelta

# Who pauses for longer than this part but less than the delay gets two answers instead of one: nothing in
# their words tells them from those who are done. What less and more of it cost: benchmarks/bursts.py.
FINISHED_PART = 0.75
LIKELY_MIN_WORDS = 5  # many never write a mark at all
SENTENCE_MIN_WORDS = 3
LONG_CHARS = 100
WHOLE_WORDS_MIN_CHARS = 6  # of a sentence in a script that puts no spaces between words

_QUESTION = ("?", "？", "؟")
_END = (".", "!", "。", "！", ")")  # many close a sentence with a smile and no full stop
_OPEN = re.compile(r"(\.\.+|…|[,;:\-–—(])$")
_SMILE = re.compile(r"\s*[:;=]?-?\)+$")
# Scripts without spaces between words: kana, Han, Thai.
_SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_GREETING = re.compile(
    r"(hi|hey|hello|good (morning|day|afternoon|evening)|привет\w*|здравствуй\w*|добр\w+ (день|утро|вечер)"
    r"|доброго времени суток|салам|salom|hola|ol[aá]|bom dia|boa tarde|buen[oa]s \w+)"
    r"( (there|all|всем|вам))?",
    re.IGNORECASE,
)
# The last word of a sentence that goes on.
_JOINING = re.compile(
    r"(and|or|but|because|so|if|that|with|for|to|the|a|и|а|но|или|что|чтобы|если|потому|для|с|на|в|по|к"
    r"|e|y|o|ou|mas|pero|porque)",
    re.IGNORECASE,
)
# The first words of a question that many ask without its mark.
_ASKING = re.compile(
    r"(how|what|when|where|which|who|why"
    r"|(can|could|do|does|did|is|are|will|would) (i|you|we|it|they|this|there)"
    r"|как\w*|что|чем|когда|где|куда|кто|почему|зачем|сколько|а? ?можно|есть ли|можете|подскажите)\b",
    re.IGNORECASE,
)


def silence(delay: timedelta, text: str, *, has_file: bool) -> timedelta:
    """Return how long to wait after a message of a customer: `delay`, or a part of it if it looks finished.

    Never longer than `delay`; with none there is nothing to wait for. A file mostly belongs to words that
    come with it, before or after.
    """
    return delay if has_file else delay * part(text)


def part(text: str) -> float:
    """Return which part of the delay is enough after this message.

    FINISHED_PART after a question, a sentence from its beginning to its end, a long message, several words
    without a mark. All of it after what is likely to go on: a greeting, a word or two, a comma, three dots, a
    word that joins.
    """
    return FINISHED_PART if _looks_finished(text) else 1.0


def _looks_finished(text: str) -> bool:
    words, plain = _WORD.findall(text), _without_signs(text)
    if not words or _OPEN.search(plain) or _JOINING.fullmatch(words[-1]):
        return False
    if _GREETING.fullmatch(" ".join(words)):
        return False
    if plain.endswith(_QUESTION) or len(plain) >= LONG_CHARS:
        return True
    if len(words) >= SENTENCE_MIN_WORDS and _ASKING.match(plain):
        return True
    if plain.endswith(_END):
        return _is_sentence(plain, words)
    return len(words) >= LIKELY_MIN_WORDS


def _is_sentence(plain: str, words: list[str]) -> bool:
    if _SPACELESS.search(plain):
        return len(plain) >= WHOLE_WORDS_MIN_CHARS
    begins = words[0][0]
    return len(words) >= SENTENCE_MIN_WORDS and not begins.islower()


def _without_signs(text: str) -> str:
    """Return the text without the pictures and quotes behind its last mark, nor a smile behind one."""
    end = len(text)
    while end and (text[end - 1].isspace() or unicodedata.category(text[end - 1]) in _SIGNS):
        end -= 1
    bare = _SMILE.sub("", text[:end]) if "(" not in text else text[:end]
    return bare if bare.endswith((*_QUESTION, *_END)) else text[:end]


# Emoji and what joins them; closing quotes.
_SIGNS = frozenset({"So", "Sk", "Cf", "Mn", "Pf"})
