"""Whether a text is in a language. Told by its script, its own letters and its commonest words; pure."""

import re
import unicodedata
from collections.abc import Mapping

ENOUGH = 2  # common words of one language more than of any other
_WORD = re.compile(r"[^\W\d_]+(?:['’ʻ][^\W\d_]+)?")
_LATIN, _CYRILLIC = "LATIN", "CYRILLIC"
_SCRIPTS: Mapping[str, str] = {
    "ru": _CYRILLIC,
    "uk": _CYRILLIC,
    "kk": _CYRILLIC,
    "hy": "ARMENIAN",
    "ka": "GEORGIAN",
    **dict.fromkeys(("en", "de", "es", "fr", "id", "it", "pl", "pt", "tr", "uz"), _LATIN),
}
# Letters that of the languages of a script this one has alone, or nearly so.
_LETTERS: Mapping[str, str] = {
    "ru": "ыэё",
    "uk": "іїєґ",
    "kk": "әғқңөұүһ",
    "de": "ß",
    "es": "ñ¿¡",
    "pl": "ąćęłńśźż",
    "pt": "ãõ",
    "tr": "ğış",
    "uz": "ʻ",
}
_WORDS: Mapping[str, str] = {
    "ru": "и в не на что с по как для мы вы это или если да нет можно будет от до у к за",
    "uk": "і в не на що з по як для ми ви це або якщо так ні можна буде від до у та за",
    "kk": "және бұл үшін мен сіз біз емес бар жоқ болады деп",
    "en": "the and is are you we to of in for it not can your with this that will be on our from have",
    "de": "der die das und ist sind sie wir zu von in für es nicht kann ihr mit ein eine wird auf unser aus",
    "es": "el la los las y es son usted nosotros de en para no puede su con un una que se por del",
    "fr": "le la les et est sont vous nous de en pour ne pas peut votre avec un une que du sur",
    "id": "dan yang di ke dari untuk tidak kami anda ini itu dengan adalah bisa dapat akan kita",
    "it": "il lo la gli e è sono lei noi di in per non può suo con un una che si del nel",
    "pl": "i w nie na że z po jak dla my pan pani to lub jeśli tak można będzie od do się jest są",
    "pt": "o a os as e é são você nós de em para não pode seu com um uma que se por do da",
    "tr": "ve bir bu için ile değil biz siz olarak var yok daha olan mi da de",
    "uz": "va bu uchun bilan emas biz siz bor yoq boʻladi ham yoki agar",
}
_COMMON = {language: frozenset(words.split()) for language, words in _WORDS.items()}


def speaks(text: str, language: str) -> bool | None:
    """Tell whether a text is in the language; None where it is too short or too mixed to be told."""
    wanted = _SCRIPTS.get(language)
    script = _script_of(text)
    if wanted is None or script is None:
        return None
    if script != wanted:
        return False
    others = [one for one, its in _SCRIPTS.items() if its == script and one != language]
    if not others:
        return True
    own, best = _marks(text, language), max(_marks(text, one) for one in others)
    if own - best >= ENOUGH:
        return True
    return False if best - own >= ENOUGH else None


def _script_of(text: str) -> str | None:
    """Return the script of more than half of the letters."""
    counts: dict[str, int] = {}
    for char in text:
        if char.isalpha():
            script = unicodedata.name(char, "").partition(" ")[0]
            counts[script] = counts.get(script, 0) + 1
    if not counts:
        return None
    best = max(counts, key=lambda script: counts[script])
    return best if counts[best] * 2 > sum(counts.values()) else None


def _marks(text: str, language: str) -> int:
    lowered = text.lower()
    words = {word.replace("’", "ʻ") for word in _WORD.findall(lowered)}
    letters = set(_LETTERS.get(language, ""))
    return len(words & _COMMON.get(language, frozenset())) + ENOUGH * len(letters & set(lowered))
