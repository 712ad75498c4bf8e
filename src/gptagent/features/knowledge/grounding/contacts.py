"""Links, e-mail addresses, @names, phones and houses, as a text writes them."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

from gptagent.features.knowledge.grounding.model import Fact, House, Link, Phone, Word
from gptagent.features.knowledge.grounding.sheet import Sheet

_EMAIL = re.compile(r"(?i)(?<![\w.+-])(?:mailto:)?([\w.+-]+@[\w-]+(?:\.[\w-]+)+)")
_TLDS = (
    "ru|su|com|net|org|io|info|biz|pro|me|app|shop|store|online|site|tech|dev|ai|co|eu|us|uk|de|fr|es|it|pl|tr|br|mx"
    "|kz|by|ua|uz|kg|am|ge|az|md|lv|lt|ee|cz|рф|рус|москва|gg|tv|link|club|space|top|xyz|academy|agency|clinic|pizza"
)
_LINK = re.compile(
    rf"(?i)(?:https?://[^\s<>\"'«»\x1f]+|(?<![\w@./-])(?:[\w-]+\.)+(?:{_TLDS})(?![\w-])(?:[/?][^\s<>\"'«»\x1f]*)?)"
)
_TAIL = ".,;:!?)]}…*_"
_TRACKING = re.compile(
    r"(?i)utm_.*|gclid|fbclid|yclid|gbraid|wbraid|_openstat|ysclid|mc_[ce]id|igsh(?:id)?|ref"
)
_NAME = re.compile(r"(?<![\w.@])@([A-Za-z][\w.]{2,31})")
_PROFILES = frozenset({"t.me", "telegram.me", "instagram.com", "vk.com", "wa.me"})

_PHONES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<![\d+])(?:\+\s?7|8|7)[ .-]{0,3}\(?\d{3}\)?[ .-]{0,3}\d{3}[ .-]{0,3}\d{2}[ .-]{0,3}\d{2}(?!\d)",
        r"\+\s?\d(?:[ .-]?[()]?[ .-]?\d){7,14}(?!\d)",
        r"(?<![\d+])(?:\d{1,3}[ -]?)?\(\d{2,5}\)[ -]?\d(?:[ -]?\d){4,7}(?!\d)",
        r"(?<![\d-])\d{3,4}[ -]\d{3}-\d{2}-\d{2}(?![\d-])",
        r"(?<![\d-])(?:\d-)?\d{3}[-.]\d{3}[-.]\d{4}(?![\d-])",
        r"(?<![\d-])\d{3} \d{3} \d{2} \d{2}(?! ?\d)",
        r"(?<![\d-])\d{2,3}-\d{2}-\d{2}(?![\d-])",
        r"(?<![\d-])\d{4}(?: \d{4}){3}(?![\d-])",
        r"(?<!\d)\d{10,20}(?!\d)",
    )
)
_RUSSIAN_DIGITS = 11

_KINDS = (
    r"ул\.?|улиц[а-яё]+|проспект[а-яё]*|просп\.?|пр-?кт\.?|пр-т[а-яё]*|переул[а-яё]+|пер\.|шоссе|ш\.|бульвар[а-яё]*"
    r"|б-р[а-яё]?|набережн[а-яё]+|наб\.|площад[а-яё]+|пл\.|проезд[а-яё]*|тракт[а-яё]*|алле[а-яё]+|мкр\.?"
    r"|микрорайон[а-яё]*"
)
_KINDS_LATIN_FIRST = r"ul\.|ulitsa|prospekt|pr\.|per\."
_KINDS_LATIN = r"street|st\.|avenue|ave\.|prospekt|ulitsa|boulevard|blvd\.|embankment|highway"
_KINDS_EN = (
    r"[Ss]treet|St\.?|[Aa]venue|Ave\.?|[Rr]oad|Rd\.?|[Ll]ane|Ln\.?|[Bb]oulevard|Blvd\.?|[Dd]rive|Dr\.?|[Ss]quare|Sq\.?"
    r"|[Hh]ighway|Hwy\.?|[Ee]mbankment|[Cc]ourt|[Pp]laza|[Tt]errace"
)
# A number with a unit is none of a house: "the area of the hall 50 m2".
_NO_HOUSE = r"(?![\d%]|[.,:]\d|\s?(?:[мm][23]?|кв|км|га|сот|руб|₽|р\.)(?![^\W\d_]))"
_NUMBER = r"(?P<house>\d{1,4}(?:\s?[а-яa-z](?![а-яёa-z]))?(?:[/-]\d{1,3})?)" + _NO_HOUSE
_HOUSE = r"[,\s]{1,3}(?:(?:д\.|дом[а-я]{0,2}|house|no\.|#|bldg\.?)\s?)?" + _NUMBER
_WORDS = r"(?P<name>(?:[\d]{1,3}-?[а-яё]{1,2}\s)?[^\W\d_][\w.-]*(?:\s[^\W\d_][\w.-]*){0,2}?)"
_NAMES = r"(?P<name>[A-ZА-ЯЁ][\w.-]*(?:\s[A-ZА-ЯЁ][\w.-]*){0,2})"
_HOUSES = (
    re.compile(rf"(?i)(?<![\w.-])(?:{_KINDS}|{_KINDS_LATIN_FIRST})(?:(?<=\.)\s?|\s+){_WORDS}{_HOUSE}"),
    re.compile(rf"(?<![\w.-]){_NAMES}\s(?i:(?:{_KINDS}|{_KINDS_LATIN}){_HOUSE})"),
    re.compile(
        rf"(?<![\d.,:])(?P<house>\d{{1,5}}[A-Za-z]?)\s(?P<name>[A-Z][\w-]*(?:\s[A-Z][\w-]*)?)\s"
        rf"(?:{_KINDS_EN})(?!\w)"
    ),
)
_LATIN = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        [
            "a",
            "b",
            "v",
            "g",
            "d",
            "e",
            "e",
            "zh",
            "z",
            "i",
            "y",
            "k",
            "l",
            "m",
            "n",
            "o",
            "p",
            "r",
            "s",
            "t",
            "u",
            "f",
            "kh",
            "ts",
            "ch",
            "sh",
            "shch",
            "_",
            "y",
            "_",
            "e",
            "yu",
            "ya",
        ],
        strict=True,
    )
)
_TRANSLIT = str.maketrans({letter: latin.replace("_", "") for letter, latin in _LATIN.items()})
_STREET_WORDS = re.compile(r"[^\W\d_]{3,}")


def take_links(sheet: Sheet) -> Iterator[Fact]:
    """Take e-mail addresses, links and @names."""
    for match in sheet.take(_EMAIL):
        yield Fact(match[0], (Word(match[1].rstrip(".").casefold()),))
    for match in sheet.take(_LINK):
        shown = match[0].rstrip(_TAIL)
        yield Fact(shown, (_link(shown),))
    for match in sheet.take(_NAME):
        yield Fact(match[0], (Word("@" + match[1].rstrip(".").casefold()),))


def name_of(link: Link) -> Word | None:
    """Return the @name that a link to a profile stands for."""
    name = link.path.strip("/")
    return Word("@" + name.casefold()) if link.host in _PROFILES and name and "/" not in name else None


def take_phones(sheet: Sheet) -> Iterator[Fact]:
    for pattern in _PHONES:
        for match in sheet.take(pattern):
            digits = re.sub(r"\D", "", match[0])
            is_russian = len(digits) == _RUSSIAN_DIGITS and digits[0] == "8" and "+" not in match[0]
            yield Fact(match[0].strip(), (Phone("7" + digits[1:] if is_russian else digits),))


def take_houses(sheet: Sheet) -> Iterator[Fact]:
    for pattern in _HOUSES:
        for match in sheet.take(pattern):
            street = tuple(_STREET_WORDS.findall(in_latin(match["name"])))
            number = in_latin(re.sub(r"\s", "", match["house"]))
            yield Fact(match[0].strip(), (House(street, number),))


def in_latin(text: str) -> str:
    """Return the text in small Latin letters, so that a street's name is the same in both alphabets."""
    return text.casefold().translate(_TRANSLIT)


def _link(text: str) -> Link:
    parts = urlsplit(text if "://" in text else f"//{text}")
    query = [(name, value) for name, value in parse_qsl(parts.query) if not _TRACKING.fullmatch(name)]
    host = parts.netloc.rpartition("@")[2].casefold().removeprefix("www.")
    asked = f"?{urlencode(sorted(query))}" if query else ""
    return Link(host, parts.path.rstrip("/") + asked)
