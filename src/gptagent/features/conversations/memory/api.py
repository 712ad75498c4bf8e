"""What is remembered of a customer, over REST."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.conversations.memory import service
from gptagent.features.conversations.memory.model import Kind, MemoryAuthor, NewMemory
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.rest import CurrentMatch, Match, api_router


class NewMemoryBody(Body):
    """`expires_on` is the last day, as YYYY-MM-DD; null keeps it as long as the workspace keeps such."""

    model_config = example({"kind": "preference", "text": "Wants to be called after six."})

    kind: Kind
    text: str
    expires_on: date | None = None


class MemoryPatch(Body):
    """Fields left out stay as they are."""

    model_config = example({"text": "Wants to be called after seven."})

    kind: Kind | None = None
    text: str | None = None
    expires_on: date | None = None


class MemoryOut(Wire):
    """`seq` is the message of `conversation_id` it was taken from, `quote` the customer's words in it.

    `author`: model, pattern or person. `expires_on` is the last day on which an agent is told of it.
    """

    id: UUID
    conversation_id: UUID
    seq: int | None
    kind: Kind
    text: str
    quote: str
    confidence: float
    author: MemoryAuthor
    said_at: datetime
    expires_on: date | None
    version: int
    created_at: datetime
    updated_at: datetime


class MemoriesOut(Wire):
    """`error_code`: why the last messages were read by patterns only, though a model is set."""

    items: list[MemoryOut]
    read_seq: int
    error_code: str | None


@dataclass(frozen=True, slots=True)
class MemoryApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/conversations/{conversation_id}/memories", tags=["memory"])
        one = "/{memory_id}"
        router.get("", summary="List what is remembered of the customer")(self.list)
        router.post("", status_code=201, summary="Remember something of the customer")(self.add)
        router.delete("", status_code=204, summary="Forget all of the customer")(self.erase_all)
        router.get(one, summary="Get one thing that is remembered")(self.get)
        router.patch(one, summary="Change what is remembered")(self.change)
        router.delete(one, status_code=204, summary="Forget one thing")(self.erase)
        return router

    async def list(self, scope: CurrentScope, conversation_id: UUID) -> MemoriesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found = await service.list_memories(session, conversation_id)
            reading = await service.get_reading(session, conversation_id)
        items = [MemoryOut.model_validate(one) for one in found]
        return MemoriesOut(items=items, read_seq=reading.read_seq, error_code=reading.error_code)

    async def add(self, scope: CurrentScope, conversation_id: UUID, body: NewMemoryBody) -> MemoryOut:
        """In all conversations of the same contact. Of two with the same words the newer stays."""
        require(scope, policy.WORK_CONVERSATIONS)
        new = NewMemory(body.kind, body.text, body.expires_on)
        async with self.db.session(scope) as session:
            return MemoryOut.model_validate(
                await service.add_memory(session, conversation_id, new, now=utcnow())
            )

    async def get(self, scope: CurrentScope, conversation_id: UUID, memory_id: UUID) -> MemoryOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return MemoryOut.model_validate(await service.get_memory(session, conversation_id, memory_id))

    async def change(
        self,
        scope: CurrentScope,
        match: CurrentMatch,
        conversation_id: UUID,
        memory_id: UUID,
        body: MemoryPatch,
    ) -> MemoryOut:
        require(scope, policy.WORK_CONVERSATIONS)
        changes = body.model_dump(exclude_unset=True)
        async with self.db.session(scope) as session:
            old = await self._check(session, match, conversation_id, memory_id)
            new = NewMemory(
                kind=changes.get("kind") or old.kind,
                text=old.text if changes.get("text") is None else changes["text"],
                expires_on=changes.get("expires_on", old.expires_on),
            )
            saved = await service.change_memory(session, conversation_id, memory_id, new, now=utcnow())
        return MemoryOut.model_validate(saved)

    async def erase(
        self, scope: CurrentScope, match: CurrentMatch, conversation_id: UUID, memory_id: UUID
    ) -> None:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await self._check(session, match, conversation_id, memory_id)
            await service.erase_memory(session, conversation_id, memory_id)

    async def erase_all(self, scope: CurrentScope, conversation_id: UUID) -> None:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await service.erase_memories(session, conversation_id)

    async def _check(
        self, session: Session, match: Match, conversation_id: UUID, memory_id: UUID
    ) -> MemoryOut:
        found = MemoryOut.model_validate(await service.get_memory(session, conversation_id, memory_id))
        if match:
            match.check(found)
        return found
