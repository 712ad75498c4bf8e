"""An account of a CRM, or a CRM that no account is connected of, as one agent's tab shows it. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from gptagent.features.agents.model import Settings
from gptagent.features.crm.model import Brand, Connection

BRANDS: dict[Brand, str] = {"kommo": "Kommo", "amocrm": "amoCRM"}


@dataclass(frozen=True, slots=True)
class Integration:
    """Without `connection_id` nothing is installed. `answers`: this agent's settings take deals of it."""

    brand: Brand
    name: str
    connection_id: UUID | None = None
    is_active: bool = False
    answers: bool = False


def integrations_of(settings: Settings, connections: Iterable[Connection]) -> Iterator[Integration]:
    """Yield each connected account, and each CRM that has none."""
    found = list(connections)
    pipelines = settings.pipelines
    chosen = {rule.connection_id for rule in pipelines.chosen if rule.is_active}
    for brand, title in BRANDS.items():
        accounts = [one for one in found if one.brand == brand]
        if not accounts:
            yield Integration(brand, title)
        for one in accounts:
            is_active = one.status == "connected" and one.is_active
            answers = pipelines.all or one.id in chosen
            yield Integration(brand, f"{title} · {one.name or one.host}", one.id, is_active, answers)
