"""The tab "Replies" of a connection: which way replies go, what each needs, what the account has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.crm import service as crm
from gptagent.features.crm.connecting.keys import Keys
from gptagent.features.crm.frame import frame_of
from gptagent.features.crm.model import NamedId, brand_of
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.replying import service
from gptagent.features.crm.replying.model import FIELD_NAME, SECRET_MAX_CHARS, STEP_MAX, STEP_MIN
from gptagent.features.crm.replying.service import Choices
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, field_errors, message_of, words

# Why the CRM took no message straight into a talk.
REFUSALS: Mapping[str, str] = {
    "crm_payment_required": "The account's plan or its quota of messages does not allow it.",
    "crm_scope": "The token lacks the right “Sending to external chats”.",
    "crm_not_found": "This account has no such interface.",
}
# Why the account's bots and fields could not be listed.
UNLISTED: Mapping[str, str] = {
    "crm_not_found": "This account does not list its bots: type the number, it stands in the bot's address.",
    "crm_payment_required": "The account's plan has no bots that can be started from outside.",
    "crm_scope": "The token may not read bots and fields.",
    "crm_connection_off": "The connection is switched off: switch it on to see bots and fields.",
}
OTHER_UNLISTED = "The CRM could not be asked for its bots and fields. Try again in a moment."


@dataclass(frozen=True, slots=True)
class RepliesPages:
    db: Database
    pages: Pages
    crm: CrmPort
    keys: Keys
    public_url: str
    sends_letters: bool = False

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/integrations/{connection_id}/replies")
        router.get("")(self.show)
        router.post("")(self.save)
        router.post("/field")(self.make_field)
        return router

    async def show(
        self, request: Request, scope: CurrentScope, connection_id: UUID, part: str = "", ask: str = ""
    ) -> Response:
        require(scope, policy.VIEW)
        choices = None
        if ask and policy.MANAGE_CONNECTIONS in scope.permissions:
            choices = await service.list_choices(
                self.db, scope, connection_id, crm_port=self.crm, vault=self.keys.vault
            )
        return await self._page(request, scope, connection_id, part=part, choices=choices)

    async def save(self, request: Request, scope: CurrentScope, connection_id: UUID) -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        form = await request.form()
        try:
            changes = _read(form)
            async with self.db.session(scope) as session:
                await service.change_setup(
                    session, connection_id, changes, self.keys.vault, sends_letters=self.sends_letters
                )
        except Invalid as error:
            return await self._page(request, scope, connection_id, form=form, error=error)
        return self.pages.redirect(request.url.path, Notice("success", "Saved"))

    async def make_field(self, request: Request, scope: CurrentScope, connection_id: UUID) -> Response:
        """Create the field in the CRM, and use it."""
        require(scope, policy.MANAGE_CONNECTIONS)
        try:
            made = await service.make_field(
                self.db, scope, connection_id, crm_port=self.crm, vault=self.keys.vault
            )
        except AppError as error:
            if error.status == 404 and error.code == "not_found":
                raise
            return await self._page(request, scope, connection_id, error=error)
        name = {"name": made.field_name or ""}
        notice = Notice("success", "The field “{name}” is used for replies", params=name)
        return self.pages.redirect(request.url.path.removesuffix("/field"), notice)

    async def _page(
        self,
        request: Request,
        scope: Scope,
        connection_id: UUID,
        *,
        part: str = "",
        choices: Choices | None = None,
        form: FormData | None = None,
        error: AppError | None = None,
    ) -> Response:
        may_edit = policy.MANAGE_CONNECTIONS in scope.permissions
        async with self.db.session(scope) as session:
            connection = await crm.get_connection(session, connection_id)
            standing = await service.get_standing(session, connection_id, self.keys)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            **frame_of(request, connection),
            "standing": standing,
            "setup": standing.setup,
            "brand": brand_of(connection.host),
            "refusals": REFUSALS,
            "may_edit": may_edit,
            "sends_letters": self.sends_letters,
        }
        if part:
            return self.pages.part(request, "crm/_replies.html", **context)
        return self.pages.show(
            request,
            "crm/replies.html",
            shell,
            status=error.status if error else 200,
            values=_values(standing, form),
            choices=choices,
            field_options=_options(choices.fields if choices else (), standing.setup.field_id),
            bot_options=_options(choices.bots if choices else (), standing.setup.bot_id),
            chosen=_chosen(standing, choices),
            unlisted=UNLISTED.get(choices.reason or "", OTHER_UNLISTED) if choices else "",
            widget_url=service.widget_url(connection_id, self.public_url),
            field_name=FIELD_NAME,
            limits={"secret": SECRET_MAX_CHARS, "step_min": STEP_MIN, "step_max": STEP_MAX},
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            **context,
        )


def _values(standing: service.Standing, form: FormData | None) -> dict[str, object]:
    """Return what the form shows: what was typed, else what is stored."""
    setup = standing.setup
    stored: dict[str, object] = {
        "mode": setup.mode,
        "field_id": setup.field_id or "",
        "bot_id": setup.bot_id or "",
        "widget_step": setup.widget_step,
        "reads_letters": "1" if setup.reads_letters else "",
    }
    return stored if form is None else {name: words(form, name) for name in stored}


def _options(found: Sequence[NamedId], current: int | None) -> list[tuple[str, str]]:
    """Return a list's entries. What is used now stays in it, whether or not the account still shows it."""
    listed = [(f"{one.id}:{one.name}", one.name) for one in found]
    if current is not None and current not in {one.id for one in found}:
        listed.append((str(current), f"№ {current}"))
    return listed


def _chosen(standing: service.Standing, choices: Choices | None) -> dict[str, str]:
    """Return which entry of each list is the current one."""
    found = {}
    listed = choices or Choices()
    for kind, entries, current in (
        ("field_id", listed.fields, standing.setup.field_id),
        ("bot_id", listed.bots, standing.setup.bot_id),
    ):
        names = {one.id: one.name for one in entries}
        found[kind] = f"{current}:{names[current]}" if current in names else str(current or "")
    return found


def _read(form: FormData) -> dict[str, object]:
    """Return the changes; numbers may come with their names, `77:Sender`, from a list. Raises Invalid."""
    changes: dict[str, object] = {
        "mode": words(form, "mode"),
        "reads_letters": bool(words(form, "reads_letters")),
    }
    for kind in ("field", "bot"):
        chosen = _numbered(words(form, f"{kind}_id"), f"{kind}_id")
        changes |= {f"{kind}_id": chosen.id if chosen else None}
        if chosen is None or chosen.name:
            changes |= {f"{kind}_name": chosen.name if chosen else None}
    step = words(form, "widget_step")
    changes["widget_step"] = int(step) if step.isascii() and step.isdecimal() and len(step) < 9 else step
    secret = words(form, "widget_secret").strip()
    if secret or form.get("forget_secret"):
        changes["widget_secret"] = "" if form.get("forget_secret") else secret
    return changes


def _numbered(text: str, name: str) -> NamedId | None:
    number, _, label = text.strip().partition(":")
    if not number:
        return None
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise Invalid.field(name, "Enter the number as the CRM shows it.")
    return NamedId(int(number), label)
