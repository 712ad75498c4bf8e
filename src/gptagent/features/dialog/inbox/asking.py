"""What the address of the inbox asks for."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Query

from gptagent.features.crm import service as crm
from gptagent.features.dialog.inbox.model import SEARCH_MAX_CHARS, VIEWS, View, Wanted
from gptagent.kernel.http import QueryText
from gptagent.kernel.paging import CURSOR_MAX_CHARS
from gptagent.kernel.scope import Scope


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of the inbox the address asks for; what is no such part is left out."""

    view: View = "all"
    agent: UUID | None = None
    channel: str = ""
    q: str = ""
    cursor: str = ""

    def wanted(self, scope: Scope) -> Wanted:
        """Return it for whoever looks."""
        person = scope.actor.id if scope.actor.kind == "person" else None
        return Wanted(self.view, person, agent_id=self.agent, channel=self.channel, search=self.q)

    @property
    def filters(self) -> dict[str, str]:
        """What the address holds beside the place in the list."""
        view = "" if self.view == "all" else self.view
        own = {"view": view, "agent": str(self.agent or ""), "channel": self.channel, "q": self.q}
        return {key: value for key, value in own.items() if value}


EVERYTHING = Asked()


def asked_of(
    view: QueryText = "",
    agent: QueryText = "",
    channel: QueryText = "",
    q: QueryText = "",
    cursor: Annotated[QueryText, Query(max_length=CURSOR_MAX_CHARS)] = "",
) -> Asked:
    """Read the address; what is no filter filters nothing."""
    known: View = next((one for one in VIEWS if one == view), "all")
    try:
        agent_id = UUID(agent) if agent else None
    except ValueError:
        agent_id = None
    place = channel if channel in crm.CHANNELS else ""
    return Asked(known, agent_id, place, q.strip()[:SEARCH_MAX_CHARS], cursor)
