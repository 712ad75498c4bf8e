"""The page on which an agent is made from a file, and the file of an agent."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service
from gptagent.features.agents.exchange import service as exchange
from gptagent.features.agents.exchange.api import AgentFileBody, as_file, names_of
from gptagent.features.agents.exchange.matching import Unmatched
from gptagent.features.agents.versions.telling import TITLES
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, FieldError, Invalid
from gptagent.kernel.http import CurrentScope, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, message_of

FILE_MAX_BYTES = 2_000_000  # all settings at their limits take less
FAULTS_SHOWN = 20
LACKS = "Not found in this workspace, and marked where it is set: {names}"
NAMES_SHOWN, NAME_SHOWN_CHARS = 10, 60  # the message waits in a cookie
NO_AGENT = "This is no file of an agent."
WRONG = "This is missing, unknown or of the wrong kind."


@dataclass(frozen=True, slots=True)
class AgentExchangePages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/ai-agents")
        router.get("/import")(self.form)
        router.post("/import")(self.take)
        router.get("/{agent_id}/export")(self.export)
        return router

    async def export(self, scope: CurrentScope, agent_id: UUID) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            agent = await service.get_agent(session, agent_id)
            file = await as_file(session, agent)
        return Response(
            file.model_dump_json(indent=2),
            media_type="application/json",
            headers={
                "content-disposition": f'attachment; filename="agent-{agent.id}.json"',
                "cache-control": "no-store",
            },
        )

    async def form(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_AGENTS)
        return await self._page(request, scope, None)

    async def take(self, request: Request, scope: CurrentScope) -> Response:
        """Make a silent agent from the file, or say what is wrong with it."""
        require(scope, policy.EDIT_AGENTS)
        file = (await request.form()).get("file")
        try:
            body = _read(await file.read(FILE_MAX_BYTES + 1) if isinstance(file, UploadFile) else b"")
            settings = body.settings.model_dump(exclude_unset=True)
            async with self.db.session(scope) as session:
                made, unmatched = await exchange.take_file(
                    session, body.name, settings, names_of(body), locale=locale_of(request)
                )
        except (Invalid, Conflict) as error:
            return await self._page(request, scope, error)
        taken = Notice(
            "warning" if unmatched else "success",
            "The agent is created",
            LACKS if unmatched else "It is off and stays silent until you switch it on.",
            params={"names": _listed(unmatched, locale_of(request))} if unmatched else None,
        )
        return self.pages.redirect(f"{base_of(request)}/ai-agents/{made.id}/edit", taken)

    async def _page(self, request: Request, scope: Scope, error: AppError | None) -> Response:
        async with self.db.session(scope) as session:
            shell = await self.pages.shell(request, session)
        language = locale_of(request)
        faults = [
            (one.pointer, translate(language, one.message, **(one.params or {})))
            for one in (error.fields if error else ())
        ]
        return self.pages.show(
            request,
            "agents/import.html",
            shell,
            status=error.status if error else 200,
            failure=message_of(request, error) if error and not error.fields else "",
            faults=faults[:FAULTS_SHOWN],
        )


def _listed(unmatched: Sequence[Unmatched], locale: str) -> str:
    """Return what was not found, by its name in the file where that has one, with the setting."""
    found = {(translate(locale, TITLES[one.setting]), one.name or one.reference) for one in unmatched}
    shown = [f"{title} – {name[:NAME_SHOWN_CHARS]}" for title, name in sorted(found)]
    more = ["…"] if len(shown) > NAMES_SHOWN else []
    return "; ".join([*shown[:NAMES_SHOWN], *more])


def _read(data: bytes) -> AgentFileBody:
    """Return what the file holds. Raises Invalid naming what is wrong by its place in the file."""
    if not data:
        raise Invalid.field("file", "Choose a file first.")
    if len(data) > FILE_MAX_BYTES:
        raise Invalid.field("file", NO_AGENT)
    try:
        return AgentFileBody.model_validate_json(data)
    except ValidationError as error:
        places = [".".join(map(str, one["loc"])) for one in error.errors(include_url=False)]
        fields = tuple(FieldError(place or "file", NO_AGENT if not place else WRONG) for place in places)
        raise Invalid("invalid", NO_AGENT, fields=fields) from error
