"""What is shown of an agent's own files. They are documents, whose verbs are theirs too."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gptagent.features.knowledge.documents import PAGE_LIMIT, list_documents
from gptagent.features.knowledge.model import EXTENSIONS, FILE_MAX_BYTES, FORMATS, Document
from gptagent.features.knowledge.questions.asking import Asker, Askers
from gptagent.kernel.db import Session
from gptagent.kernel.errors import NotFound


@dataclass(frozen=True, slots=True)
class Files:
    """A page of an agent's files, newest first; `older` is where the next one begins, if there is one."""

    items: list[Document]
    before: UUID | None
    older: UUID | None
    now: datetime
    accept: str = ",".join(EXTENSIONS)
    formats: str = FORMATS
    limit: int = FILE_MAX_BYTES // 1_000_000


async def show_files(session: Session, agent_id: UUID, *, now: datetime, before: UUID | None = None) -> Files:
    """Return an agent's files, newest first, older than `before`."""
    found = await list_documents(session, before=before, agent_id=agent_id)
    return Files(found, before, found[-1].id if len(found) == PAGE_LIMIT else None, now)


async def find_agent(session: Session, askers: Askers, agent_id: UUID) -> Asker:
    """Return the agent. Raises NotFound."""
    found = next((one for one in await askers(session) if one.id == agent_id), None)
    if found is None:
        raise NotFound
    return found
