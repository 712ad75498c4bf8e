"""Differences of settings for a page: by the names that the workspace has for what settings refer to."""

from collections.abc import Callable, Sequence
from datetime import date

from gptagent.features.agents.model import CUSTOM_FIELD, Settings
from gptagent.features.agents.offering import FIELD_NAMES, offered_in_basics, offered_in_fields
from gptagent.features.agents.versions.model import Difference, differences
from gptagent.features.agents.versions.telling import Told, tell
from gptagent.kernel.db import Session
from gptagent.kernel.i18n import translate
from gptagent.ui.formats import date_in, number_in


async def tell_differences(session: Session, locale: str, before: Settings, after: Settings) -> list[Told]:
    """Return what differs between two documents, in the reader's language."""

    def say(text: str) -> str:
        return translate(locale, text)

    found = list(differences(before, after))
    return tell(found, await _names(session, say) | _figures(found, locale), say)


def _figures(found: Sequence[Difference], locale: str) -> dict[str, str]:
    """Return how the reader writes the numbers and days among the values, by the document's own word."""
    values = [
        (one.setting, value)
        for one in found
        for side in (one.before, one.after)
        for value in (side if isinstance(side, list) else [side])
    ]
    figures = {str(value): number_in(locale, value) for _, value in values if type(value) in {int, float}}
    days = (str(value) for setting, value in values if setting == "hours.holidays")
    return figures | {day: date_in(locale, date.fromisoformat(day)) for day in days}


async def _names(session: Session, say: Callable[[str], str]) -> dict[str, str]:
    """Return what is called how of all that settings may name; what is lost keeps its number."""
    basics, fields = await offered_in_basics(session, []), await offered_in_fields(session, [])
    names = {key: say(name) for key, name in FIELD_NAMES.items()}
    names |= {value: label for value, label, _depth in (*basics["channels"], *basics["categories"])}
    own = (*fields["lead_custom"], *fields["contact_custom"])
    names |= {value: label for value, label, _depth in own if value.startswith(CUSTOM_FIELD)}
    for pipeline in basics["pipelines"]:
        names[pipeline.key] = pipeline.name
        names |= {f"{pipeline.key}/{stage.id}": stage.name for stage in pipeline.stages}
    return names
