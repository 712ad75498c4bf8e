"""The page of a person's profile, and their picture."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.identity import service as identity
from gptagent.features.identity.model import AVATAR_MAX_BYTES, NAME_MAX_CHARS
from gptagent.features.identity.service import ProfileChanges
from gptagent.features.organizations.account.guard import ACCOUNT
from gptagent.features.organizations.entrance import keep_language
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid, NotFound
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import CurrentScope, person_of
from gptagent.kernel.i18n import LOCALES
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

# What people upload is never run, wherever it is opened; only its owner's browser keeps it.
PICTURE_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "private, max-age=86400",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class ProfilePages:
    db: Database
    pages: Pages
    files: FileStore

    def router(self) -> APIRouter:
        router = page_router(f"/manage/{{workspace}}{ACCOUNT}")
        router.get("")(self.profile)
        router.post("")(self.save)
        router.get("/avatar")(self.avatar)
        router.post("/avatar")(self.set_avatar)
        router.post("/avatar/remove")(self.remove_avatar)
        return router

    async def profile(self, request: Request, scope: CurrentScope) -> Response:
        return await self._profile(request, scope, person_of(request))

    async def save(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        form = await request.form()
        typed = {name: words(form, name) for name in ("given_name", "family_name", "locale")}
        try:
            async with self.db.session(scope) as session:
                await identity.update_profile(session, person_id, ProfileChanges(**typed))
        except Invalid as error:
            return await self._profile(request, scope, person_id, error, typed)
        response = self.pages.redirect(request.url.path, Notice("success", "Saved"))
        keep_language(response, typed["locale"], secure=self.pages.secure)
        return response

    async def _profile(
        self,
        request: Request,
        scope: Scope,
        person_id: UUID,
        error: AppError | None = None,
        typed: dict[str, str] | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            person = await identity.get_person(session, person_id)
            shell = await self.pages.shell(request, session)
        errors = field_errors(request, error) if error else {}
        if error and not errors:
            errors = {"file": message_of(request, error)}
        context: dict[str, Any] = {
            "person": person,
            "values": typed or asdict(person),
            "errors": errors,
            "languages": LOCALES,
            "limits": {"name": NAME_MAX_CHARS, "picture": AVATAR_MAX_BYTES},
        }
        status = error.status if error else 200
        return self.pages.show(request, "organizations/account/profile.html", shell, status=status, **context)

    async def avatar(self, request: Request) -> Response:
        """Answer the person's own picture."""
        person_id = person_of(request)
        return await picture_of(self.db, self.files, person_id)

    async def set_avatar(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        file = (await request.form()).get("file")
        try:
            await identity.set_avatar(self.db, self.files, person_id, await read_picture(file))
        except AppError as error:
            return await self._profile(request, scope, person_id, error)
        return self.pages.redirect(f"{base_of(request)}{ACCOUNT}", Notice("success", "The picture is saved"))

    async def remove_avatar(self, request: Request) -> Response:
        person_id = person_of(request)
        await identity.remove_avatar(self.db, self.files, person_id)
        return self.pages.redirect(
            f"{base_of(request)}{ACCOUNT}", Notice("success", "The picture is removed")
        )


async def picture_of(db: Database, files: FileStore, person_id: UUID) -> Response:
    """Return a person's picture. Raises NotFound if there is none."""
    async with db.installation(person_id) as session:
        person = await identity.get_person(session, person_id)
    if person.avatar_key is None:
        raise NotFound
    path = await files.open_path(person.avatar_key)
    content = await asyncio.to_thread(path.read_bytes)
    return Response(content, headers=PICTURE_HEADERS, media_type="image/webp")


async def read_picture(file: object) -> bytes:
    """Return an upload's bytes, no more than are looked at. Raises Invalid if nothing was chosen."""
    if not isinstance(file, UploadFile) or not file.filename:
        raise Invalid.field("file", "Choose a file first.")
    return await file.read(AVATAR_MAX_BYTES + 1)
