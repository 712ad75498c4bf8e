"""Translations. English text in the code is the message id; Russian is the default language.

Each part has its own catalogue, `locales/<locale>/LC_MESSAGES/<part>.po`, merged into one when it is
first asked for.
"""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALES = ("ru", "en")
DEFAULT_LOCALE = "ru"
_FOLDER = Path(__file__).parent.parent / "locales"


@cache
def translations(locale: str) -> NullTranslations:
    """Return the merged catalogue of a locale (see LOCALES)."""
    merged = Catalog(locale=locale)
    for path in sorted((_FOLDER / locale / "LC_MESSAGES").glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=locale):
                if message.id:  # the other one is the file's header
                    merged[message.id] = message
    if not len(merged):
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, merged)
    return GNUTranslations(BytesIO(compiled.getvalue()))


def translate(locale: str, message: str, **params: object) -> str:
    """Translate a message id and fill its `{placeholders}`."""
    text = translations(locale).gettext(message) if message else ""
    return text.format(**params) if params else text


def choose_locale(*wanted: str | None) -> str:
    """Return the first known locale among stored preferences and Accept-Language headers."""
    for value in wanted:
        for part in (value or "").split(","):
            code = part.split(";")[0].strip().lower()[:2]
            if code in LOCALES:
                return code
    return DEFAULT_LOCALE
