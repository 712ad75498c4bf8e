"""Failures and reasons in the reader's language."""

from collections.abc import Mapping

from gptagent.features.agents.model import LANGUAGES
from gptagent.features.dialog.scenarios.forms import ACTIONS
from gptagent.features.dialog.scenarios.model import SENTENCES, Failure
from gptagent.kernel.i18n import translate


def said(locale: str, sentence: str, params: Mapping[str, object]) -> str:
    """Translate a sentence and fill it, whatever stands in what it is filled with."""
    return translate(locale, sentence).format(**params)


def failure_said(locale: str, failure: Failure) -> str:
    """Return why an attempt failed, in a sentence; languages by their own names, actions by ours."""
    value = failure.value
    if failure.code.startswith("language"):
        value = LANGUAGES[value][1] if value in LANGUAGES else value
    elif failure.code.startswith("action"):
        value = translate(locale, ACTIONS.get(value, value))
    return said(locale, SENTENCES[failure.code], {"value": value, "at": failure.at})
