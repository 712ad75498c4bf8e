"""The form of a conversation's page. Its fields stand in several places, and whatever is pressed, all are
sent: what was typed in one place is put back when something was done in another.

Words of customers and colleagues may not travel in an address or a cookie, so a page with typed words is the
answer to what was pressed; without such words the browser is sent on as everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urlencode
from uuid import UUID

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

Part = Literal["reply", "handoff", "draft", "memory", "assignment"]
# The fields of each part, as its route reads them; on the page their names begin with the part's.
FIELDS: Mapping[Part, Sequence[str]] = {
    "reply": ("text",),
    "handoff": ("assignee_id", "text", "note"),
    "draft": ("text", "reason"),
    "memory": ("kind", "text", "expires_on"),
    "assignment": ("assignee_id",),
}
FAILURES: Mapping[Part, str] = {
    "reply": "reply_failure",
    "handoff": "reply_failure",
    "draft": "draft_failure",
    "memory": "memory_failure",
    "assignment": "assignment_error",
}


class Threads(Protocol):
    """The pages of conversations, as far as the form needs them."""

    @property
    def db(self) -> Database: ...
    @property
    def pages(self) -> Pages: ...

    async def show_again(
        self,
        request: Request,
        scope: Scope,
        conversation_id: UUID,
        typed: Mapping[str, object],
        *,
        notice: Notice | None = None,
        memory: str = "",
        status: int = 200,
    ) -> Response:
        """Show the whole page with what was typed into it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What was sent from one conversation's page."""

    threads: Threads
    request: Request
    scope: Scope
    conversation_id: UUID
    form: FormData

    @classmethod
    async def read(cls, threads: Threads, request: Request, scope: Scope, conversation_id: UUID) -> "Desk":
        return cls(threads, request, scope, conversation_id, await request.form())

    def part(self, part: Part) -> dict[str, str]:
        """Return what was typed into one part, by the plain names of its fields."""
        return {name: self._typed(part, name) for name in FIELDS[part]}

    def has(self, part: Part, name: str) -> bool:
        return f"{part}.{name}" in self.form or name in self.form

    def id_of(self, name: str) -> UUID | None:
        """Return what makes a form that is sent twice one; None if it does not say."""
        try:
            return UUID(words(self.form, name))
        except ValueError:
            return None

    async def refused(self, part: Part, error: AppError, memory: str = "") -> Response:
        """Show the page with what was typed, and what is wrong with it beside the field."""
        typed: dict[str, object] = {f"{part}_typed": self.part(part)}
        if part == "reply":
            typed = {"reply_typed": self.part("reply")["text"]}
        elif part == "draft":
            typed = {"draft_typed": self._draft() | {name: self.part("draft")[name] for name in self._own()}}
        failure = {} if error.fields else {FAILURES[part]: message_of(self.request, error)}
        typed |= {f"{part}_errors": field_errors(self.request, error), **failure}
        return await self.show({**self.kept(but=part), **typed}, memory=memory, status=error.status)

    async def done(self, part: Part | None = None, notice: Notice | None = None, place: str = "") -> Response:
        """Send the browser back to the page, at `place`; show it at once with words typed elsewhere on it."""
        kept = self.kept(but=part)
        if not kept:
            address = f"{base_of(self.request)}/conversations/{self.conversation_id}{place}"
            return self.threads.pages.redirect(address, notice)
        return await self.show(kept, notice=notice)

    async def fold_memory(self) -> Response:
        """Unfold the form of the entry that `open` names, or of a `new` one, or fold what is unfolded."""
        opened, kept = words(self.form, "open"), self.kept(but="memory")
        if kept:
            return await self.show(kept, memory=opened)
        asked = f"?{urlencode({'memory': opened})}" if opened else ""
        return await self.done("memory", place=f"{asked}#memory")

    async def take_in(self, text: str, *, is_draft: bool = False) -> Response:
        """Show the page with these words in the reply, below what was typed there."""
        kept = self.kept()
        typed = str(kept.get("reply_typed", "")).rstrip()
        both = typed if text in typed else "\n\n".join(one for one in (typed, text) if one)
        return await self.show({**kept, "reply_typed": both, "is_draft_taken": is_draft})

    async def show(
        self,
        context: Mapping[str, object],
        *,
        notice: Notice | None = None,
        memory: str = "",
        status: int = 200,
    ) -> Response:
        opened = words(self.form, "memory.form") if "memory_typed" in context else ""
        return await self.threads.show_again(
            self.request,
            self.scope,
            self.conversation_id,
            context,
            notice=notice,
            memory=memory or opened,
            status=status,
        )

    def kept(self, *, but: Part | None = None) -> dict[str, object]:
        """Return what was typed into the other parts, as the page takes it."""
        kept: dict[str, object] = {}
        if but != "reply" and self._is_new("reply.text", "reply.first"):
            kept["reply_typed"] = words(self.form, "reply.text")
        note = words(self.form, "handoff.note").strip()
        if but != "handoff" and (note or self._is_new("handoff.text", "handoff.first")):
            kept["handoff_typed"] = self.part("handoff")
        if but != "draft" and (draft := self._draft()):
            kept["draft_typed"] = draft
        if but != "assignment" and words(self.form, "assignment.assignee_id") != words(
            self.form, "assignment.first"
        ):
            kept["assignment_typed"] = self.part("assignment")
        if but != "memory" and words(self.form, "memory.text").strip():
            kept["memory_typed"] = self.part("memory")
        return kept

    def _typed(self, part: Part, name: str) -> str:
        own = f"{part}.{name}"
        return words(self.form, own if own in self.form else name)

    def _draft(self) -> dict[str, str]:
        """Return what was typed for a draft, and for which one."""
        draft = {}
        if self._is_new("draft.text", "draft.first"):
            draft["text"] = words(self.form, "draft.text")
        if words(self.form, "draft.reason").strip():
            draft["reason"] = words(self.form, "draft.reason")
        return {**draft, "id": words(self.form, "draft.id")} if draft else {}

    def _own(self) -> list[str]:
        """Return the fields of a form that is a draft's alone."""
        return [name for name in FIELDS["draft"] if name in self.form]

    def _is_new(self, name: str, first: str) -> bool:
        """Whether the field holds words that the page did not put there itself."""
        typed = words(self.form, name).strip()
        return bool(typed) and typed != words(self.form, first).strip()


@dataclass(frozen=True, slots=True)
class ToConversation:
    """Leads back to the page, at what was written into the CRM, from a button whose route is not ours."""

    threads: Threads

    async def __call__(
        self, request: Request, scope: Scope, conversation_id: UUID, notice: Notice | None
    ) -> Response:
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        return await desk.done(None, notice, "#changes")
