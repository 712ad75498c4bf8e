"""How a connection replies, over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import SecretStr

from gptagent.features.crm import service as crm
from gptagent.features.crm.connecting.keys import Keys
from gptagent.features.crm.model import ReplyRoute
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.replying import service
from gptagent.features.crm.replying.service import Standing, WidgetKey
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.rest import CurrentMatch, api_router

Mode = Literal["automatic", "talk", "salesbot", "widget"]


class RepliesPatch(Body):
    """What is left out stays."""

    model_config = example({"mode": "salesbot", "field_id": 501, "bot_id": 77})

    mode: Mode | None = None
    field_id: int | None = None
    bot_id: int | None = None
    widget_step: int | None = None
    reads_letters: bool | None = None


class SecretBody(Body):
    """The key the widget's tokens are signed with. It is never shown again; an empty one is forgotten.

    Of an account that is connected by consent the integration's own is known.
    """

    model_config = example({"secret": "..."})

    secret: SecretStr


class SentOut(Wire):
    """Replies of the last 30 days, by their way."""

    talk: int
    salesbot: int
    widget: int
    mail: int


class RepliesOut(Wire):
    """`route` is the way of the next reply to a deal's chat, `widget_url` where a widget block asks.

    `widget_key` checks what it asks: `integration` of an account that is connected by consent, where nothing
    need be entered; else `entered`, or `missing`. `carries_files`: files of articles can follow such a reply.
    `reads_letters`: e-mail of the account's mailboxes becomes conversations, and is answered by letters.
    """

    mode: Mode
    route: ReplyRoute
    token_may_send: bool
    field_id: int | None
    field_name: str | None
    bot_id: int | None
    bot_name: str | None
    widget_step: int
    has_widget_secret: bool
    widget_key: WidgetKey
    widget_url: str
    refused_reason: str | None
    refused_at: datetime | None
    waiting_bots: int
    sent: SentOut
    carries_files: bool
    reads_letters: bool


class NamedOut(Wire):
    id: int
    name: str


class ChoicesOut(Wire):
    """What the account offers; `reason` says why a list could not be read."""

    bots: list[NamedOut]
    fields: list[NamedOut]
    reason: str | None


@dataclass(frozen=True, slots=True)
class RepliesApi:
    db: Database
    crm: CrmPort
    keys: Keys
    public_url: str
    sends_letters: bool = False

    def router(self) -> APIRouter:
        router = api_router("/connections/{connection_id}/replies", tags=["connections"])
        router.get("", summary="Get how a connection replies")(self.get_replies)
        router.patch("", summary="Change how a connection replies")(self.change_replies)
        router.put("/secret", summary="Replace the key of the widget")(self.change_secret)
        router.get("/choices", summary="List the account's bots and text fields")(self.choices)
        router.post("/field", summary="Create the deal's field for replies")(self.make_field)
        return router

    async def get_replies(self, scope: CurrentScope, connection_id: UUID) -> RepliesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return await self._out(session, connection_id)

    async def change_replies(
        self, scope: CurrentScope, match: CurrentMatch, connection_id: UUID, body: RepliesPatch
    ) -> RepliesOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        changes: dict[str, object] = {
            name: value
            for name in body.model_fields_set
            if (value := getattr(body, name)) is not None or name in {"field_id", "bot_id"}
        }
        for chosen in ("field", "bot"):  # the name belongs to the number
            if f"{chosen}_id" in changes:
                changes[f"{chosen}_name"] = None
        async with self.db.session(scope) as session:
            await crm.get_connection(session, connection_id, lock=True)
            if match:
                match.check(await self._out(session, connection_id))
            await service.change_setup(
                session, connection_id, changes, self.keys.vault, sends_letters=self.sends_letters
            )
            return await self._out(session, connection_id)

    async def change_secret(self, scope: CurrentScope, connection_id: UUID, body: SecretBody) -> RepliesOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        secret = {"widget_secret": body.secret.get_secret_value()}
        async with self.db.session(scope) as session:
            await crm.get_connection(session, connection_id, lock=True)
            await service.change_setup(session, connection_id, secret, self.keys.vault)
            return await self._out(session, connection_id)

    async def choices(self, scope: CurrentScope, connection_id: UUID) -> ChoicesOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        found = await service.list_choices(
            self.db, scope, connection_id, crm_port=self.crm, vault=self.keys.vault
        )
        return ChoicesOut.model_validate(found)

    async def make_field(self, scope: CurrentScope, connection_id: UUID) -> RepliesOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        await service.make_field(self.db, scope, connection_id, crm_port=self.crm, vault=self.keys.vault)
        async with self.db.session(scope) as session:
            return await self._out(session, connection_id)

    async def _out(self, session: Session, connection_id: UUID) -> RepliesOut:
        standing = await service.get_standing(session, connection_id, self.keys)
        return _out(standing, service.widget_url(connection_id, self.public_url))


def _out(standing: Standing, widget_url: str) -> RepliesOut:
    setup = standing.setup
    return RepliesOut(
        mode=setup.mode,
        route=standing.route,
        token_may_send=standing.token_may_send,
        field_id=setup.field_id,
        field_name=setup.field_name,
        bot_id=setup.bot_id,
        bot_name=setup.bot_name,
        widget_step=setup.widget_step,
        has_widget_secret=setup.has_widget_secret,
        widget_key=standing.widget_key,
        widget_url=widget_url,
        refused_reason=setup.refused_reason,
        refused_at=setup.refused_at,
        waiting_bots=standing.waiting_bots,
        sent=SentOut.model_validate(standing.sent),
        carries_files=standing.carries_files,
        reads_letters=setup.reads_letters,
    )
